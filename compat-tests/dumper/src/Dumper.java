import java.io.File;
import java.io.FileWriter;
import java.io.Writer;

/** `Dumper VIEW ARGUMENT OUTPUT_FILE`: writes one view of the Apache classes on the class path as JSON. */
public final class Dumper {
    private Dumper() {
    }

    public static void main(String[] args) throws Exception {
        Object view = view(args[0], args[1]);
        try (Writer out = new FileWriter(args[2])) {
            out.write(Json.write(view));
        }
        System.exit(0);
    }

    private static Object view(String name, String argument) throws Exception {
        switch (name) {
            case "remoting":
                return WireDump.dump(new File(argument));
            case "options":
                return OptionDump.dump();
            case "grpc":
                return ProtoDump.dump();
            case "broker":
                return ConfigProbe.broker(argument);
            case "namesrv":
                return ConfigProbe.namesrv(argument);
            case "properties":
                return ConfigProbe.properties(argument);
            default:
                throw new IllegalArgumentException(name);
        }
    }
}
