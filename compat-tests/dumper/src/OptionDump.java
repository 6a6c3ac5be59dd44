import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.rocketmq.common.annotation.ImportantField;
import org.apache.rocketmq.common.utils.NetworkUtil;

/**
 * Reads every option out of Apache's configuration classes. The keys which a file may set are the setters, the keys which are printed
 * are the fields; both are dumped, because they differ. Defaults are those of this machine: the caller makes them symbolic.
 */
final class OptionDump {
    private static final String[] CLASSES = {
        "org.apache.rocketmq.common.BrokerConfig",
        "org.apache.rocketmq.store.config.MessageStoreConfig",
        "org.apache.rocketmq.remoting.netty.NettyServerConfig",
        "org.apache.rocketmq.remoting.netty.NettyClientConfig",
        "org.apache.rocketmq.common.namesrv.NamesrvConfig",
        "org.apache.rocketmq.common.ControllerConfig",
        "org.apache.rocketmq.auth.config.AuthConfig",
        "org.apache.rocketmq.proxy.config.ProxyConfig",
    };

    private OptionDump() {
    }

    static Map<String, Object> dump() throws Exception {
        Map<String, Object> machine = new LinkedHashMap<>();
        machine.put("userHome", System.getProperty("user.home"));
        machine.put("rocketmqHome", System.getenv("ROCKETMQ_HOME"));
        machine.put("hostName", InetAddress.getLocalHost().getHostName());
        machine.put("hostAddress", NetworkUtil.getLocalAddress());
        machine.put("cpuCount", Runtime.getRuntime().availableProcessors());

        Map<String, Object> classes = new LinkedHashMap<>();
        for (String name : CLASSES) {
            Class<?> type = Class.forName(name);
            classes.put(type.getSimpleName(), options(type));
        }
        Map<String, Object> dump = new LinkedHashMap<>();
        dump.put("machine", machine);
        dump.put("classes", classes);
        return dump;
    }

    private static Map<String, Object> options(Class<?> type) throws Exception {
        Object instance = type.getDeclaredConstructor().newInstance();
        Map<String, TreeSet<String>> setters = setters(type);
        Map<String, Object> fields = new TreeMap<>();
        for (Class<?> owner = type; owner != Object.class; owner = owner.getSuperclass()) {
            for (Field field : owner.getDeclaredFields()) {
                if (!Modifier.isStatic(field.getModifiers())) {
                    fields.put(field.getName(), option(field, instance, setters.remove(field.getName())));
                }
            }
        }
        Map<String, Object> setterOnly = new TreeMap<>();
        for (Map.Entry<String, TreeSet<String>> setter : setters.entrySet()) {
            setterOnly.put(setter.getKey(), new ArrayList<>(setter.getValue()));
        }
        Map<String, Object> options = new LinkedHashMap<>();
        options.put("class", type.getName());
        options.put("fields", fields);
        options.put("settersWithoutField", setterOnly);
        return options;
    }

    /** Key as in a properties file -> the parameter types of the public setters that take it. */
    private static Map<String, TreeSet<String>> setters(Class<?> type) {
        Map<String, TreeSet<String>> setters = new TreeMap<>();
        for (Method method : type.getMethods()) {
            String name = method.getName();
            if (name.startsWith("set") && name.length() > 3 && method.getParameterCount() > 0) {
                String key = Character.toLowerCase(name.charAt(3)) + name.substring(4);
                setters.computeIfAbsent(key, absent -> new TreeSet<>()).add(method.getParameterTypes()[0].getSimpleName());
            }
        }
        return setters;
    }

    private static Map<String, Object> option(Field field, Object instance, TreeSet<String> setter) throws Exception {
        field.setAccessible(true);
        Object value = field.get(instance);
        Map<String, Object> row = new LinkedHashMap<>();
        row.put("type", field.getType().getSimpleName());
        row.put("default", value == null || !hasText(field.getType()) ? null : value.toString());
        row.put("setter", setter == null ? new ArrayList<>() : new ArrayList<>(setter));
        if (field.getType().isEnum()) {
            List<Object> values = new ArrayList<>();
            for (Object constant : field.getType().getEnumConstants()) {
                values.add(constant.toString());
            }
            row.put("values", values);
        }
        row.put("important", field.isAnnotationPresent(ImportantField.class));
        return row;
    }

    /** Whether a value of the type has a form that could stand in a properties file. */
    private static boolean hasText(Class<?> type) {
        return type.isPrimitive() || type.isEnum() || type == String.class || type == Integer.class || type == Long.class;
    }
}
