package skylark.compat;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** What is refused, and with which code. */
final class LimitScenarios {
    private static final int MAX_MESSAGE_SIZE = 4 * 1024 * 1024;

    private LimitScenarios() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("large-body", LimitScenarios::largeBody);
        all.put("topic-names", LimitScenarios::topicNames);
        all.put("no-write-permission", LimitScenarios::noWrite);
        all.put("no-read-permission", LimitScenarios::noRead);
        all.put("unknown-topic", LimitScenarios::unknownTopic);
        all.put("unknown-group", LimitScenarios::unknownGroup);
    }

    private static byte[] noise(int size) {
        byte[] body = new byte[size];
        new Random(size).nextBytes(body);
        return body;
    }

    /** The limit is 4 MiB of body; the client's own check is lifted so that the broker's answer shows. */
    private static void largeBody(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        DefaultMQProducer producer = ctx.newProducer();
        producer.setMaxMessageSize(16 * 1024 * 1024);
        producer.setCompressMsgBodyOverHowmuch(Integer.MAX_VALUE);
        producer.start();
        int[] accepted = {MAX_MESSAGE_SIZE - 4096, MAX_MESSAGE_SIZE};
        for (int size : accepted) {
            producer.send(new Message(topic, noise(size)));
        }
        for (int size : new int[] {MAX_MESSAGE_SIZE + 1, 5 * 1024 * 1024}) {
            Exception refused = Check.refused("a body of " + size, () -> producer.send(new Message(topic, noise(size))));
            Check.eq(13, ctx.refusal("body of " + size, refused), "code for a body of " + size);
        }
        List<MessageExt> stored = ctx.drain(ctx.pull(ctx.group("c")), topic, accepted.length);
        for (int i = 0; i < accepted.length; i++) {
            Check.that(Arrays.equals(noise(accepted[i]), stored.get(i).getBody()), "body of " + accepted[i] + " differs");
        }
        // The connection survived the refusals.
        Check.eq(2L, producer.send(Ctx.message(topic, "small")).getQueueOffset(), "offset after the refusals");
    }

    /** Names the broker refuses when a topic is to be created, and one it accepts at the very limit of length. */
    private static void topicNames(Ctx ctx) throws Exception {
        String broker = ctx.brokerAddr();
        String[] bad = {"a b", "a.b", "a$b", "\u4e16", "x".repeat(128), "TBW102", "SCHEDULE_TOPIC_XXXX", "RMQ_SYS_TRANS_HALF_TOPIC", "SELF_TEST_TOPIC"};
        for (String name : bad) {
            Exception refused = Check.refused("the topic name " + name, () -> ctx.admin().createAndUpdateTopicConfig(broker, new TopicConfig(name, 1, 1, 6)));
            ctx.refusal("create '" + (name.length() > 40 ? name.length() + " characters" : name) + "'", refused);
        }
        String longest = (ctx.name("x") + "y".repeat(127)).substring(0, 127);
        ctx.createTopic(longest, 1, 6);
        DefaultMQProducer producer = ctx.producer();
        Check.eq(0L, producer.send(Ctx.message(longest, "m")).getQueueOffset(), "offset in a topic of 127 characters");
        for (String name : new String[] {"a b", "SCHEDULE_TOPIC_XXXX"}) {
            Exception refused = Check.refused("a send to " + name, () -> producer.send(Ctx.message(name, "m")));
            ctx.refusal("send '" + name + "'", refused);
        }
    }

    private static void noWrite(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        DefaultMQProducer producer = ctx.newProducer();
        producer.setPollNameServerInterval(60_000);
        producer.start();
        MessageQueue queue = producer.send(Ctx.message(topic, "m")).getMessageQueue();
        ctx.createTopic(topic, 1, 4);
        ctx.drain(ctx.pull(ctx.group("c")), topic, 1);
        // It is the route that keeps producers away: one that fetches it now finds no queue to write to.
        DefaultMQProducer late = ctx.producer();
        Exception refused = Check.refused("a send to a read-only topic", () -> late.send(Ctx.message(topic, "m")));
        ctx.refusal("read-only topic", refused);
        // A producer that still has the old route is not stopped: Apache's broker looks at the topic's permission in pulls, not in sends.
        try {
            producer.send(Ctx.message(topic, "m"), queue);
            ctx.fact("read-only topic, old route", "accepted");
        } catch (org.apache.rocketmq.client.exception.MQBrokerException e) {
            ctx.refusal("read-only topic, old route", e);
        }
        ctx.createTopic(topic, 1, 6);
        Check.that(producer.send(Ctx.message(topic, "m"), queue).getQueueOffset() >= 1, "offset after writing was allowed again");
    }

    @SuppressWarnings("deprecation")
    private static void noRead(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        MessageQueue queue = ctx.producer().send(Ctx.message(topic, "m")).getMessageQueue();
        ctx.createTopic(topic, 1, 2);
        var consumer = ctx.pull(ctx.group("c"));
        Exception refused = Check.refused("a pull from a write-only topic", () -> consumer.pull(queue, "*", 0, 1));
        Check.eq(16, ctx.refusal("write-only topic", refused), "code for a write-only topic");
    }

    /** With autoCreateTopicEnable=false: the NameServer has no route (client code 10005), and a broker asked anyway answers 17. */
    @SuppressWarnings("deprecation")
    private static void unknownTopic(Ctx ctx) throws Exception {
        DefaultMQProducer producer = ctx.producer();
        String missing = ctx.name("missing");
        Exception refused = Check.refused("a send to a topic nobody created", () -> producer.send(Ctx.message(missing, "m")));
        Check.eq(10005, ctx.refusal("no route", refused), "client code");
        String topic = ctx.topic("t", 1);
        MessageQueue queue = producer.send(Ctx.message(topic, "m")).getMessageQueue();
        ctx.admin().deleteTopicInBroker(java.util.Set.of(ctx.brokerAddr()), topic);
        Exception gone = Check.refused("a send to a deleted topic", () -> producer.send(Ctx.message(topic, "m"), queue));
        Check.eq(17, ctx.refusal("deleted topic, send", gone), "code of the send");
        var consumer = ctx.pull(createdGroup(ctx, "c"));
        Exception pulled = Check.refused("a pull from a deleted topic", () -> consumer.pull(queue, "*", 0, 1));
        Check.eq(17, ctx.refusal("deleted topic, pull", pulled), "code of the pull");
        // Offsets are answered all the same, from what is left of the queue.
        ctx.fact("deleted topic, max offset", consumer.maxOffset(queue));
    }

    private static String createdGroup(Ctx ctx, String suffix) throws Exception {
        Shim.createGroup(ctx.admin(), ctx.brokerAddr(), ctx.group(suffix));
        return ctx.group(suffix);
    }

    /** With autoCreateSubscriptionGroup=false a group must be created before it may pull. */
    @SuppressWarnings("deprecation")
    private static void unknownGroup(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        MessageQueue queue = ctx.producer().send(Ctx.message(topic, "m")).getMessageQueue();
        var consumer = ctx.pull(ctx.group("c"));
        Exception refused = Check.refused("a pull by an unknown group", () -> consumer.pull(queue, "*", 0, 1));
        Check.eq(26, ctx.refusal("unknown group", refused), "code for an unknown group");
        createdGroup(ctx, "c");
        Check.eq(1, consumer.pull(queue, "*", 0, 1).getMsgFoundList().size(), "messages after the group was created");
    }
}
