import java.io.File;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.ArrayList;
import java.util.Enumeration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import org.apache.rocketmq.common.MQVersion;
import org.apache.rocketmq.common.action.Action;
import org.apache.rocketmq.common.action.RocketMQAction;
import org.apache.rocketmq.remoting.CommandCustomHeader;
import org.apache.rocketmq.remoting.annotation.CFNotNull;
import org.apache.rocketmq.remoting.protocol.FastCodesHeader;
import org.apache.rocketmq.remoting.protocol.LanguageCode;
import org.apache.rocketmq.remoting.protocol.RemotingSysResponseCode;
import org.apache.rocketmq.remoting.protocol.RequestCode;
import org.apache.rocketmq.remoting.protocol.ResponseCode;

/** Reads the remoting wire out of Apache's classes: codes, languages, versions and the fields of every header class. */
final class WireDump {
    private WireDump() {
    }

    /** @param jarDirectory where the rocketmq-*.jar files lie that are searched for header classes. */
    static Map<String, Object> dump(File jarDirectory) throws Exception {
        Map<String, Object> wire = new LinkedHashMap<>();
        wire.put("requestCodes", intConstants(RequestCode.class));
        Map<String, Integer> responseCodes = intConstants(RemotingSysResponseCode.class);
        responseCodes.putAll(intConstants(ResponseCode.class));
        wire.put("responseCodes", responseCodes);
        wire.put("languages", languages());
        wire.put("currentVersion", MQVersion.getVersionDesc(MQVersion.CURRENT_VERSION));
        wire.put("versions", versions());
        wire.put("headers", headers(jarDirectory));
        return wire;
    }

    private static Map<String, Integer> intConstants(Class<?> type) throws IllegalAccessException {
        Map<String, Integer> constants = new TreeMap<>();
        for (Field field : type.getFields()) {
            if (Modifier.isStatic(field.getModifiers()) && field.getType() == int.class) {
                constants.put(field.getName(), field.getInt(null));
            }
        }
        return constants;
    }

    private static Map<String, Integer> languages() {
        Map<String, Integer> languages = new LinkedHashMap<>();
        for (LanguageCode language : LanguageCode.values()) {
            languages.put(language.name(), (int) language.getCode());
        }
        return languages;
    }

    private static Map<String, Integer> versions() {
        Map<String, Integer> versions = new LinkedHashMap<>();
        for (MQVersion.Version version : MQVersion.Version.values()) {
            versions.put(version.name(), version.ordinal());
        }
        return versions;
    }

    private static List<Object> headers(File jarDirectory) throws Exception {
        List<Object> headers = new ArrayList<>();
        for (String className : rocketmqClasses(jarDirectory)) {
            Class<?> type;
            try {
                type = Class.forName(className, false, WireDump.class.getClassLoader());
            } catch (NoClassDefFoundError optionalDependencyMissing) {
                continue;
            }
            if (CommandCustomHeader.class.isAssignableFrom(type) && !type.isInterface()) {
                headers.add(header(type));
            }
        }
        return headers;
    }

    private static TreeSet<String> rocketmqClasses(File jarDirectory) throws Exception {
        TreeSet<String> names = new TreeSet<>();
        for (File file : jarDirectory.listFiles()) {
            if (!file.getName().matches("rocketmq-[a-z-]+-[0-9.]+\\.jar")) {
                continue;
            }
            try (JarFile jar = new JarFile(file)) {
                for (Enumeration<JarEntry> entries = jar.entries(); entries.hasMoreElements(); ) {
                    String path = entries.nextElement().getName();
                    if (path.startsWith("org/apache/rocketmq/") && path.contains("Header") && path.endsWith(".class")) {
                        names.add(path.substring(0, path.length() - ".class".length()).replace('/', '.'));
                    }
                }
            }
        }
        return names;
    }

    private static Map<String, Object> header(Class<?> type) throws Exception {
        boolean isAbstract = Modifier.isAbstract(type.getModifiers());
        Object instance = isAbstract ? null : newInstance(type);
        Map<String, Object> header = new LinkedHashMap<>();
        header.put("name", type.getSimpleName());
        header.put("class", type.getName());
        header.put("abstract", isAbstract);
        header.put("fast", FastCodesHeader.class.isAssignableFrom(type));
        RocketMQAction action = type.getAnnotation(RocketMQAction.class);
        if (action != null) {
            header.put("action", action(action));
        }
        List<Object> fields = new ArrayList<>();
        for (Class<?> owner = type; owner != Object.class; owner = owner.getSuperclass()) {
            for (Field field : owner.getDeclaredFields()) {
                if (!Modifier.isStatic(field.getModifiers())) {
                    fields.add(field(field, owner == type ? null : owner.getSimpleName(), instance));
                }
            }
        }
        header.put("fields", fields);
        return header;
    }

    private static Object newInstance(Class<?> type) throws Exception {
        try {
            return type.getDeclaredConstructor().newInstance();
        } catch (NoSuchMethodException encodeOnly) {
            return null;
        }
    }

    private static Map<String, Object> action(RocketMQAction annotation) {
        List<String> actions = new ArrayList<>();
        for (Action action : annotation.action()) {
            actions.add(action.name());
        }
        Map<String, Object> row = new LinkedHashMap<>();
        row.put("code", annotation.value());
        row.put("resource", annotation.resource().name());
        row.put("actions", actions);
        return row;
    }

    private static Map<String, Object> field(Field field, String inheritedFrom, Object instance) throws Exception {
        Map<String, Object> row = new LinkedHashMap<>();
        row.put("name", field.getName());
        row.put("type", field.getType().getSimpleName());
        row.put("required", field.isAnnotationPresent(CFNotNull.class));
        if (inheritedFrom != null) {
            row.put("inherited", inheritedFrom);
        }
        if (instance != null) {
            field.setAccessible(true);
            Object initial = field.get(instance);
            if (initial != null) {
                row.put("initial", initial instanceof Number || initial instanceof Boolean ? initial : initial.toString());
            }
        }
        String resource = resource(field);
        if (resource != null) {
            row.put("resource", resource);
        }
        return row;
    }

    /** The resource type which Apache's authorization reads from this field, or null. */
    private static String resource(Field field) {
        org.apache.rocketmq.common.resource.RocketMQResource annotation =
            field.getAnnotation(org.apache.rocketmq.common.resource.RocketMQResource.class);
        return annotation == null ? null : annotation.value().name();
    }
}
