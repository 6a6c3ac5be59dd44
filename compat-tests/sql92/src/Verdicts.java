import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.HashMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.filter.FilterFactory;
import org.apache.rocketmq.filter.expression.EvaluationContext;
import org.apache.rocketmq.filter.expression.Expression;

/**
 * Apache's own evaluator behind a pipe. A line in: the expression and property sets, each in base64 (UTF-16 units, high byte first, for the expression, so
 * that lone surrogates survive; UTF-8 for properties, as on the wire), with blanks between. A line out: one letter per set (T, F, N for null, E for a
 * throw), or `R` and, where Apache names it for a syntax error, the position as line:column. `r` instead of `R` says that Apache blames a NOT or a
 * plus sign, because it looks ahead from there: the culprit lies further on.
 */
public class Verdicts {
    private static final Pattern POSITION = Pattern.compile("Encountered \"(.*)\" at line (\\d+), column (\\d+)", Pattern.DOTALL);

    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        BufferedWriter out = new BufferedWriter(new OutputStreamWriter(System.out, StandardCharsets.US_ASCII));
        Base64.Decoder decoder = Base64.getDecoder();
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] fields = line.split(" ", -1);
            out.write(answer(ByteBuffer.wrap(decoder.decode(fields[0])).asCharBuffer().toString(), fields, decoder));
            out.write('\n');
        }
        out.flush();
    }

    private static String answer(String sql, String[] fields, Base64.Decoder decoder) {
        Expression compiled;
        try {
            compiled = FilterFactory.INSTANCE.get("SQL92").compile(sql);
        } catch (Throwable refusal) {
            Matcher position = POSITION.matcher(String.valueOf(refusal.getMessage()));
            if (!position.find()) {
                return "R";
            }
            String token = position.group(1);
            boolean early = token.startsWith(" \"NOT\"") || token.startsWith(" \"+\"");
            return (early ? "r" : "R") + position.group(2) + ":" + position.group(3);
        }
        StringBuilder verdicts = new StringBuilder();
        for (int i = 1; i < fields.length; i++) {
            String properties = new String(decoder.decode(fields[i]), StandardCharsets.UTF_8);
            verdicts.append(verdict(compiled, MessageDecoder.string2messageProperties(properties)));
        }
        return verdicts.toString();
    }

    private static char verdict(Expression compiled, Map<String, String> properties) {
        Object result;
        try {
            result = compiled.evaluate(new Properties(properties));
        } catch (Throwable failure) {
            return 'E';
        }
        if (result == null) {
            return 'N';
        }
        return Boolean.TRUE.equals(result) ? 'T' : Boolean.FALSE.equals(result) ? 'F' : 'X';
    }

    private static class Properties implements EvaluationContext {
        private final Map<String, String> properties;

        Properties(Map<String, String> properties) {
            this.properties = properties;
        }

        @Override
        public Object get(String name) {
            return properties.get(name);
        }

        @Override
        public Map<String, Object> keyValues() {
            return new HashMap<>(properties);
        }
    }
}
