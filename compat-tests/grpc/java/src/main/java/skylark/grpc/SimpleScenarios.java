package skylark.grpc;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.apache.rocketmq.client.apis.consumer.FilterExpression;
import org.apache.rocketmq.client.apis.consumer.FilterExpressionType;
import org.apache.rocketmq.client.apis.consumer.SimpleConsumer;
import org.apache.rocketmq.client.apis.message.MessageView;
import org.apache.rocketmq.client.apis.producer.Producer;

/** Simple consumers: receive, acknowledge, change the invisible time. */
final class SimpleScenarios {
    private SimpleScenarios() {
    }

    static void register(Map<String, Scenarios.Scenario> all) {
        all.put("simple-redelivery", SimpleScenarios::redelivery);
        all.put("simple-change-invisible", SimpleScenarios::changeInvisible);
        all.put("simple-ack-changed", SimpleScenarios::ackChanged);
        all.put("simple-long-polling", SimpleScenarios::longPolling);
        all.put("simple-refused", SimpleScenarios::refused);
        all.put("simple-two-members", SimpleScenarios::twoMembers);
        all.put("filter-tag", SimpleScenarios::tags);
        all.put("filter-sql", SimpleScenarios::sql);
    }

    static void redelivery(Ctx ctx) throws Exception {
        String topic = ctx.name("normal");
        SimpleConsumer consumer = ctx.simple(ctx.name("g"), topic);
        Ctx.settle(consumer);
        ctx.producer(topic).send(Ctx.plain(topic, "again"));
        MessageView first = one(consumer, Duration.ofSeconds(10));
        long begin = System.currentTimeMillis();
        Ctx.equal("attempt", 1, first.getDeliveryAttempt());
        MessageView second = one(consumer, Duration.ofSeconds(30));
        long waited = System.currentTimeMillis() - begin;
        Ctx.check("came back after " + waited + " ms", waited >= 8_000 && waited < 25_000);
        Ctx.equal("attempt", 2, second.getDeliveryAttempt());
        Ctx.equal("id", first.getMessageId().toString(), second.getMessageId().toString());
        ctx.facts.put("acknowledging the first delivery", outcome(() -> consumer.ack(first)));
        consumer.ack(second);
        Ctx.equal("after the acknowledgement", List.of(), consumer.receive(16, Duration.ofSeconds(10)));
    }

    static void changeInvisible(Ctx ctx) throws Exception {
        String topic = ctx.name("normal");
        SimpleConsumer consumer = ctx.simple(ctx.name("g"), topic);
        Ctx.settle(consumer);
        ctx.producer(topic).send(Ctx.plain(topic, "hidden"));
        MessageView view = one(consumer, Duration.ofSeconds(60));
        long begin = System.currentTimeMillis();
        consumer.changeInvisibleDuration(view, Duration.ofSeconds(5));
        MessageView again = one(consumer, Duration.ofSeconds(60));
        long waited = System.currentTimeMillis() - begin;
        Ctx.check("came back after " + waited + " ms", waited >= 4_000 && waited < 20_000);
        Ctx.equal("attempt", 2, again.getDeliveryAttempt());
        consumer.changeInvisibleDuration(again, Duration.ofSeconds(60));
        consumer.ack(again);
        Ctx.equal("nothing more", List.of(), consumer.receive(16, Duration.ofSeconds(10)));
    }

    /** Several of each queue, so that most do not stand first in their pop: what their new handles acknowledge stays away. */
    static void ackChanged(Ctx ctx) throws Exception {
        String topic = ctx.name("normal");
        SimpleConsumer consumer = ctx.simple(ctx.name("g"), topic);
        Ctx.settle(consumer);
        Producer producer = ctx.producer(topic);
        for (int i = 0; i < 12; i++) {
            producer.send(Ctx.plain(topic, "body " + i));
        }
        List<MessageView> got = new ArrayList<>();
        long limit = System.currentTimeMillis() + Ctx.DELIVERY_MS;
        while (got.size() < 12 && System.currentTimeMillis() < limit) {
            got.addAll(consumer.receive(32, Duration.ofSeconds(60)));
        }
        for (MessageView view : got) {
            consumer.changeInvisibleDuration(view, Duration.ofSeconds(8));
            consumer.ack(view);
        }
        Ctx.equal("received", 12, got.size());
        for (int polls = 0; polls < 3; polls++) {
            Ctx.equal("nothing more", List.of(), consumer.receive(32, Duration.ofSeconds(60)));
        }
    }

