package skylark.compat;

import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageRequestMode;

/** Push consumers of 5.x that leave balancing to the broker and pop. */
final class PopScenarios {
    private PopScenarios() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("pop-cluster", PopScenarios::cluster);
        all.put("pop-share", PopScenarios::share);
        all.put("pop-tags", PopScenarios::tags);
        all.put("pop-retry", PopScenarios::retry);
        all.put("pop-invisible", PopScenarios::invisible);
        all.put("pop-modes", PopScenarios::modes);
        all.put("pop-assigned-pull", PopScenarios::assignedPull);
        all.put("pop-restart", ctx -> restart(ctx, "restart-broker"));
        all.put("pop-kill9", ctx -> restart(ctx, "kill9-broker"));
        PopWireScenarios.register(all);
    }

    /** Sets a group's mode on a topic. */
    static void mode(Ctx ctx, String topic, String group, MessageRequestMode mode, int share) throws Exception {
        Shim.createGroup(ctx.admin(), ctx.brokerAddr(), group);
        ctx.admin().setMessageRequestMode(ctx.brokerAddr(), topic, group, mode, share, 5_000);
    }

    /** A consumer that the broker gives its queues to, not started. */
    static DefaultMQPushConsumer popper(Ctx ctx, String group, String topic, String tags) throws Exception {
        DefaultMQPushConsumer consumer = ctx.push(group);
        consumer.setClientRebalance(false);
        consumer.subscribe(topic, tags);
        return consumer;
    }

    /** How many queues of a topic it pops; -1 stands for all of a broker. */
    static TreeSet<Integer> popped(DefaultMQPushConsumer consumer, String topic) {
        TreeSet<Integer> queues = new TreeSet<>();
        consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl().getPopProcessQueueTable().keySet().forEach(queue -> {
            if (queue.getTopic().equals(topic)) {
                queues.add(queue.getQueueId());
            }
        });
        return queues;
    }

    /** Waits until a started consumer pops a topic. */
    static void awaitPopping(DefaultMQPushConsumer consumer, String topic) throws Exception {
        Ctx.await(60_000, "the consumer to pop " + topic, () -> {
            consumer.getDefaultMQPushConsumerImpl().getmQClientFactory().updateTopicRouteInfoFromNameServer(topic);
            consumer.getDefaultMQPushConsumerImpl().doRebalance();
            return !popped(consumer, topic).isEmpty();
        });
    }

    static void send(DefaultMQProducer producer, String topic, String tag, String prefix, int from, int to) throws Exception {
        for (int i = from; i < to; i++) {
            producer.send(Ctx.message(topic, tag, "", prefix + i));
        }
    }

    /** Two members pop the same queues; each message goes to one of them. */
    private static void cluster(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 4);
        String group = ctx.group("c");
        mode(ctx, topic, group, MessageRequestMode.POP, 0);
        DefaultMQProducer producer = ctx.producer();
        send(producer, topic, "", "early", 0, 20);
        Inbox first = new Inbox();
        Inbox second = new Inbox();
        DefaultMQPushConsumer a = popper(ctx, group, topic, "*");
        a.registerMessageListener(first.concurrently());
        a.start();
        DefaultMQPushConsumer b = popper(ctx, group, topic, "*");
        b.registerMessageListener(second.concurrently());
        b.start();
        awaitPopping(a, topic);
        awaitPopping(b, topic);
        ctx.fact("queues popped", popped(a, topic) + " " + popped(b, topic));
        for (int i = 0; i < 100; i++) {
            producer.send(Ctx.message(topic, "both" + i));
            Thread.sleep(5);
        }
        Ctx.await(Ctx.DELIVERY_MS, "all messages", () -> first.size() + second.size() >= 120);
        Thread.sleep(3_000);
        TreeMap<String, Integer> counts = new TreeMap<>(first.counts());
        second.counts().forEach((body, n) -> counts.merge(body, n, Integer::sum));
        Check.eq(120, counts.size(), "distinct messages");
        counts.forEach((body, n) -> Check.eq(1, n, "deliveries of " + body));
        for (MessageExt message : first.all()) {
            Check.eq(topic, message.getTopic(), "topic");
            Check.eq(0, message.getReconsumeTimes(), "times consumed before");
            Check.that(message.getProperty("POP_CK") != null, "a handle");
        }
        // Nothing is left to the group.
        Ctx.await(20_000, "the group's offsets at the end", () -> {
            try {
                return ctx.admin().examineConsumeStats(group, topic).computeTotalDiff() == 0;
            } catch (Exception notYet) {
                return false;
            }
        });
        b.shutdown();
        send(producer, topic, "", "left", 0, 20);
        Ctx.await(Ctx.DELIVERY_MS, "messages for who stayed", () -> first.bodies().stream().filter(body -> body.startsWith("left")).count() == 20);
    }

    /** popShareQueueNum 1 with three members: each pops its own queues and its neighbour's. */
    private static void share(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 6);
        String group = ctx.group("c");
        mode(ctx, topic, group, MessageRequestMode.POP, 1);
        DefaultMQProducer producer = ctx.producer();
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer[] members = new DefaultMQPushConsumer[3];
        for (int i = 0; i < 3; i++) {
            members[i] = popper(ctx, group, topic, "*");
            members[i].registerMessageListener(inbox.concurrently());
            members[i].start();
        }
        Ctx.await(60_000, "four queues for each member", () -> {
            for (DefaultMQPushConsumer member : members) {
                member.getDefaultMQPushConsumerImpl().doRebalance();
                if (popped(member, topic).size() != 4) {
                    return false;
                }
            }
            return true;
        });
        send(producer, topic, "", "m", 0, 60);
        // A member that lost a queue to a neighbour drops what its last poll of it brings: that comes again behind the invisible time (60 s).
        Ctx.awaitExactly(inbox, 60, 60_000 + Ctx.DELIVERY_MS);
        Check.eq(60, inbox.distinctBodies().size(), "distinct messages");
    }

    private static void tags(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 2);
        String group = ctx.group("c");
        mode(ctx, topic, group, MessageRequestMode.POP, 0);
        DefaultMQProducer producer = ctx.producer();
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = popper(ctx, group, topic, "red || blue");
        consumer.registerMessageListener(inbox.concurrently());
        consumer.start();
        awaitPopping(consumer, topic);
        for (int i = 0; i < 30; i++) {
            producer.send(Ctx.message(topic, i % 3 == 0 ? "red" : i % 3 == 1 ? "green" : "blue", "", "m" + i));
        }
        Ctx.awaitExactly(inbox, 20, Ctx.DELIVERY_MS);
        for (MessageExt message : inbox.all()) {
            Check.that(!message.getTags().equals("green"), "tag of " + Inbox.text(message));
        }
    }

    /** Fails once: the message comes back after the first step of the client's own delays, 10 s, from the retry topic. */
    private static void retry(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        String group = ctx.group("c");
        mode(ctx, topic, group, MessageRequestMode.POP, 0);
        DefaultMQProducer producer = ctx.producer();
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = popper(ctx, group, topic, "yes");
        consumer.registerMessageListener(inbox.concurrently(message -> message.getReconsumeTimes() == 0 && Inbox.text(message).equals("fails")
            ? ConsumeConcurrentlyStatus.RECONSUME_LATER : ConsumeConcurrentlyStatus.CONSUME_SUCCESS));
        consumer.start();
        awaitPopping(consumer, topic);
        producer.send(Ctx.message(topic, "yes", "k", "fails"));
        producer.send(Ctx.message(topic, "yes", "k", "works"));
        Ctx.await(90_000, "the message again", () -> inbox.size() >= 3);
        Thread.sleep(2_000);
        Check.eq(3, inbox.size(), "deliveries");
        int failed = inbox.bodies().indexOf("fails");
        int again = inbox.bodies().lastIndexOf("fails");
        MessageExt before = inbox.get(failed);
        MessageExt after = inbox.get(again);
        Check.eq("fails", Inbox.text(after), "what came again");
        Check.eq(1, after.getReconsumeTimes(), "times consumed before");
        Check.eq(topic, after.getTopic(), "topic of the retry");
        Check.eq("yes", after.getTags(), "tag of the retry");
        Check.eq(before.getMsgId(), after.getMsgId(), "message id");
        Check.eq(before.getBornTimestamp(), after.getBornTimestamp(), "born timestamp");
        Check.eq(group, after.getProperty("ORIGIN_GROUP"), "origin group");
        Check.that(after.getProperty("1ST_POP_TIME") != null, "time of the first pop");
        Check.that(inbox.timeOf(again) - inbox.timeOf(failed) >= 9_000, "not before its time");
        Set<String> properties = new TreeSet<>(after.getProperties().keySet());
        ctx.fact("properties of the retry", properties);
        ctx.fact("kind of handle", after.getProperty("POP_CK").split(" ")[4]);
        ctx.fact("parts of the handle", after.getProperty("POP_CK").split(" ").length);
        // Acknowledged, it stays away.
        Thread.sleep(15_000);
        Check.eq(3, inbox.size(), "deliveries at last");
    }

    /** A listener that takes longer than the invisible time: the message is given again. */
    private static void invisible(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        String group = ctx.group("c");
        mode(ctx, topic, group, MessageRequestMode.POP, 0);
        DefaultMQProducer producer = ctx.producer();
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = popper(ctx, group, topic, "*");
        consumer.setPopInvisibleTime(5_000);
        consumer.registerMessageListener(inbox.concurrently(message -> {
            if (message.getReconsumeTimes() == 0 && Inbox.text(message).equals("slow")) {
                try {
                    Thread.sleep(20_000);
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                }
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        }));
        consumer.start();
        awaitPopping(consumer, topic);
        producer.send(Ctx.message(topic, "slow"));
        producer.send(Ctx.message(topic, "quick"));
        Ctx.await(90_000, "the slow message again", () -> inbox.counts().getOrDefault("slow", 0) >= 2);
        Thread.sleep(25_000);
        Check.eq(2, inbox.counts().get("slow"), "deliveries of the slow message");
        Check.eq(1, inbox.counts().get("quick"), "deliveries of the quick message");
    }

    /** A group pulls, then pops, then pulls again: it goes on where it was. */
    private static void modes(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 2);
        String group = ctx.group("c");
        DefaultMQProducer producer = ctx.producer();
        for (MessageRequestMode mode : List.of(MessageRequestMode.PULL, MessageRequestMode.POP, MessageRequestMode.PULL)) {
            mode(ctx, topic, group, mode, 0);
            Inbox inbox = new Inbox();
            DefaultMQPushConsumer consumer = popper(ctx, group, topic, "*");
            consumer.registerMessageListener(inbox.concurrently());
            consumer.start();
            send(producer, topic, "", mode.name(), 0, 20);
            Ctx.awaitExactly(inbox, 20, 90_000);
            Check.eq(20, inbox.distinctBodies().size(), "distinct messages");
            // Acknowledgements and offsets are told asynchronously; Apache keeps those of pops for ten seconds.
            Thread.sleep(14_000);
            consumer.shutdown();
        }
    }

    /** Queues assigned by the broker without popping. */
    private static void assignedPull(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 4);
        String group = ctx.group("c");
        DefaultMQProducer producer = ctx.producer();
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer a = popper(ctx, group, topic, "*");
        a.registerMessageListener(inbox.concurrently());
        a.start();
        DefaultMQPushConsumer b = popper(ctx, group, topic, "*");
        b.registerMessageListener(inbox.concurrently());
        b.start();
        Ctx.await(60_000, "two queues for each member", () -> {
            a.getDefaultMQPushConsumerImpl().doRebalance();
            b.getDefaultMQPushConsumerImpl().doRebalance();
            return Ctx.held(a, topic) == 2 && Ctx.held(b, topic) == 2;
        });
        send(producer, topic, "", "m", 0, 40);
        Ctx.await(Ctx.DELIVERY_MS, "all messages", () -> inbox.distinctBodies().size() == 40);
    }

    /**
     * The broker goes away in the middle. What was acknowledged before stays away, what was not comes again, nothing is lost. Apache keeps
     * acknowledgements in memory for up to ten seconds, so only those are compared that are older.
     */
    private static void restart(Ctx ctx, String how) throws Exception {
        String topic = ctx.topic("t", 2);
        String group = ctx.group("c");
        mode(ctx, topic, group, MessageRequestMode.POP, 0);
        DefaultMQProducer producer = ctx.newProducer();
        producer.setRetryTimesWhenSendFailed(10);
        producer.start();
        Inbox inbox = new Inbox();
        AtomicBoolean failing = new AtomicBoolean(true);
        Set<String> done = ConcurrentHashMap.newKeySet();
        DefaultMQPushConsumer consumer = popper(ctx, group, topic, "*");
        consumer.setPopInvisibleTime(10_000);
        consumer.registerMessageListener(inbox.concurrently(message -> {
            String body = Inbox.text(message);
            if (failing.get() && body.startsWith("open")) {
                return ConsumeConcurrentlyStatus.RECONSUME_LATER;
            }
            done.add(body);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        }));
        consumer.start();
        awaitPopping(consumer, topic);
        send(producer, topic, "", "early", 0, 50);
        send(producer, topic, "", "open", 0, 10);
        Ctx.await(Ctx.DELIVERY_MS, "the messages before the fault", () -> inbox.distinctBodies().size() == 60);
        Thread.sleep(16_000);
        Map<String, Integer> before = inbox.counts();
        ctx.fault(how);
        ctx.awaitRoute(topic, 2, 6);
        failing.set(false);
        Ctx.await(60_000, "sends after the fault", () -> {
            try {
                producer.send(Ctx.message(topic, "late"));
                return true;
            } catch (Exception notYet) {
                return false;
            }
        });
        send(producer, topic, "", "late", 0, 20);
        Set<String> wanted = new HashSet<>();
        for (int i = 0; i < 20; i++) {
            wanted.add("late" + i);
        }
        for (int i = 0; i < 10; i++) {
            wanted.add("open" + i);
        }
        Ctx.await(120_000, "what was open and what is new", () -> done.containsAll(wanted));
        Thread.sleep(3_000);
        Map<String, Integer> after = inbox.counts();
        for (int i = 0; i < 50; i++) {
            Check.eq(before.get("early" + i), after.get("early" + i), "deliveries of early" + i);
        }
    }
}
