package skylark.grpc;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import org.apache.rocketmq.client.apis.consumer.ConsumeResult;
import org.apache.rocketmq.client.apis.consumer.FilterExpression;
import org.apache.rocketmq.client.apis.consumer.SimpleConsumer;
import org.apache.rocketmq.client.apis.message.MessageView;
import org.apache.rocketmq.client.apis.producer.Producer;

/** Push consumers: delivery, retries, dead letters, order. */
final class PushScenarios {
    private PushScenarios() {
    }

    static void register(Map<String, Scenarios.Scenario> all) {
        all.put("push", PushScenarios::push);
        all.put("push-first", PushScenarios::first);
        all.put("push-retry", PushScenarios::retry);
        all.put("push-dlq", PushScenarios::dlq);
        all.put("push-slow", PushScenarios::slow);
        all.put("fifo", PushScenarios::fifo);
        all.put("fifo-retry", PushScenarios::fifoRetry);
        all.put("fifo-dlq", PushScenarios::fifoDlq);
    }

    /** Sends until the consumer has seen something, so that its group has a place in every queue. */
    private static void settle(Ctx ctx, Producer producer, String topic, List<String> seen, boolean fifo) throws Exception {
        long begin = System.currentTimeMillis();
        int probes = 0;
        while (seen.isEmpty()) {
            Ctx.check("the consumer sees nothing", System.currentTimeMillis() - begin < Ctx.DELIVERY_MS * 2);
            String body = "probe " + probes++;
            producer.send(fifo ? Ctx.message(topic, body).setMessageGroup(body).build() : Ctx.plain(topic, body));
            Thread.sleep(500);
        }
        int sent = probes;
        Ctx.await("all probes are seen", () -> seen.size() > 0 && sent > 0);
        System.err.println("settled after " + (System.currentTimeMillis() - begin) + " ms");
    }

    static void push(Ctx ctx) throws Exception {
        String topic = ctx.name("normal");
        List<String> probes = new CopyOnWriteArrayList<>();
        Map<String, Integer> got = new ConcurrentHashMap<>();
        ctx.push(ctx.name("g"), topic, FilterExpression.SUB_ALL, view -> {
            String body = Ctx.text(view);
            if (body.startsWith("probe")) {
                probes.add(body);
            } else {
                got.merge(body, 1, Integer::sum);
            }
            return ConsumeResult.SUCCESS;
        });
        Producer producer = ctx.producer(topic);
        settle(ctx, producer, topic, probes, false);
        for (int i = 0; i < 200; i++) {
            producer.send(Ctx.plain(topic, "body " + i));
        }
        Ctx.await("200 messages", () -> got.size() == 200);
        Thread.sleep(2_000);
        Ctx.equal("deliveries", 200, got.values().stream().mapToInt(Integer::intValue).sum());
    }

    /** How long a message waits for a consumer that starts: one that is there already, the next one, one for a group that is new. */
    static void first(Ctx ctx) throws Exception {
        String topic = ctx.name("normal");
        String group = ctx.name("g");
        SimpleConsumer settler = ctx.simple(group, topic);
        Ctx.settle(settler);
        settler.close();
        Producer producer = ctx.producer(topic);
        producer.send(Ctx.plain(topic, "first"));
        Map<String, Long> seen = new ConcurrentHashMap<>();
        long begin = System.nanoTime();
        ctx.push(group, topic, FilterExpression.SUB_ALL, view -> {
            seen.putIfAbsent(Ctx.text(view), System.nanoTime());
            return ConsumeResult.SUCCESS;
        });
        ctx.time("start", begin, System.nanoTime());
        Ctx.await("the first message", 60_000, () -> seen.containsKey("first"));
        ctx.time("first", begin, seen.get("first"));
        long sent = System.nanoTime();
        producer.send(Ctx.plain(topic, "next"));
        Ctx.await("the next message", 60_000, () -> seen.containsKey("next"));
        ctx.time("next", sent, seen.get("next"));

        Map<String, Long> fresh = new ConcurrentHashMap<>();
        begin = System.nanoTime();
        ctx.push(ctx.name("fresh"), topic, FilterExpression.SUB_ALL, view -> {
            fresh.putIfAbsent("any", System.nanoTime());
            return ConsumeResult.SUCCESS;
        });
        for (int i = 0; fresh.isEmpty(); i++) {
            Ctx.check("a new group sees nothing", i < 600);
            producer.send(Ctx.plain(topic, "probe " + i));
            Thread.sleep(100);
        }
        ctx.time("fresh", begin, fresh.get("any"));
    }

