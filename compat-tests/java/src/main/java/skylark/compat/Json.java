package skylark.compat;

import java.util.Map;

/** Writes the one kind of line the runner reads; the client's own JSON library differs by version and is not relied on. */
final class Json {
    private Json() {
    }

    static String line(String scenario, String failure, long ms, Map<String, String> facts) {
        StringBuilder out = new StringBuilder();
        out.append("{\"scenario\":").append(quote(scenario)).append(",\"ok\":").append(failure == null).append(",\"detail\":")
            .append(quote(failure == null ? "" : failure)).append(",\"ms\":").append(ms).append(",\"facts\":{");
        String comma = "";
        for (Map.Entry<String, String> fact : facts.entrySet()) {
            out.append(comma).append(quote(fact.getKey())).append(':').append(quote(fact.getValue()));
            comma = ",";
        }
        return out.append("}}").toString();
    }

    private static String quote(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == '"' || c == '\\') {
                out.append('\\').append(c);
            } else if (c < ' ' || c > '~') {
                out.append(String.format("\\u%04x", (int) c));
            } else {
                out.append(c);
            }
        }
        return out.append('"').toString();
    }
}
