package skylark.compat;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.UtilAll;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Push consumers in all their moods. */
@SuppressWarnings("deprecation")
final class PushScenarios {
    private PushScenarios() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("push-cluster", PushScenarios::cluster);
        all.put("push-two-topics", PushScenarios::twoTopics);
        all.put("push-broadcast", PushScenarios::broadcast);
        all.put("tags", PushScenarios::tags);
        all.put("push-batches", PushScenarios::batches);
        all.put("push-suspend", PushScenarios::suspend);
        all.put("push-latency", PushScenarios::latency);
        all.put("consume-from-where", PushScenarios::fromWhere);
        all.put("offset-persistence", PushScenarios::offsetPersistence);
        all.put("clients-listed", PushScenarios::clientsListed);
        all.put("namespace", PushScenarios::namespace);
        all.put("unit", PushScenarios::unit);
    }

    private static void send(DefaultMQProducer producer, String topic, String prefix, int from, int to) throws Exception {
        for (int i = from; i < to; i++) {
            producer.send(Ctx.message(topic, prefix + i));
        }
    }

    /**
     * Two members join and one leaves. The waits are far shorter than the client's own 20 s rebalance period: it is the broker's
     * notice to the group that makes the members balance at once.
     */
    private static void cluster(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 8);
        DefaultMQProducer producer = ctx.producer();
        Inbox first = new Inbox();
        DefaultMQPushConsumer a = ctx.push(ctx.group("c"));
        a.subscribe(topic, "*");
        a.registerMessageListener(first.concurrently());
        a.start();
        send(producer, topic, "alone", 0, 40);
        Ctx.awaitExactly(first, 40, Ctx.DELIVERY_MS);

        Inbox second = new Inbox();
        DefaultMQPushConsumer b = ctx.push(ctx.group("c"));
        b.subscribe(topic, "*");
        b.registerMessageListener(second.concurrently());
        b.start();
        Ctx.await(12_000, "four queues for each member", () -> Ctx.held(a, topic) == 4 && Ctx.held(b, topic) == 4);
        send(producer, topic, "both", 0, 80);
        Ctx.await(Ctx.DELIVERY_MS, "80 messages for the two", () -> first.size() + second.size() >= 120);
        Thread.sleep(500);
        TreeMap<String, Integer> counts = new TreeMap<>(first.counts());
        second.counts().forEach((body, n) -> counts.merge(body, n, Integer::sum));
        // Redelivery is allowed while queues change hands, so only what was sent after the settling must be exactly once.
        counts.keySet().removeIf(body -> body.startsWith("alone"));
        Check.eq(Ctx.numbered("both", 0, 80), counts.keySet(), "messages received by the two");
        counts.forEach((body, n) -> Check.eq(1, n, "deliveries of " + body));
        Check.eq(40L, first.bodies().stream().filter(body -> body.startsWith("both")).count(), "messages of the first member");
        Check.eq(40L, second.bodies().stream().filter(body -> body.startsWith("both")).count(), "messages of the second member");

        b.shutdown();
        Ctx.await(12_000, "all queues for the member that stayed", () -> Ctx.held(a, topic) == 8);
        int before = second.size();
        send(producer, topic, "left", 0, 40);
        Ctx.await(Ctx.DELIVERY_MS, "40 messages for the member that stayed", () -> first.bodies().stream().filter(body -> body.startsWith("left")).count() >= 40);
        Thread.sleep(300);
        Check.eq(40L, first.bodies().stream().filter(body -> body.startsWith("left")).count(), "messages after the other left");
        Check.eq(before, second.size(), "messages of the member that left");
    }

    private static void twoTopics(Ctx ctx) throws Exception {
        String one = ctx.topic("one", 2);
        String two = ctx.topic("two", 2);
        DefaultMQProducer producer = ctx.producer();
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = ctx.push(ctx.group("c"));
        consumer.subscribe(one, "*");
        consumer.subscribe(two, "yes");
        consumer.registerMessageListener(inbox.concurrently());
        consumer.start();
        ctx.settle(consumer, one, two);
        for (int i = 0; i < 20; i++) {
            producer.send(Ctx.message(one, "", "", "one" + i));
            producer.send(Ctx.message(two, i % 2 == 0 ? "yes" : "no", "", "two" + i));
        }
        Ctx.awaitExactly(inbox, 30, Ctx.DELIVERY_MS);
        for (MessageExt message : inbox.all()) {
            Check.that(Inbox.text(message).startsWith("one") ? message.getTopic().equals(one) : message.getTopic().equals(two), "topic of " + Inbox.text(message));
        }
    }

    private static void broadcast(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 4);
        DefaultMQProducer producer = ctx.producer();
        Inbox[] inboxes = {new Inbox(), new Inbox()};
        List<DefaultMQPushConsumer> members = new ArrayList<>();
        for (Inbox inbox : inboxes) {
            DefaultMQPushConsumer member = ctx.push(ctx.group("c"));
            Shim.broadcasting(member);
            member.subscribe(topic, "*");
            member.registerMessageListener(inbox.concurrently());
            member.start();
            members.add(member);
        }
        for (DefaultMQPushConsumer member : members) {
            ctx.settle(member, topic);
            Ctx.await(10_000, "all queues for each member", () -> Ctx.held(member, topic) == 4);
        }
        send(producer, topic, "m", 0, 50);
        for (Inbox inbox : inboxes) {
            Ctx.awaitExactly(inbox, 50, Ctx.DELIVERY_MS);
            Check.eq(Ctx.numbered("m", 0, 50), inbox.distinctBodies(), "messages of a member");
        }
    }

    /** "Aa" and "BB" have one String.hashCode: the broker's filter cannot tell them apart, the client's must. */
    private static void tags(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 2);
        DefaultMQProducer producer = ctx.producer();
        Check.eq("Aa".hashCode(), "BB".hashCode(), "hash codes");
        Map<String, Inbox> inboxes = new HashMap<>();
        for (String expression : new String[] {"*", "Aa", "TagA || TagB", "TagA||Aa", "none"}) {
            Inbox inbox = new Inbox();
            DefaultMQPushConsumer consumer = ctx.push(ctx.group("c" + inboxes.size()));
            consumer.subscribe(topic, expression);
            consumer.registerMessageListener(inbox.concurrently());
            consumer.start();
            ctx.settle(consumer, topic);
            inboxes.put(expression, inbox);
        }
        String[] tags = {"TagA", "TagB", "TagC", "Aa", "BB", ""};
        for (int round = 0; round < 5; round++) {
            for (String tag : tags) {
                producer.send(Ctx.message(topic, tag, "", tag + ":" + round));
            }
        }
        Ctx.awaitExactly(inboxes.get("*"), 30, Ctx.DELIVERY_MS);
        Ctx.awaitExactly(inboxes.get("Aa"), 5, Ctx.DELIVERY_MS);
        Ctx.awaitExactly(inboxes.get("TagA || TagB"), 10, Ctx.DELIVERY_MS);
        Ctx.awaitExactly(inboxes.get("TagA||Aa"), 10, Ctx.DELIVERY_MS);
        Check.eq(Ctx.numbered("Aa:", 0, 5), inboxes.get("Aa").distinctBodies(), "messages tagged Aa");
        Check.eq(0, inboxes.get("none").size(), "messages for a tag nobody sends");
        for (String body : inboxes.get("TagA || TagB").bodies()) {
            Check.that(body.startsWith("TagA") || body.startsWith("TagB"), "TagA || TagB received " + body);
        }
    }

    /** pullBatchSize bounds a pull, consumeMessageBatchMaxSize a call of the listener. */
    private static void batches(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        DefaultMQProducer producer = ctx.producer();
        send(producer, topic, "m", 0, 100);
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = ctx.push(ctx.group("c"));
        consumer.setPullBatchSize(24);
        consumer.setConsumeMessageBatchMaxSize(10);
        consumer.setConsumeThreadMin(1);
        consumer.setConsumeThreadMax(1);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(inbox.concurrently());
        consumer.start();
        Ctx.awaitExactly(inbox, 100, Ctx.DELIVERY_MS);
        Check.eq(Ctx.numbered("m", 0, 100), inbox.distinctBodies(), "messages");
        // Pulls of 24 are cut into calls of 10, 10 and 4.
        Check.eq(10, inbox.largestCall(), "largest call of the listener");

        DefaultMQPullConsumer pull = ctx.pull(ctx.group("p"));
        MessageQueue queue = pull.fetchSubscribeMessageQueues(topic).iterator().next();
        for (int want : new int[] {1, 7, 32, 33, 64}) {
            int got = pull.pull(queue, "*", 0, want).getMsgFoundList().size();
            // Apache's maxTransferCountOnMessageInMemory: at most 32 messages leave in one reply, whatever is asked for.
            Check.eq(Math.min(want, 32), got, "messages of a pull of " + want);
        }
    }

    private static void suspend(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 2);
        DefaultMQProducer producer = ctx.producer();
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = ctx.push(ctx.group("c"));
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(inbox.concurrently());
        consumer.start();
        ctx.settle(consumer, topic);
        send(producer, topic, "m", 0, 10);
        Ctx.awaitExactly(inbox, 10, Ctx.DELIVERY_MS);
        consumer.suspend();
        // A pull that the broker already holds still brings one arrival per queue; what comes later stays away.
        send(producer, topic, "held", 0, 4);
        Thread.sleep(1_000);
        int whileSuspended = inbox.size();
        send(producer, topic, "later", 0, 10);
        Thread.sleep(1_500);
        Check.eq(whileSuspended, inbox.size(), "messages received while suspended");
        consumer.resume();
        Ctx.awaitExactly(inbox, 24, Ctx.DELIVERY_MS);
    }

    /** A held pull is answered by the arrival itself, not by a timer: the median is small even on a busy machine. */
    private static void latency(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        DefaultMQProducer producer = ctx.producer();
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = ctx.push(ctx.group("c"));
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(inbox.concurrently());
        consumer.start();
        ctx.settle(consumer, topic);
        producer.send(Ctx.message(topic, "warm"));
        Ctx.await(Ctx.DELIVERY_MS, "the first message", () -> inbox.size() == 1);
        List<Long> took = new ArrayList<>();
        for (int i = 0; i < 21; i++) {
            Thread.sleep(50);
            producer.send(Ctx.message(topic, "m" + i));
            int count = i + 2;
            Ctx.await(10_000, "message " + i, () -> inbox.size() == count);
            took.add(inbox.timeOf(i + 1) - inbox.get(i + 1).getBornTimestamp());
        }
        took.sort(null);
        Check.between(0, 250, took.get(10), "median ms from send to listener");
    }

    /**
     * Where a new group starts. Apache's broker answers offset 0 for a group without an offset while the queue's first message is still
     * in memory (the group "cannot have missed anything"), so CONSUME_FROM_LAST_OFFSET sees a young topic from its beginning; so does
     * CONSUME_FROM_TIMESTAMP.
     */
    private static void fromWhere(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        DefaultMQProducer producer = ctx.producer();
        send(producer, topic, "old", 0, 10);
        Thread.sleep(1_200);
        long between = System.currentTimeMillis();
        send(producer, topic, "mid", 0, 10);
        Map<ConsumeFromWhere, Inbox> inboxes = new TreeMap<>();
        for (ConsumeFromWhere where : List.of(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET, ConsumeFromWhere.CONSUME_FROM_LAST_OFFSET, ConsumeFromWhere.CONSUME_FROM_TIMESTAMP)) {
            Inbox inbox = new Inbox();
            DefaultMQPushConsumer consumer = ctx.push(ctx.group(where.name().replace("_", "")));
            consumer.setConsumeFromWhere(where);
            consumer.setConsumeTimestamp(UtilAll.timeMillisToHumanString3(between));
            consumer.subscribe(topic, "*");
            consumer.registerMessageListener(inbox.concurrently());
            consumer.start();
            ctx.settle(consumer, topic);
            inboxes.put(where, inbox);
        }
        Thread.sleep(500);
        send(producer, topic, "new", 0, 5);
        for (Inbox inbox : inboxes.values()) {
            Ctx.awaitExactly(inbox, 25, Ctx.DELIVERY_MS);
        }
    }

    private static void offsetPersistence(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 2);
        DefaultMQProducer producer = ctx.producer();
        TreeSet<String> seen = new TreeSet<>();
        for (int round = 0; round < 3; round++) {
            send(producer, topic, "r" + round + "-", 0, 10);
            Inbox inbox = new Inbox();
            DefaultMQPushConsumer consumer = ctx.push(ctx.group("c"));
            consumer.subscribe(topic, "*");
            consumer.registerMessageListener(inbox.concurrently());
            consumer.start();
            Ctx.awaitExactly(inbox, 10, Ctx.DELIVERY_MS);
            Check.eq(Ctx.numbered("r" + round + "-", 0, 10), inbox.distinctBodies(), "messages of round " + round);
            seen.addAll(inbox.bodies());
            consumer.shutdown();
            DefaultMQPullConsumer reader = ctx.pull(ctx.group("c"));
            long committed = 0;
            for (MessageQueue queue : reader.fetchSubscribeMessageQueues(topic)) {
                committed += reader.fetchConsumeOffset(queue, true);
            }
            Check.eq((round + 1) * 10L, committed, "committed offsets after round " + round);
            reader.shutdown();
        }
        Check.eq(30, seen.size(), "distinct messages");
    }

    /** The broker's client table, as the admin tools see it. */
    private static void clientsListed(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        DefaultMQProducer producer = ctx.producer();
        producer.send(Ctx.message(topic, "m"));
        DefaultMQPushConsumer consumer = ctx.push(ctx.group("c"));
        consumer.subscribe(topic, "b || a");
        consumer.registerMessageListener(new Inbox().concurrently());
        consumer.start();
        // 5.5.0 keeps the client id under the instance, 4.9.8 the same: ip@instance.
        Ctx.await(10_000, "the producer in the broker's table", () -> {
            producer.getDefaultMQProducerImpl().getMqClientFactory().sendHeartbeatToAllBrokerWithLock();
            try {
                return Shim.producers(ctx.admin(), producer.getProducerGroup(), topic).size() == 1;
            } catch (org.apache.rocketmq.client.exception.MQBrokerException notYet) {
                return false;
            }
        });
        TreeMap<String, String> known = Shim.consumers(ctx.admin(), consumer.getConsumerGroup());
        Check.eq("[" + consumer.getDefaultMQPushConsumerImpl().getmQClientFactory().getClientId() + "]", known.remove("clients"), "client id");
        known.forEach(ctx::fact);
        Check.eq("[JAVA]", known.get("languages"), "language");
        Check.eq("CONSUME_PASSIVELY", known.get("type"), "type");
        Check.eq("CLUSTERING", known.get("model"), "model");
        Check.eq("CONSUME_FROM_FIRST_OFFSET", known.get("from"), "start");
        consumer.shutdown();
        Exception gone = Check.refused("the list of a group without members", () -> Shim.consumers(ctx.admin(), consumer.getConsumerGroup()));
        Check.eq(206, ctx.refusal("group without members", gone), "code");
        String group = producer.getProducerGroup();
        producer.shutdown();
        Exception noProducer = Check.refused("the list of a producer group without members", () -> Shim.producers(ctx.admin(), group, topic));
        ctx.refusal("producer group without members", noProducer);
    }

    /** A namespace is a prefix "ns%" on the wire that neither side's application sees. */
    private static void namespace(Ctx ctx) throws Exception {
        String plain = ctx.name("t");
        String group = ctx.group("c");
        ctx.createTopic("NS1%" + plain, 2, 6);
        DefaultMQProducer producer = ctx.newProducer();
        producer.setNamespace("NS1");
        producer.start();
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = ctx.push(group);
        consumer.setNamespace("NS1");
        consumer.subscribe(plain, "*");
        consumer.registerMessageListener(inbox.concurrently());
        consumer.start();
        send(producer, plain, "m", 0, 10);
        Ctx.awaitExactly(inbox, 10, Ctx.DELIVERY_MS);
        for (MessageExt message : inbox.all()) {
            Check.eq(plain, message.getTopic(), "topic without the namespace");
        }
        TreeMap<String, String> known = Shim.consumers(ctx.admin(), "NS1%" + group);
        Check.that(known.get("subscriptions").contains("NS1%" + plain + " "), "subscriptions with the namespace: " + known.get("subscriptions"));
        ctx.drain(ctx.pull(ctx.group("d")), "NS1%" + plain, 10);
    }

    /** unitMode marks auto-created topics with the unit flag; unitName makes the client id different. */
    private static void unit(Ctx ctx) throws Exception {
        String topic = ctx.name("t");
        DefaultMQProducer producer = ctx.newProducer();
        producer.setUnitMode(true);
        producer.setUnitName("unit1");
        producer.start();
        producer.send(Ctx.message(topic, "m0"));
        ctx.awaitRoute(topic, 4, 6);
        Check.eq(1, Shim.route(ctx.admin(), topic).get(0).sysFlag(), "topic flag of a topic created in unit mode");
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = ctx.push(ctx.group("c"));
        consumer.setUnitMode(true);
        consumer.setUnitName("unit1");
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(inbox.concurrently());
        consumer.start();
        ctx.settle(consumer, topic);
        Check.that(consumer.getDefaultMQPushConsumerImpl().getmQClientFactory().getClientId().endsWith("@unit1"), "unit in the client id");
        producer.send(Ctx.message(topic, "m1"));
        Ctx.awaitExactly(inbox, 2, Ctx.DELIVERY_MS);
        String retry = "%RETRY%" + ctx.group("c");
        Ctx.await(5_000, "the retry topic", () -> {
            try {
                return !Shim.route(ctx.admin(), retry).isEmpty();
            } catch (org.apache.rocketmq.client.exception.MQClientException notYet) {
                return false;
            }
        });
        // FLAG_UNIT_SUB: set on a retry topic that a unit-mode heartbeat creates.
        Check.eq(2, Shim.route(ctx.admin(), retry).get(0).sysFlag(), "topic flag of a unit-mode retry topic");
    }
}