    static void retry(Ctx ctx) throws Exception {
        String topic = ctx.name("normal");
        List<String> probes = new CopyOnWriteArrayList<>();
        List<Integer> attempts = new CopyOnWriteArrayList<>();
        List<Long> times = new CopyOnWriteArrayList<>();
        ctx.push(ctx.name("g"), topic, FilterExpression.SUB_ALL, view -> {
            if (Ctx.text(view).startsWith("probe")) {
                probes.add(Ctx.text(view));
                return ConsumeResult.SUCCESS;
            }
            attempts.add(view.getDeliveryAttempt());
            times.add(System.currentTimeMillis());
            return attempts.size() < 3 ? ConsumeResult.FAILURE : ConsumeResult.SUCCESS;
        });
        Producer producer = ctx.producer(topic);
        settle(ctx, producer, topic, probes, false);
        producer.send(Ctx.message(topic, "hard").setTag("t").setKeys("k").addProperty("p", "q").build());
        Ctx.await("three attempts", 60_000, () -> attempts.size() >= 3);
        Thread.sleep(3_000);
        Ctx.equal("attempts", List.of(1, 2, 3), List.copyOf(attempts));
        Ctx.check("pauses " + times, times.get(1) - times.get(0) >= 700);
    }

    static void dlq(Ctx ctx) throws Exception {
        String topic = ctx.name("normal");
        String group = ctx.name("once");
        List<String> probes = new CopyOnWriteArrayList<>();
        List<Integer> attempts = new CopyOnWriteArrayList<>();
        ctx.push(group, topic, FilterExpression.SUB_ALL, view -> {
            if (Ctx.text(view).startsWith("probe")) {
                probes.add(Ctx.text(view));
                return ConsumeResult.SUCCESS;
            }
            attempts.add(view.getDeliveryAttempt());
            return ConsumeResult.FAILURE;
        });
        Producer producer = ctx.producer(topic);
        settle(ctx, producer, topic, probes, false);
        producer.send(Ctx.message(topic, "hopeless").addProperty("p", "q").build());
        Ctx.await("two attempts", 60_000, () -> attempts.size() >= 2);
        Ctx.equal("dead letters", List.of("hopeless"), deadLetters(ctx, group, 1));
        Ctx.equal("attempts", List.of(1, 2), List.copyOf(attempts));
    }

    /** The dead letters of a group, by polling: their topic comes into being with the first. */
    private static List<String> deadLetters(Ctx ctx, String group, int count) throws Exception {
        String topic = "%DLQ%" + group;
        long limit = System.currentTimeMillis() + 60_000;
        while (true) {
            try {
                SimpleConsumer consumer = ctx.simple(ctx.name("reader"), topic);
                List<String> bodies = new ArrayList<>();
                while (bodies.size() < count && System.currentTimeMillis() < limit) {
                    Ctx.receive(consumer, count).forEach(view -> bodies.add(Ctx.text(view)));
                }
                return bodies;
            } catch (Exception e) {
                if (System.currentTimeMillis() > limit) {
                    throw e;
                }
                Thread.sleep(500);
            }
        }
    }

