import java.io.File;
import java.io.FileInputStream;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import org.apache.rocketmq.broker.BrokerStartup;
import org.apache.rocketmq.namesrv.NamesrvStartup;

/** Lets Apache's own start-up code read properties files, and reports what it made of them. Nothing is started. */
final class ConfigProbe {
    private ConfigProbe() {
    }

    /** What getBrokerConfig would print for a broker started with the file. */
    static String broker(String file) throws Exception {
        return BrokerStartup.buildBrokerController(BrokerStartup.configFileToConfigContext(file))
            .getConfiguration().getAllConfigsFormatString();
    }

    /** What getNamesrvConfig would print for a NameServer started with the file. */
    static String namesrv(String file) throws Exception {
        NamesrvStartup.parseCommandlineAndConfigFile(new String[] {"-c", file});
        return NamesrvStartup.createNamesrvController().getConfiguration().getAllConfigsFormatString();
    }

    /** Properties.load of 0.properties, 1.properties, ... in the directory; null where it refuses the file. */
    static List<Object> properties(String directory) throws Exception {
        List<Object> loaded = new ArrayList<>();
        for (int i = 0; new File(directory, i + ".properties").exists(); i++) {
            try (InputStream in = new FileInputStream(new File(directory, i + ".properties"))) {
                Properties properties = new Properties();
                properties.load(in);
                Map<String, Object> entries = new TreeMap<>();
                for (String name : properties.stringPropertyNames()) {
                    entries.put(name, properties.getProperty(name));
                }
                loaded.add(entries);
            } catch (IllegalArgumentException malformed) {
                loaded.add(null);
            }
        }
        return loaded;
    }
}
