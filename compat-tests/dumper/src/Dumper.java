import java.io.File;
import java.io.FileWriter;
import java.io.Writer;

/** `Dumper remoting|options JAR_DIRECTORY OUTPUT_FILE`: dumps one view of the Apache classes on the class path as JSON. */
public final class Dumper {
    private Dumper() {
    }

    public static void main(String[] args) throws Exception {
        Object dump = args[0].equals("remoting") ? WireDump.dump(new File(args[1])) : OptionDump.dump();
        try (Writer out = new FileWriter(args[2])) {
            out.write(Json.write(dump));
        }
        System.exit(0);
    }
}
