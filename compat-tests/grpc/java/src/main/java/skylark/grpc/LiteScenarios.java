package skylark.grpc;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.apis.consumer.ConsumeResult;
import org.apache.rocketmq.client.apis.consumer.LitePushConsumer;
import org.apache.rocketmq.client.apis.consumer.MessageListener;
import org.apache.rocketmq.client.apis.consumer.OffsetOption;
import org.apache.rocketmq.client.apis.consumer.SimpleConsumer;
import org.apache.rocketmq.client.apis.message.Message;
import org.apache.rocketmq.client.apis.message.MessageId;
import org.apache.rocketmq.client.apis.message.MessageView;
import org.apache.rocketmq.client.apis.producer.Producer;
import org.apache.rocketmq.client.apis.producer.SendReceipt;

/** Lite topics and recalls, which only newer clients know: found by name, so that older ones compile without this file. */
public final class LiteScenarios {
    private LiteScenarios() {
    }

    public static void register(Map<String, Scenarios.Scenario> all) {
        all.put("recall", LiteScenarios::recall);
        all.put("lite", LiteScenarios::lite);
        all.put("lite-retry", LiteScenarios::retry);
        all.put("lite-exclusive", LiteScenarios::exclusive);
    }

    private static LitePushConsumer consumer(Ctx ctx, String group, MessageListener listener) throws Exception {
        return ctx.own(Ctx.PROVIDER.newLitePushConsumerBuilder().bindTopic(ctx.name("lite")).setClientConfiguration(ctx.configuration())
            .setConsumerGroup(ctx.name(group)).setMessageListener(listener).build());
    }

    private static void send(Ctx ctx, Producer producer, String lite, String body) throws Exception {
        producer.send(Ctx.PROVIDER.newMessageBuilder().setTopic(ctx.name("lite")).setLiteTopic(lite)
            .setBody(body.getBytes(StandardCharsets.UTF_8)).build());
    }

    private static String bodyOf(MessageView view) {
        return StandardCharsets.UTF_8.decode(view.getBody()).toString();
    }

    private interface Condition {
        boolean holds() throws Exception;
    }

    private static void await(String what, Condition condition) throws Exception {
        long end = System.currentTimeMillis() + Ctx.DELIVERY_MS;
        while (!condition.holds()) {
            if (System.currentTimeMillis() > end) {
                throw new IllegalStateException("never: " + what);
            }
            Thread.sleep(50);
        }
    }

    /** A delayed message is taken back before its time, another one of the same time comes. */
    private static void recall(Ctx ctx) throws Exception {
        Producer producer = ctx.producer(ctx.name("delay"));
        SimpleConsumer consumer = ctx.simple(ctx.name("g"), ctx.name("delay"));
        long at = System.currentTimeMillis() + 8_000;
        SendReceipt recalled = producer.send(delayed(ctx, "recalled", at));
        producer.send(delayed(ctx, "kept", at));
        MessageId id = producer.recallMessage(ctx.name("delay"), recalled.getRecallHandle()).getMessageId();
        if (!id.equals(recalled.getMessageId())) {
            throw new IllegalStateException("recalled " + id + " instead of " + recalled.getMessageId());
        }
        List<String> got = new CopyOnWriteArrayList<>();
        long end = at + Ctx.DELIVERY_MS;
        while (System.currentTimeMillis() < (got.contains("kept") ? Math.min(end, at + 4_000) : end)) {
            for (MessageView view : consumer.receive(16, Duration.ofSeconds(30))) {
                got.add(bodyOf(view));
                consumer.ack(view);
            }
        }
        if (!got.equals(List.of("kept"))) {
            throw new IllegalStateException("came: " + got);
        }
    }

    private static Message delayed(Ctx ctx, String body, long at) {
        return Ctx.PROVIDER.newMessageBuilder().setTopic(ctx.name("delay")).setDeliveryTimestamp(at)
            .setBody(body.getBytes(StandardCharsets.UTF_8)).build();
    }

