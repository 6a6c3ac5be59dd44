import com.google.protobuf.DescriptorProtos.FieldDescriptorProto;
import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.EnumDescriptor;
import com.google.protobuf.Descriptors.EnumValueDescriptor;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Descriptors.FileDescriptor;
import com.google.protobuf.Descriptors.MethodDescriptor;
import com.google.protobuf.Descriptors.ServiceDescriptor;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Reads the descriptors of apache.rocketmq.v2 out of the official client artifact (org.apache.rocketmq:rocketmq-proto). */
final class ProtoDump {
    /** Outer classes that protoc made of the official files. */
    private static final String[] FILES = {
        "apache.rocketmq.v2.MQDomain", "apache.rocketmq.v2.MQService", "apache.rocketmq.v2.MQAdmin",
    };

    private ProtoDump() {
    }

    static Map<String, Object> dump() throws Exception {
        Map<String, Object> messages = new LinkedHashMap<>();
        Map<String, Object> enums = new LinkedHashMap<>();
        Map<String, Object> services = new LinkedHashMap<>();
        for (String name : FILES) {
            FileDescriptor file = (FileDescriptor) Class.forName(name).getMethod("getDescriptor").invoke(null);
            for (Descriptor message : file.getMessageTypes()) {
                addMessage(message, messages, enums);
            }
            for (EnumDescriptor each : file.getEnumTypes()) {
                enums.put(each.getFullName(), values(each));
            }
            for (ServiceDescriptor service : file.getServices()) {
                services.put(service.getFullName(), methods(service));
            }
        }
        Map<String, Object> dump = new LinkedHashMap<>();
        dump.put("messages", messages);
        dump.put("enums", enums);
        dump.put("services", services);
        return dump;
    }

    private static void addMessage(Descriptor message, Map<String, Object> messages, Map<String, Object> enums) {
        if (message.getOptions().getMapEntry()) {
            return;
        }
        List<Object> fields = new ArrayList<>();
        for (FieldDescriptor field : message.getFields()) {
            fields.add(field(field));
        }
        messages.put(message.getFullName(), fields);
        for (Descriptor nested : message.getNestedTypes()) {
            addMessage(nested, messages, enums);
        }
        for (EnumDescriptor nested : message.getEnumTypes()) {
            enums.put(nested.getFullName(), values(nested));
        }
    }

    private static Map<String, Object> field(FieldDescriptor field) {
        Map<String, Object> row = new LinkedHashMap<>();
        row.put("name", field.getName());
        row.put("number", field.getNumber());
        if (field.isMapField()) {
            Descriptor entry = field.getMessageType();
            row.put("label", "map");
            row.put("key", type(entry.findFieldByNumber(1)));
            row.put("type", type(entry.findFieldByNumber(2)));
            return row;
        }
        row.put("label", label(field));
        row.put("type", type(field));
        if (field.getRealContainingOneof() != null) {
            row.put("oneof", field.getRealContainingOneof().getName());
        }
        return row;
    }

    /** "optional" only where the presence is written out: `optional` in proto3. */
    private static String label(FieldDescriptor field) {
        if (field.isRepeated()) {
            return "repeated";
        }
        FieldDescriptorProto proto = field.toProto();
        return proto.getProto3Optional() ? "optional" : "single";
    }

    private static String type(FieldDescriptor field) {
        switch (field.getType()) {
            case MESSAGE:
                return field.getMessageType().getFullName();
            case ENUM:
                return field.getEnumType().getFullName();
            default:
                return field.getType().name().toLowerCase();
        }
    }

    private static Map<String, Object> values(EnumDescriptor type) {
        Map<String, Object> values = new LinkedHashMap<>();
        for (EnumValueDescriptor value : type.getValues()) {
            values.put(value.getName(), value.getNumber());
        }
        return values;
    }

    private static Map<String, Object> methods(ServiceDescriptor service) {
        Map<String, Object> methods = new LinkedHashMap<>();
        for (MethodDescriptor method : service.getMethods()) {
            Map<String, Object> row = new LinkedHashMap<>();
            row.put("request", method.getInputType().getFullName());
            row.put("requestStream", method.toProto().getClientStreaming());
            row.put("response", method.getOutputType().getFullName());
            row.put("responseStream", method.toProto().getServerStreaming());
            methods.put(method.getName(), row);
        }
        return methods;
    }
}
