// The official 5.x Java client as a load generator, nothing but its public API.
//   java -cp <client jars> GrpcBench <host:port> <mode> <topic> <group> <bodyBytes> <warmupSeconds> <seconds> <n>
// mode "send":    n sends in flight, asynchronous.
// mode "receive": n loops of a simple consumer that receive 32 and acknowledge each asynchronously; a message counts once it is acknowledged.
// Prints "begin", "measured" and "end <json>" around the measured window, so that the caller can sample the server's CPU at both edges.
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.client.apis.ClientConfiguration;
import org.apache.rocketmq.client.apis.ClientServiceProvider;
import org.apache.rocketmq.client.apis.consumer.FilterExpression;
import org.apache.rocketmq.client.apis.consumer.SimpleConsumer;
import org.apache.rocketmq.client.apis.message.MessageView;
import org.apache.rocketmq.client.apis.producer.Producer;

public final class GrpcBench {
    private static final ClientServiceProvider PROVIDER = ClientServiceProvider.loadService();
    private static final int BATCH = 32;
    /** Latencies in nanoseconds, kept whole. */
    private static final long[] NANOS = new long[8_000_000];
    private static final AtomicInteger COUNT = new AtomicInteger();
    /** Since the start, window or not. */
    private static final AtomicLong ACKNOWLEDGED = new AtomicLong();
    private static final AtomicLong ERRORS = new AtomicLong();
    private static volatile String firstError;
    private static volatile boolean measuring;
    private static volatile boolean stopped;

    private GrpcBench() {
    }

    public static void main(String[] args) throws Exception {
        String mode = args[1];
        String topic = args[2];
        String group = args[3];
        byte[] body = new byte[Integer.parseInt(args[4])];
        Arrays.fill(body, (byte) 'x');
        long warmupMs = (long) (Double.parseDouble(args[5]) * 1000);
        long measureMs = (long) (Double.parseDouble(args[6]) * 1000);
        int n = Integer.parseInt(args[7]);
        ClientConfiguration configuration = ClientConfiguration.newBuilder().setEndpoints(args[0]).enableSsl(false)
            .setRequestTimeout(Duration.ofSeconds(10)).build();
        if (mode.equals("send")) {
            Producer producer = PROVIDER.newProducerBuilder().setClientConfiguration(configuration).setTopics(topic).build();
            start(() -> send(producer, topic, body, n));
        } else {
            SimpleConsumer consumer = PROVIDER.newSimpleConsumerBuilder().setClientConfiguration(configuration)
                .setConsumerGroup(group).setAwaitDuration(Duration.ofSeconds(5))
                .setSubscriptionExpressions(Map.of(topic, FilterExpression.SUB_ALL)).build();
            for (int i = 0; i < n; i++) {
                start(() -> receive(consumer));
            }
        }
        Thread.sleep(warmupMs);
        measuring = true;
        long begin = System.nanoTime();
        System.out.println("begin");
        Thread.sleep(measureMs);
        System.out.println("measured");
        measuring = false;
        double seconds = (System.nanoTime() - begin) / 1e9;
        stopped = true;
        System.out.println("end " + json(seconds));
        // The client's own end would wait for polls.
        Runtime.getRuntime().halt(0);
    }

    private static void start(Runnable load) {
        Thread thread = new Thread(load);
        thread.setDaemon(true);
        thread.start();
    }

    private static void send(Producer producer, String topic, byte[] body, int inFlight) {
        Semaphore slots = new Semaphore(inFlight);
        while (!stopped) {
            slots.acquireUninterruptibly();
            long sentAt = System.nanoTime();
            producer.sendAsync(PROVIDER.newMessageBuilder().setTopic(topic).setBody(body).build()).whenComplete((receipt, error) -> {
                slots.release();
                done(error, sentAt);
            });
        }
    }

    private static void receive(SimpleConsumer consumer) {
        while (!stopped) {
            try {
                List<MessageView> views = consumer.receive(BATCH, Duration.ofSeconds(60));
                long sentAt = System.nanoTime();
                CompletableFuture<?>[] acks = new CompletableFuture<?>[views.size()];
                for (int i = 0; i < acks.length; i++) {
                    acks[i] = consumer.ackAsync(views.get(i)).whenComplete((nothing, error) -> done(error, sentAt));
                }
                CompletableFuture.allOf(acks).join();
            } catch (Throwable e) {
                done(e, 0);
            }
        }
    }

    private static void done(Throwable error, long sentAt) {
        if (error == null) {
            ACKNOWLEDGED.incrementAndGet();
        }
        if (stopped) {
            return;
        }
        if (error != null) {
            ERRORS.incrementAndGet();
            firstError = error.toString();
        } else if (measuring) {
            int at = COUNT.getAndIncrement();
            if (at < NANOS.length) {
                NANOS[at] = System.nanoTime() - sentAt;
            }
        }
    }

    private static String json(double seconds) {
        int n = Math.min(COUNT.get(), NANOS.length);
        Arrays.sort(NANOS, 0, n);
        String error = firstError == null ? "null" : "\"" + firstError.replaceAll("[^ -!#-\\[\\]-~]", " ") + "\"";
        return String.format("{\"messages\":%d,\"seconds\":%.3f,\"p50Ms\":%.3f,\"p99Ms\":%.3f,\"acknowledged\":%d,\"errors\":%d,"
            + "\"firstError\":%s}", n, seconds, at(n, 0.50), at(n, 0.99), ACKNOWLEDGED.get(), ERRORS.get(), error);
    }

    private static double at(int n, double quantile) {
        return n == 0 ? 0 : NANOS[(int) Math.min(n - 1L, (long) (n * quantile))] / 1e6;
    }
}