    /** Each lite topic by itself: in order, only what is subscribed to, from where the subscriber says. */
    private static void lite(Ctx ctx) throws Exception {
        Map<String, List<String>> got = new ConcurrentHashMap<>();
        LitePushConsumer consumer = consumer(ctx, "g", view -> {
            got.computeIfAbsent(view.getLiteTopic().orElse("?"), k -> new CopyOnWriteArrayList<>()).add(bodyOf(view));
            return ConsumeResult.SUCCESS;
        });
        consumer.subscribeLite("a");
        consumer.subscribeLite("b");
        Producer producer = ctx.producer(ctx.name("lite"));
        for (int i = 0; i < 10; i++) {
            for (String lite : List.of("a", "b", "c")) {
                send(ctx, producer, lite, lite + i);
            }
        }
        List<String> ten = java.util.stream.IntStream.range(0, 10).mapToObj(String::valueOf).toList();
        for (String lite : List.of("a", "b")) {
            await("ten messages of " + lite + ": " + got, () -> got.getOrDefault(lite, List.of()).size() >= 10);
            List<String> wanted = ten.stream().map(i -> lite + i).toList();
            if (!got.get(lite).equals(wanted)) {
                throw new IllegalStateException(lite + " came as " + got.get(lite));
            }
        }
        if (got.containsKey("c")) {
            throw new IllegalStateException("c came unasked: " + got.get("c"));
        }
        consumer.subscribeLite("c", OffsetOption.MIN_OFFSET);
        await("ten messages of c", () -> got.getOrDefault("c", List.of()).size() >= 10);
        consumer.unsubscribeLite("a");
        if (consumer.getLiteTopicSet().contains("a")) {
            throw new IllegalStateException("still subscribed to a");
        }
        send(ctx, producer, "a", "late");
        send(ctx, producer, "b", "last");
        await("the last one of b", () -> got.get("b").contains("last"));
        Thread.sleep(2000);
        if (got.get("a").contains("late")) {
            throw new IllegalStateException("a came after it was unsubscribed");
        }
        for (String lite : List.of("a", "b", "c")) {
            if (got.get(lite).size() != (lite.equals("b") ? 11 : 10)) {
                throw new IllegalStateException(lite + " came as " + got.get(lite));
            }
        }
    }

    /** A failure holds up its lite topic, and no other. */
    private static void retry(Ctx ctx) throws Exception {
        List<String> got = new CopyOnWriteArrayList<>();
        AtomicInteger attempts = new AtomicInteger();
        LitePushConsumer consumer = consumer(ctx, "g", view -> {
            String body = bodyOf(view);
            if (body.equals("first") && attempts.incrementAndGet() < 3) {
                return ConsumeResult.FAILURE;
            }
            got.add(body + "/" + view.getDeliveryAttempt());
            return ConsumeResult.SUCCESS;
        });
        consumer.subscribeLite("a");
        consumer.subscribeLite("b");
        Producer producer = ctx.producer(ctx.name("lite"));
        send(ctx, producer, "a", "first");
        send(ctx, producer, "a", "second");
        send(ctx, producer, "b", "other");
        await("all three: " + got, () -> got.size() >= 3);
        if (got.indexOf("second/1") < got.indexOf("first/3") || !got.contains("first/3") || !got.contains("other/1")) {
            throw new IllegalStateException("came as " + got);
        }
    }

    /** In an exclusive group the newest subscriber takes a lite topic over, and the one before hears of it. */
    private static void exclusive(Ctx ctx) throws Exception {
        List<String> first = new CopyOnWriteArrayList<>();
        List<String> second = new CopyOnWriteArrayList<>();
        LitePushConsumer one = consumer(ctx, "exclusive", view -> {
            first.add(bodyOf(view));
            return ConsumeResult.SUCCESS;
        });
        one.subscribeLite("a");
        Producer producer = ctx.producer(ctx.name("lite"));
        send(ctx, producer, "a", "1");
        await("the first message", () -> first.contains("1"));
        LitePushConsumer two = consumer(ctx, "exclusive", view -> {
            second.add(bodyOf(view));
            return ConsumeResult.SUCCESS;
        });
        two.subscribeLite("a");
        await("the word that a is lost", () -> !one.getLiteTopicSet().contains("a"));
        send(ctx, producer, "a", "2");
        await("the second message", () -> second.contains("2"));
        if (first.contains("2")) {
            throw new IllegalStateException("both got it");
        }
    }
}
