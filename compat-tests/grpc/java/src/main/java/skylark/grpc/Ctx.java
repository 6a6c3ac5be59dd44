package skylark.grpc;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import org.apache.rocketmq.client.apis.ClientConfiguration;
import org.apache.rocketmq.client.apis.ClientConfigurationBuilder;
import org.apache.rocketmq.client.apis.ClientServiceProvider;
import org.apache.rocketmq.client.apis.StaticSessionCredentialsProvider;
import org.apache.rocketmq.client.apis.consumer.FilterExpression;
import org.apache.rocketmq.client.apis.consumer.MessageListener;
import org.apache.rocketmq.client.apis.consumer.PushConsumer;
import org.apache.rocketmq.client.apis.consumer.SimpleConsumer;
import org.apache.rocketmq.client.apis.message.Message;
import org.apache.rocketmq.client.apis.message.MessageBuilder;
import org.apache.rocketmq.client.apis.message.MessageView;
import org.apache.rocketmq.client.apis.producer.Producer;
import org.apache.rocketmq.client.apis.producer.TransactionChecker;

/** What a scenario works with: the names the runner made for it, and clients that are closed afterwards. */
final class Ctx implements AutoCloseable {
    static final ClientServiceProvider PROVIDER = ClientServiceProvider.loadService();
    /** How long a delivery may take on a busy machine. */
    static final long DELIVERY_MS = 30_000;

    final Map<String, String> facts = Collections.synchronizedMap(new TreeMap<>());
    /** Milliseconds, by what took them. */
    final Map<String, Long> times = Collections.synchronizedMap(new TreeMap<>());
    private final String endpoints;
    private final boolean tls;
    private final String prefix;
    private final Deque<AutoCloseable> closers = new ArrayDeque<>();

    Ctx(String endpoints, boolean tls, String run, String scenario) {
        this.endpoints = endpoints;
        this.tls = tls;
        this.prefix = "G" + run + "_" + scenario.replace('-', '_') + "_";
    }

    /** A topic or group that the runner created for this scenario. */
    String name(String suffix) {
        return prefix + suffix;
    }

    void time(String what, long beginNanos, long endNanos) {
        times.put(what, (endNanos - beginNanos) / 1_000_000);
    }

    ClientConfiguration configuration() {
        ClientConfigurationBuilder builder = ClientConfiguration.newBuilder()
            .setEndpoints(endpoints).enableSsl(tls).setRequestTimeout(Duration.ofSeconds(10));
        String accessKey = System.getenv("ROCKETMQ_ACCESS_KEY");
        if (accessKey != null) {
            builder.setCredentialProvider(new StaticSessionCredentialsProvider(accessKey, System.getenv("ROCKETMQ_SECRET_KEY")));
        }
        return builder.build();
    }

    Producer producer(String... topics) throws Exception {
        return own(PROVIDER.newProducerBuilder().setClientConfiguration(configuration()).setTopics(topics).build());
    }

    Producer producer(TransactionChecker checker, String... topics) throws Exception {
        return own(PROVIDER.newProducerBuilder().setClientConfiguration(configuration()).setTopics(topics)
            .setTransactionChecker(checker).build());
    }

    SimpleConsumer simple(String group, String topic, FilterExpression filter, int awaitSeconds) throws Exception {
        return own(PROVIDER.newSimpleConsumerBuilder().setClientConfiguration(configuration()).setConsumerGroup(group)
            .setAwaitDuration(Duration.ofSeconds(awaitSeconds)).setSubscriptionExpressions(Map.of(topic, filter)).build());
    }

    SimpleConsumer simple(String group, String topic) throws Exception {
        return simple(group, topic, FilterExpression.SUB_ALL, 5);
    }

    PushConsumer push(String group, String topic, FilterExpression filter, MessageListener listener) throws Exception {
        return own(PROVIDER.newPushConsumerBuilder().setClientConfiguration(configuration()).setConsumerGroup(group)
            .setSubscriptionExpressions(Map.of(topic, filter)).setMessageListener(listener).build());
    }

    <C extends AutoCloseable> C own(C client) {
        synchronized (closers) {
            closers.push(client);
        }
        return client;
    }

    static MessageBuilder message(String topic, String body) {
        return PROVIDER.newMessageBuilder().setTopic(topic).setBody(body.getBytes(StandardCharsets.UTF_8));
    }

    static Message plain(String topic, String body) {
        return message(topic, body).build();
    }

    static String text(MessageView view) {
        ByteBuffer body = view.getBody();
        byte[] bytes = new byte[body.remaining()];
        body.get(bytes);
        return new String(bytes, StandardCharsets.UTF_8);
    }

    /** Receives and acknowledges until there are so many. A group that is new starts at the end of its queues: subscribe before sending. */
    static List<MessageView> receive(SimpleConsumer consumer, int count) throws Exception {
        List<MessageView> got = new ArrayList<>();
        long limit = System.currentTimeMillis() + DELIVERY_MS;
        while (got.size() < count && System.currentTimeMillis() < limit) {
            for (MessageView view : consumer.receive(16, Duration.ofSeconds(20))) {
                got.add(view);
                consumer.ack(view);
            }
        }
        return got;
    }

    /** A new group starts at the end of a queue when it first asks for it: this asks, so that later messages are seen. */
    static void settle(SimpleConsumer consumer) throws Exception {
        consumer.receive(1, Duration.ofSeconds(10));
    }

    static void await(String what, Callable<Boolean> condition) throws Exception {
        await(what, DELIVERY_MS, condition);
    }

    static void await(String what, long limitMs, Callable<Boolean> condition) throws Exception {
        long limit = System.currentTimeMillis() + limitMs;
        while (!condition.call()) {
            if (System.currentTimeMillis() > limit) {
                throw new AssertionError("not within " + limitMs + " ms: " + what);
            }
            Thread.sleep(20);
        }
    }

    static void equal(String what, Object wanted, Object got) {
        if (!java.util.Objects.equals(wanted, got)) {
            throw new AssertionError(what + ": wanted " + wanted + ", got " + got);
        }
    }

    static void check(String what, boolean holds) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    /** The class and code of what an action throws; nothing thrown is a failure. */
    static String refusal(Callable<?> action) {
        try {
            Object result = action.call();
            throw new AssertionError("not refused: " + result);
        } catch (AssertionError e) {
            throw e;
        } catch (Throwable e) {
            String code = e.getMessage() == null ? "" : e.getMessage().replaceAll(".*response-code=(\\d+).*", " $1");
            return e.getClass().getSimpleName() + (code.startsWith(" ") ? code : "");
        }
    }

    @Override
    public void close() {
        synchronized (closers) {
            for (AutoCloseable client : closers) {
                try {
                    client.close();
                } catch (Exception e) {
                    System.err.println("close: " + e);
                }
            }
        }
    }
}
