package skylark.compat;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageExt;

/** Order: sent by a selector, consumed under queue locks. */
final class OrderScenarios {
    private OrderScenarios() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("ordered-selector", OrderScenarios::selector);
        all.put("ordered-takeover", OrderScenarios::takeover);
        all.put("ordered-suspend", OrderScenarios::suspend);
        all.put("ordered-max-reconsume", OrderScenarios::maxReconsume);
        all.put("ordered-global", OrderScenarios::global);
        all.put("ordered-unlock", OrderScenarios::unlock);
        all.put("ordered-kill9", OrderScenarios::kill9);
        all.put("ordered-strict", OrderScenarios::selector);
    }

    private static void send(DefaultMQProducer producer, String topic, int keys, int from, int to) throws Exception {
        for (int i = from; i < to; i++) {
            for (int key = 0; key < keys; key++) {
                producer.send(Ctx.message(topic, key + ":" + i), (queues, message, arg) -> queues.get((Integer) arg % queues.size()), key);
            }
        }
    }

    /** For each key the numbers in the order they came. */
    private static Map<String, List<Integer>> byKey(List<Inbox> inboxes) {
        Map<String, List<Integer>> byKey = new HashMap<>();
        for (Inbox inbox : inboxes) {
            for (String body : inbox.bodies()) {
                String[] parts = body.split(":");
                byKey.computeIfAbsent(parts[0], key -> new ArrayList<>()).add(Integer.valueOf(parts[1]));
            }
        }
        return byKey;
    }

    private static void selector(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 4);
        DefaultMQProducer producer = ctx.producer();
        List<Inbox> inboxes = List.of(new Inbox(), new Inbox());
        List<DefaultMQPushConsumer> members = new ArrayList<>();
        for (Inbox inbox : inboxes) {
            DefaultMQPushConsumer member = ctx.push(ctx.group("c"));
            member.subscribe(topic, "*");
            member.registerMessageListener(inbox.orderly());
            member.start();
            members.add(member);
        }
        for (DefaultMQPushConsumer member : members) {
            Ctx.await(90_000, "two queues for each member", () -> Ctx.held(member, topic) == 2);
        }
        send(producer, topic, 8, 0, 40);
        Ctx.await(Ctx.DELIVERY_MS, "320 messages", () -> inboxes.get(0).size() + inboxes.get(1).size() >= 320);
        Map<String, List<Integer>> byKey = byKey(inboxes);
        Check.eq(8, byKey.size(), "keys");
        List<Integer> want = new ArrayList<>();
        for (int i = 0; i < 40; i++) {
            want.add(i);
        }
        byKey.forEach((key, got) -> Check.eq(want, got, "order of key " + key));
        Check.that(inboxes.get(0).size() > 0 && inboxes.get(1).size() > 0, "both members got work");
    }

    /** A member leaves in the middle: its locks pass on and order per key holds (repeats allowed, steps back beyond them not). */
    private static void takeover(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 4);
        DefaultMQProducer producer = ctx.producer();
        Map<String, Integer> highest = new ConcurrentHashMap<>();
        List<String> breaks = new ArrayList<>();
        MessageListenerOrderly listener = (messages, context) -> {
            for (MessageExt message : messages) {
                String[] parts = Inbox.text(message).split(":");
                int number = Integer.parseInt(parts[1]);
                int before = highest.getOrDefault(parts[0], -1);
                if (number > before + 1) {
                    synchronized (breaks) {
                        breaks.add(parts[0] + " jumped from " + before + " to " + number);
                    }
                }
                highest.merge(parts[0], number, Math::max);
            }
            return ConsumeOrderlyStatus.SUCCESS;
        };
        List<DefaultMQPushConsumer> members = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            DefaultMQPushConsumer member = ctx.push(ctx.group("c"));
            member.subscribe(topic, "*");
            member.registerMessageListener(listener);
            member.start();
            members.add(member);
        }
        // A queue whose lock the first member has not given back yet is tried again after the client's 20 s.
        Ctx.await(90_000, "two queues for each member", () -> Ctx.held(members.get(0), topic) == 2 && Ctx.held(members.get(1), topic) == 2);
        send(producer, topic, 4, 0, 50);
        members.get(1).shutdown();
        send(producer, topic, 4, 50, 80);
        // The lock of the member that left is given back by its shutdown; without that it would expire after 60 s.
        Ctx.await(60_000, "the last message of each key", () -> highest.size() == 4 && highest.values().stream().allMatch(n -> n == 79));
        Check.eq(List.of(), breaks, "gaps in the order");
    }

    private static void suspend(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        DefaultMQProducer producer = ctx.producer();
        for (int i = 0; i < 5; i++) {
            producer.send(Ctx.message(topic, "m" + i));
        }
        Inbox inbox = new Inbox();
        AtomicInteger calls = new AtomicInteger();
        List<Integer> reconsumed = new ArrayList<>();
        DefaultMQPushConsumer consumer = ctx.push(ctx.group("c"));
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
            String body = Inbox.text(messages.get(0));
            if (body.equals("m2") && calls.incrementAndGet() <= 3) {
                reconsumed.add(messages.get(0).getReconsumeTimes());
                context.setSuspendCurrentQueueTimeMillis(200);
                return ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT;
            }
            inbox.add(messages);
            return ConsumeOrderlyStatus.SUCCESS;
        });
        consumer.start();
        Ctx.awaitExactly(inbox, 5, Ctx.DELIVERY_MS);
        Check.eq(List.of("m0", "m1", "m2", "m3", "m4"), inbox.bodies(), "order with a suspended message");
        Check.eq(List.of(0, 1, 2), reconsumed, "reconsume times of the suspended message");
        Check.that(inbox.timeOf(2) - inbox.timeOf(1) >= 550, "three suspensions of 200 ms took " + (inbox.timeOf(2) - inbox.timeOf(1)) + " ms");
    }

    /** An ordered message that keeps failing leaves its queue after maxReconsumeTimes and goes by way of the retry topic to the DLQ. */
    private static void maxReconsume(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        String group = ctx.group("c");
        DefaultMQProducer producer = ctx.producer();
        for (int i = 0; i < 3; i++) {
            producer.send(Ctx.message(topic, "m" + i));
        }
        Inbox inbox = new Inbox();
        List<Integer> tries = new ArrayList<>();
        DefaultMQPushConsumer consumer = ctx.push(group);
        consumer.setMaxReconsumeTimes(2);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
            if (Inbox.text(messages.get(0)).equals("m1")) {
                tries.add(messages.get(0).getReconsumeTimes());
                context.setSuspendCurrentQueueTimeMillis(50);
                return ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT;
            }
            inbox.add(messages);
            return ConsumeOrderlyStatus.SUCCESS;
        });
        consumer.start();
        ctx.holdRetryTopic(consumer);
        Ctx.awaitExactly(inbox, 2, Ctx.DELIVERY_MS);
        Check.eq(List.of("m0", "m2"), inbox.bodies(), "order around the message given up");
        Check.eq(List.of(0, 1, 2), tries.subList(0, 3), "reconsume times before it was given up");
        List<MessageExt> dead = RetryScenarios.dead(ctx, group, 1);
        Check.eq("m1", Inbox.text(dead.get(0)), "message in the DLQ");
        Check.eq(topic, dead.get(0).getProperty("RETRY_TOPIC"), "RETRY_TOPIC");
        ctx.fact("tries", tries);
        ctx.fact("reconsume times in the DLQ", dead.get(0).getReconsumeTimes());
    }

    /** One queue: one order for everything, and one of several members that does all the work. */
    private static void global(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        DefaultMQProducer producer = ctx.producer();
        List<Inbox> inboxes = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            Inbox inbox = new Inbox();
            DefaultMQPushConsumer member = ctx.push(ctx.group("c"));
            member.subscribe(topic, "*");
            member.registerMessageListener(inbox.orderly());
            member.start();
            inboxes.add(inbox);
        }
        List<String> want = new ArrayList<>();
        for (int i = 0; i < 60; i++) {
            producer.send(Ctx.message(topic, "m" + i));
            want.add("m" + i);
        }
        Ctx.await(Ctx.DELIVERY_MS, "60 messages", () -> inboxes.stream().mapToInt(Inbox::size).sum() >= 60);
        Thread.sleep(500);
        List<List<String>> busy = new ArrayList<>();
        for (Inbox inbox : inboxes) {
            if (inbox.size() > 0) {
                busy.add(inbox.bodies());
            }
        }
        // The queue may change hands while the members gather; what each one got is in order, and nothing is skipped.
        for (List<String> bodies : busy) {
            int before = -1;
            for (String body : bodies) {
                int number = Integer.parseInt(body.substring(1));
                Check.that(before < 0 || number == before + 1, "order of one member: " + bodies);
                before = number;
            }
        }
        Check.eq(want.size(), busy.stream().flatMap(List::stream).distinct().toList().size(), "distinct messages");
    }

    /** A member that leaves gives its locks back: the other does not wait until they expire. */
    private static void unlock(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 4);
        DefaultMQProducer producer = ctx.producer();
        Inbox first = new Inbox();
        Inbox second = new Inbox();
        DefaultMQPushConsumer a = ctx.push(ctx.group("c"));
        a.subscribe(topic, "*");
        a.registerMessageListener(first.orderly());
        a.start();
        ctx.settle(a, topic);
        Ctx.await(90_000, "all queues for the first", () -> Ctx.held(a, topic) == 4);
        for (int i = 0; i < 8; i++) {
            producer.send(Ctx.message(topic, "before" + i));
        }
        Ctx.awaitExactly(first, 8, Ctx.DELIVERY_MS);
        a.shutdown();
        DefaultMQPushConsumer b = ctx.push(ctx.group("c"));
        b.subscribe(topic, "*");
        b.registerMessageListener(second.orderly());
        b.start();
        for (int i = 0; i < 8; i++) {
            producer.send(Ctx.message(topic, "after" + i));
        }
        // Locks that nobody gives back expire 60 s after they were renewed, and that was at most 20 s before the shutdown.
        Ctx.awaitExactly(second, 8, 38_000);
        Check.eq(Ctx.numbered("after", 0, 8), second.distinctBodies(), "messages of the second");
    }

    /** A member is killed: nobody gives its locks back, they expire after 60 s, and its queues go on in order. */
    private static void kill9(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 2);
        String group = ctx.group("c");
        DefaultMQProducer producer = ctx.producer();
        String jvm = ProcessHandle.current().info().command().orElse("java");
        Process doomed = new ProcessBuilder(jvm, "-Xmx128m", "-XX:TieredStopAtLevel=1", "-Duser.home=" + System.getProperty("user.home"),
            "-Drocketmq.client.logUseSlf4j=false", "-Djava.net.preferIPv4Stack=true", "-cp", System.getProperty("java.class.path"),
            "skylark.compat.Member", ctx.namesrv, group, topic, ctx.instance()).redirectError(ProcessBuilder.Redirect.DISCARD).start();
        ctx.onClose(doomed::destroyForcibly);
        List<String> printed = Collections.synchronizedList(new ArrayList<>());
        Thread reader = new Thread(() -> new BufferedReader(new InputStreamReader(doomed.getInputStream())).lines().forEach(printed::add));
        reader.setDaemon(true);
        reader.start();
        send(producer, topic, 2, 0, 10);
        Ctx.await(90_000, "20 messages of the member to be killed", () -> printed.size() >= 21);
        doomed.destroyForcibly().waitFor();
        long killed = System.nanoTime();
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer heir = ctx.push(group);
        heir.subscribe(topic, "*");
        heir.registerMessageListener(inbox.orderly());
        heir.start();
        send(producer, topic, 2, 10, 20);
        Ctx.await(120_000, "the last message of both keys", () -> inbox.bodies().containsAll(List.of("0:19", "1:19")));
        long seconds = (System.nanoTime() - killed) / 1_000_000_000;
        // The last renewal was up to 20 s before the kill; the heir asks again every 20 s.
        Check.between(30, 110, seconds, "seconds until the queues went on");
        byKey(List.of(inbox)).forEach((key, numbers) -> {
            int before = numbers.get(0) - 1;
            Check.that(before < 10, "gap after the kill: " + numbers);
            for (int number : numbers) {
                Check.eq(before + 1, number, "order of key " + key + " in " + numbers);
                before = number;
            }
        });
    }
}