    static void slow(Ctx ctx) throws Exception {
        String topic = ctx.name("normal");
        List<String> probes = new CopyOnWriteArrayList<>();
        List<Integer> attempts = new CopyOnWriteArrayList<>();
        ctx.push(ctx.name("g"), topic, FilterExpression.SUB_ALL, view -> {
            if (Ctx.text(view).startsWith("probe")) {
                probes.add(Ctx.text(view));
                return ConsumeResult.SUCCESS;
            }
            attempts.add(view.getDeliveryAttempt());
            try {
                // Longer than the invisible time: the server renews it meanwhile.
                Thread.sleep(75_000);
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
            return ConsumeResult.SUCCESS;
        });
        Producer producer = ctx.producer(topic);
        settle(ctx, producer, topic, probes, false);
        producer.send(Ctx.plain(topic, "slow"));
        Ctx.await("delivery", () -> attempts.size() == 1);
        Thread.sleep(90_000);
        Ctx.equal("deliveries", List.of(1), List.copyOf(attempts));
    }

    static void fifo(Ctx ctx) throws Exception {
        String topic = ctx.name("fifo");
        List<String> probes = new CopyOnWriteArrayList<>();
        Map<String, List<String>> got = new ConcurrentHashMap<>();
        ctx.push(ctx.name("order"), topic, FilterExpression.SUB_ALL, view -> {
            String group = view.getMessageGroup().orElse("");
            if (group.startsWith("probe")) {
                probes.add(group);
            } else {
                got.computeIfAbsent(group, key -> Collections.synchronizedList(new ArrayList<>())).add(Ctx.text(view));
            }
            return ConsumeResult.SUCCESS;
        });
        Producer producer = ctx.producer(topic);
        settle(ctx, producer, topic, probes, true);
        Map<String, List<String>> sent = new HashMap<>();
        for (int i = 0; i < 100; i++) {
            String group = "group-" + i % 7;
            producer.send(Ctx.message(topic, "body " + i).setMessageGroup(group).build());
            sent.computeIfAbsent(group, key -> new ArrayList<>()).add("body " + i);
        }
        Ctx.await("100 messages", 60_000, () -> got.values().stream().mapToInt(List::size).sum() >= 100);
        Ctx.equal("order", sent, got);
    }

    static void fifoRetry(Ctx ctx) throws Exception {
        String topic = ctx.name("fifo");
        List<String> probes = new CopyOnWriteArrayList<>();
        List<String> got = new CopyOnWriteArrayList<>();
        Set<String> failed = ConcurrentHashMap.newKeySet();
        ctx.push(ctx.name("order"), topic, FilterExpression.SUB_ALL, view -> {
            String body = Ctx.text(view);
            if (body.startsWith("probe")) {
                probes.add(body);
                return ConsumeResult.SUCCESS;
            }
            got.add(body + "/" + view.getDeliveryAttempt());
            return body.equals("b") && failed.add(body) ? ConsumeResult.FAILURE : ConsumeResult.SUCCESS;
        });
        Producer producer = ctx.producer(topic);
        settle(ctx, producer, topic, probes, true);
        for (String body : List.of("a", "b", "c", "d")) {
            producer.send(Ctx.message(topic, body).setMessageGroup("one").build());
        }
        Ctx.await("five deliveries", 60_000, () -> got.size() >= 5);
        Ctx.equal("order", List.of("a/1", "b/1", "b/2", "c/1", "d/1"), List.copyOf(got));
    }

    static void fifoDlq(Ctx ctx) throws Exception {
        String topic = ctx.name("fifo");
        String group = ctx.name("orderonce");
        List<String> probes = new CopyOnWriteArrayList<>();
        List<String> got = new CopyOnWriteArrayList<>();
        ctx.push(group, topic, FilterExpression.SUB_ALL, view -> {
            String body = Ctx.text(view);
            if (body.startsWith("probe")) {
                probes.add(body);
                return ConsumeResult.SUCCESS;
            }
            got.add(body);
            return body.equals("b") ? ConsumeResult.FAILURE : ConsumeResult.SUCCESS;
        });
        Producer producer = ctx.producer(topic);
        settle(ctx, producer, topic, probes, true);
        for (String body : List.of("a", "b", "c")) {
            producer.send(Ctx.message(topic, body).setMessageGroup("one").build());
        }
        Ctx.await("the last message", 60_000, () -> got.contains("c"));
        Ctx.equal("deliveries", List.of("a", "b", "b", "c"), List.copyOf(got));
        Ctx.equal("dead letters", List.of("b"), deadLetters(ctx, group, 1));
    }
}
