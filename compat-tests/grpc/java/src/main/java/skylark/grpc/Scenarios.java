package skylark.grpc;

import java.io.PrintStream;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * Runs scenarios of the 5.x client and prints one JSON line for each: {scenario, ok, detail, ms, facts, times}.
 *
 * <p>Usage: {@code Scenarios --endpoints HOST:PORT --run ID [--tls] [--parallel N] [--timeout SECONDS] NAME...}, or {@code --list}.
 */
public final class Scenarios {
    private static final PrintStream OUT = System.out;

    private Scenarios() {
    }

    public interface Scenario {
        void run(Ctx ctx) throws Exception;
    }

    static Map<String, Scenario> all() {
        Map<String, Scenario> all = new LinkedHashMap<>();
        ProducerScenarios.register(all);
        SimpleScenarios.register(all);
        PushScenarios.register(all);
        try {
            Class.forName("skylark.grpc.LiteScenarios").getMethod("register", Map.class).invoke(null, all);
        } catch (ClassNotFoundException e) {
            // This version of the client knows no lite topics.
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
        return all;
    }

    public static void main(String[] args) throws Exception {
        System.setOut(System.err);
        Map<String, Scenario> all = all();
        String endpoints = null;
        String run = "0";
        boolean tls = false;
        int parallel = 1;
        long timeoutSeconds = 120;
        List<String> names = new ArrayList<>();
        for (int i = 0; i < args.length; i++) {
            switch (args[i]) {
                case "--list" -> {
                    all.keySet().forEach(OUT::println);
                    return;
                }
                case "--endpoints" -> endpoints = args[++i];
                case "--run" -> run = args[++i];
                case "--tls" -> tls = true;
                case "--parallel" -> parallel = Integer.parseInt(args[++i]);
                case "--timeout" -> timeoutSeconds = Long.parseLong(args[++i]);
                default -> names.add(args[i]);
            }
        }
        ExecutorService lanes = Executors.newFixedThreadPool(parallel);
        ExecutorService bodies = Executors.newCachedThreadPool();
        List<Future<?>> started = new ArrayList<>();
        for (String name : names) {
            Ctx ctx = new Ctx(endpoints, tls, run, name);
            long limit = timeoutSeconds;
            started.add(lanes.submit(() -> one(name, all.get(name), ctx, bodies, limit)));
        }
        for (Future<?> future : started) {
            future.get();
        }
        OUT.flush();
        Runtime.getRuntime().halt(0);
    }

    private static void one(String name, Scenario scenario, Ctx ctx, ExecutorService bodies, long limitSeconds) {
        long start = System.nanoTime();
        Future<?> body = bodies.submit(() -> {
            scenario.run(ctx);
            return null;
        });
        String failure = null;
        try {
            body.get(limitSeconds, TimeUnit.SECONDS);
        } catch (ExecutionException e) {
            failure = describe(e.getCause());
        } catch (TimeoutException e) {
            failure = "not finished after " + limitSeconds + " s";
            body.cancel(true);
        } catch (InterruptedException e) {
            failure = "interrupted";
        }
        OUT.println(line(name, failure, (System.nanoTime() - start) / 1_000_000, ctx));
        ctx.close();
    }

    private static String describe(Throwable failure) {
        for (StackTraceElement element : failure.getStackTrace()) {
            if (element.getClassName().startsWith("skylark.") && !element.getClassName().endsWith("Ctx")) {
                return failure + " at " + element.getFileName() + ":" + element.getLineNumber();
            }
        }
        return failure.toString();
    }

    private static String line(String scenario, String failure, long ms, Ctx ctx) {
        StringBuilder text = new StringBuilder();
        StringBuilder times = new StringBuilder();
        ctx.times.forEach((key, value) -> times.append(times.isEmpty() ? "" : ",").append(quote(key)).append(':').append(value));
        ctx.facts.forEach((key, value) -> text.append(text.isEmpty() ? "" : ",").append(quote(key)).append(':').append(quote(value)));
        return "{\"scenario\":" + quote(scenario) + ",\"ok\":" + (failure == null) + ",\"detail\":" + quote(failure == null ? "" : failure)
            + ",\"ms\":" + ms + ",\"facts\":{" + text + "},\"times\":{" + times + "}}";
    }

    private static String quote(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') {
                out.append('\\').append(c);
            } else if (c < 0x20 || c > 0x7e) {
                out.append(String.format("\\u%04x", (int) c));
            } else {
                out.append(c);
            }
        }
        return out.append('"').toString();
    }
}