    static void longPolling(Ctx ctx) throws Exception {
        String topic = ctx.name("normal");
        SimpleConsumer consumer = ctx.simple(ctx.name("g"), topic, FilterExpression.SUB_ALL, 15);
        Producer producer = ctx.producer(topic);
        long begin = System.currentTimeMillis();
        Ctx.equal("nothing", List.of(), consumer.receive(1, Duration.ofSeconds(10)));
        long waited = System.currentTimeMillis() - begin;
        Ctx.check("waited " + waited + " ms in vain", waited > 10_000 && waited < 20_000);
        Thread sender = new Thread(() -> {
            try {
                Thread.sleep(2_000);
                producer.send(Ctx.plain(topic, "wake up"));
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        });
        begin = System.currentTimeMillis();
        sender.start();
        MessageView view = one(consumer, Duration.ofSeconds(20));
        waited = System.currentTimeMillis() - begin;
        Ctx.check("woken after " + waited + " ms", waited >= 1_500 && waited < 8_000);
        consumer.ack(view);
    }

    static void refused(Ctx ctx) throws Exception {
        String topic = ctx.name("normal");
        SimpleConsumer consumer = ctx.simple(ctx.name("g"), topic);
        ctx.facts.put("too short", Ctx.refusal(() -> consumer.receive(1, Duration.ofSeconds(5))));
        ctx.facts.put("too long", Ctx.refusal(() -> consumer.receive(1, Duration.ofHours(13))));
        ctx.facts.put("missing topic", Ctx.refusal(() -> ctx.simple(ctx.name("g"), ctx.name("missing"))));
        ctx.facts.put("batch of 100", outcome(() -> consumer.receive(100, Duration.ofSeconds(10))));
    }

    static void twoMembers(Ctx ctx) throws Exception {
        String topic = ctx.name("normal");
        SimpleConsumer a = ctx.simple(ctx.name("g"), topic);
        SimpleConsumer b = ctx.simple(ctx.name("g"), topic);
        Ctx.settle(a);
        Producer producer = ctx.producer(topic);
        for (int i = 0; i < 40; i++) {
            producer.send(Ctx.plain(topic, "body " + i));
        }
        Set<String> got = new TreeSet<>();
        int deliveries = 0;
        long limit = System.currentTimeMillis() + Ctx.DELIVERY_MS;
        while (got.size() < 40 && System.currentTimeMillis() < limit) {
            for (SimpleConsumer consumer : List.of(a, b)) {
                for (MessageView view : consumer.receive(4, Duration.ofSeconds(60))) {
                    got.add(Ctx.text(view));
                    deliveries++;
                    consumer.ack(view);
                }
            }
        }
        Ctx.equal("messages", 40, got.size());
        Ctx.equal("deliveries", 40, deliveries);
    }

    static void tags(Ctx ctx) throws Exception {
        String topic = ctx.name("normal");
        SimpleConsumer consumer = ctx.simple(ctx.name("g"), topic, new FilterExpression("red || blue", FilterExpressionType.TAG), 5);
        Ctx.settle(consumer);
        Producer producer = ctx.producer(topic);
        for (String tag : List.of("red", "green", "blue", "BaB", "red")) {
            producer.send(Ctx.message(topic, tag).setTag(tag).build());
        }
        producer.send(Ctx.plain(topic, "no tag"));
        Ctx.equal("messages", List.of("blue", "red", "red"), Ctx.receive(consumer, 3).stream().map(Ctx::text).sorted().toList());
        Ctx.equal("nothing more", List.of(), consumer.receive(16, Duration.ofSeconds(10)));
    }

    static void sql(Ctx ctx) throws Exception {
        String topic = ctx.name("normal");
        FilterExpression filter = new FilterExpression("size > 3 AND colour IN ('red', 'blue')", FilterExpressionType.SQL92);
        SimpleConsumer consumer = ctx.simple(ctx.name("g"), topic, filter, 5);
        Ctx.settle(consumer);
        Producer producer = ctx.producer(topic);
        for (String colour : List.of("red", "green", "blue")) {
            for (int size : new int[] {1, 5}) {
                producer.send(Ctx.message(topic, colour + size).addProperty("colour", colour).addProperty("size", "" + size).build());
            }
        }
        Set<String> got = new HashSet<>(Ctx.receive(consumer, 2).stream().map(Ctx::text).toList());
        Ctx.equal("messages", Set.of("red5", "blue5"), got);
        Ctx.equal("nothing more", List.of(), consumer.receive(16, Duration.ofSeconds(10)));
    }

    interface Action {
        Object call() throws Exception;
    }

    private interface Step {
        void run() throws Exception;
    }

    static String outcome(Action action) {
        try {
            action.call();
            return "ok";
        } catch (Throwable e) {
            return Ctx.refusal(() -> {
                if (e instanceof Exception exception) {
                    throw exception;
                }
                throw new IllegalStateException(e);
            });
        }
    }

    static String outcome(Step step) {
        return outcome((Action) () -> {
            step.run();
            return null;
        });
    }

    /** The next message, which is not acknowledged. */
    static MessageView one(SimpleConsumer consumer, Duration invisible) throws Exception {
        long limit = System.currentTimeMillis() + Ctx.DELIVERY_MS;
        while (System.currentTimeMillis() < limit) {
            List<MessageView> views = consumer.receive(1, invisible);
            if (!views.isEmpty()) {
                return views.get(0);
            }
        }
        throw new AssertionError("no message within " + Ctx.DELIVERY_MS + " ms");
    }
}
