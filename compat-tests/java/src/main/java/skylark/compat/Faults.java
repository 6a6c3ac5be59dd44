package skylark.compat;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;

/** The line to the runner: an order goes out on stdout as "@@ order", the answer "done" or "failed ..." comes back on stdin. */
final class Faults {
    private final PrintStream out;
    private final BufferedReader in = new BufferedReader(new InputStreamReader(System.in));

    Faults(PrintStream out) {
        this.out = out;
    }

    /** Returns what the runner says beside "done". */
    synchronized String order(String order) throws IOException {
        out.println("@@ " + order);
        String answer = in.readLine();
        if (answer == null || !answer.startsWith("done")) {
            throw new Check.Mismatch("the runner could not do " + order + ": " + answer);
        }
        return answer.substring("done".length()).trim();
    }
}
