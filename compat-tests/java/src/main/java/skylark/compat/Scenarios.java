package skylark.compat;

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
 * Runs scenarios against a NameServer and prints one JSON line for each: {scenario, ok, detail, ms, facts}.
 *
 * <p>Usage: {@code Scenarios --run ID [--parallel N] [--repeat N] [--timeout SECONDS] --namesrv HOST:PORT --broker HOST:PORT NAME...}, or
 * {@code Scenarios --list}. A server is that of the names that follow it; there may be several.
 * Nothing else goes to stdout, so clients that print cannot break the lines.
 */
public final class Scenarios {
    private static final PrintStream OUT = System.out;

    /** A scenario and the server it runs against. */
    private record Place(String scenario, String namesrv, String broker) {
    }

    private Scenarios() {
    }

    static Map<String, Scenario> all() {
        Map<String, Scenario> all = new LinkedHashMap<>();
        SendScenarios.register(all);
        LimitScenarios.register(all);
        PushScenarios.register(all);
        OrderScenarios.register(all);
        RetryScenarios.register(all);
        DelayScenarios.register(all);
        TransactionScenarios.register(all);
        TimerScenarios.register(all);
        PullScenarios.register(all);
        LitePullScenarios.register(all);
        SqlScenarios.register(all);
        LmqScenarios.register(all);
        QueryScenarios.register(all);
        TopicScenarios.register(all);
        RequestScenarios.register(all);
        OperatorScenarios.register(all);
        ResetScenarios.register(all);
        TraceScenarios.register(all);
        GroupScenarios.register(all);
        ProducerScenarios.register(all);
        PullServiceScenarios.register(all);
        FaultScenarios.register(all);
        registerIfCompiled("PopScenarios", all);
        registerIfCompiled("Since53Scenarios", all);
        registerIfCompiled("Since55Scenarios", all);
        return all;
    }

    /** Scenarios of what older clients cannot do stand in src/v5, src/since-5.3 and src/since-5.5, which only newer clients compile. */
    private static void registerIfCompiled(String name, Map<String, Scenario> all) {
        try {
            Class.forName("skylark.compat." + name).getDeclaredMethod("register", Map.class).invoke(null, all);
        } catch (ClassNotFoundException olderClient) {
            // Its cells in the table stay empty.
        } catch (ReflectiveOperationException broken) {
            throw new IllegalStateException(name, broken);
        }
    }

    public static void main(String[] args) throws Exception {
        System.setOut(System.err);
        Map<String, Scenario> all = all();
        String namesrv = null;
        String broker = null;
        String run = "0";
        int parallel = 1;
        int repeat = 1;
        long timeoutSeconds = 180;
        List<Place> places = new ArrayList<>();
        for (int i = 0; i < args.length; i++) {
            switch (args[i]) {
                case "--list" -> {
                    all.keySet().forEach(OUT::println);
                    return;
                }
                case "--namesrv" -> namesrv = args[++i];
                case "--broker" -> broker = args[++i];
                case "--run" -> run = args[++i];
                case "--parallel" -> parallel = Integer.parseInt(args[++i]);
                case "--repeat" -> repeat = Integer.parseInt(args[++i]);
                case "--timeout" -> timeoutSeconds = Long.parseLong(args[++i]);
                default -> places.add(new Place(args[i], namesrv, broker));
            }
        }
        Faults faults = new Faults(OUT);
        ExecutorService lanes = Executors.newFixedThreadPool(parallel);
        ExecutorService bodies = Executors.newCachedThreadPool();
        List<Future<?>> started = new ArrayList<>();
        for (int round = 0; round < repeat; round++) {
            for (Place place : places) {
                Scenario scenario = all.get(place.scenario());
                if (scenario == null) {
                    throw new IllegalArgumentException("no scenario " + place.scenario());
                }
                Ctx ctx = new Ctx(place.namesrv(), place.broker(), repeat == 1 ? run : run + "r" + round, place.scenario(), faults);
                long limit = timeoutSeconds;
                started.add(lanes.submit(() -> one(place.scenario(), scenario, ctx, bodies, limit)));
            }
        }
        for (Future<?> future : started) {
            future.get();
        }
        OUT.flush();
        // Client threads that outlive their shutdown must not keep the runner waiting.
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
        long ms = (System.nanoTime() - start) / 1_000_000;
        OUT.println(Json.line(name, failure, ms, ctx.facts()));
        ctx.close();
    }

    private static String describe(Throwable failure) {
        if (failure instanceof Check.Mismatch) {
            return failure.getMessage();
        }
        StackTraceElement where = null;
        for (StackTraceElement element : failure.getStackTrace()) {
            if (element.getClassName().startsWith("skylark.")) {
                where = element;
                break;
            }
        }
        return failure + (where == null ? "" : " at " + where.getFileName() + ":" + where.getLineNumber());
    }
}
