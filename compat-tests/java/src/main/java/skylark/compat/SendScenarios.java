package skylark.compat;

import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageId;
import org.apache.rocketmq.common.message.MessageQueue;

/** Ways to send, and what comes back. */
@SuppressWarnings("deprecation")
final class SendScenarios {
    private SendScenarios() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("send-sync", SendScenarios::sync);
        all.put("send-async", SendScenarios::async);
        all.put("send-oneway", SendScenarios::oneway);
        all.put("send-batch", SendScenarios::batch);
        all.put("send-queue", SendScenarios::queue);
        all.put("compressed-body", SendScenarios::compressed);
        all.put("properties", SendScenarios::properties);
        all.put("odd-bodies", SendScenarios::oddBodies);
        all.put("hosts-and-times", SendScenarios::hostsAndTimes);
    }

    /** Offsets per queue, each from 0 without a gap. */
    static void dense(Map<Integer, ? extends Set<Long>> offsets) {
        offsets.forEach((queue, seen) -> {
            Set<Long> want = new TreeSet<>();
            for (long i = 0; i < seen.size(); i++) {
                want.add(i);
            }
            Check.eq(want, seen, "offsets of queue " + queue);
        });
    }

    private static void sync(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 4);
        DefaultMQProducer producer = ctx.producer();
        Map<Integer, TreeSet<Long>> offsets = new TreeMap<>();
        Set<String> ids = new HashSet<>();
        for (int i = 0; i < 40; i++) {
            SendResult sent = producer.send(Ctx.message(topic, "m" + i));
            Check.eq(SendStatus.SEND_OK, sent.getSendStatus(), "status");
            Check.that(sent.getMsgId().matches("[0-9A-F]{32}"), "msgId " + sent.getMsgId());
            Check.that(sent.getOffsetMsgId().matches("[0-9A-F]{32}"), "offsetMsgId " + sent.getOffsetMsgId());
            Check.that(ids.add(sent.getMsgId()) && ids.add(sent.getOffsetMsgId()), "an id came twice");
            MessageId id = MessageDecoder.decodeMessageId(sent.getOffsetMsgId());
            Check.eq(ctx.brokerAddr(), address((InetSocketAddress) id.getAddress()), "broker in offsetMsgId");
            Check.eq(topic, sent.getMessageQueue().getTopic(), "topic");
            Check.eq("DefaultRegion", sent.getRegionId(), "region");
            // A 5.5.0 broker puts the unique id there, transaction or not.
            Check.eq(sent.getMsgId(), sent.getTransactionId(), "transaction id");
            ctx.fact("traceOn", sent.isTraceOn());
            ctx.fact("broker", sent.getMessageQueue().getBrokerName());
            offsets.computeIfAbsent(sent.getMessageQueue().getQueueId(), q -> new TreeSet<>()).add(sent.getQueueOffset());
        }
        Check.eq(Set.of(0, 1, 2, 3), offsets.keySet(), "queues used");
        offsets.forEach((queue, seen) -> Check.eq(10, seen.size(), "messages in queue " + queue));
        dense(offsets);
        ctx.drain(ctx.pull(ctx.group("c")), topic, 40);
    }

    private static String address(InetSocketAddress address) {
        return address.getAddress().getHostAddress() + ":" + address.getPort();
    }

    private static void async(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 4);
        DefaultMQProducer producer = ctx.producer();
        ConcurrentLinkedQueue<SendResult> results = new ConcurrentLinkedQueue<>();
        ConcurrentLinkedQueue<Throwable> failures = new ConcurrentLinkedQueue<>();
        CountDownLatch all = new CountDownLatch(200);
        SendCallback callback = new SendCallback() {
            @Override
            public void onSuccess(SendResult result) {
                results.add(result);
                all.countDown();
            }

            @Override
            public void onException(Throwable failure) {
                failures.add(failure);
                all.countDown();
            }
        };
        for (int i = 0; i < 200; i++) {
            producer.send(Ctx.message(topic, "m" + i), callback);
        }
        Check.that(all.await(20, TimeUnit.SECONDS), "callbacks missing: " + all.getCount());
        Check.that(failures.isEmpty(), "a send failed: " + failures.peek());
        Map<Integer, TreeSet<Long>> offsets = new TreeMap<>();
        for (SendResult sent : results) {
            Check.eq(SendStatus.SEND_OK, sent.getSendStatus(), "status");
            Check.that(offsets.computeIfAbsent(sent.getMessageQueue().getQueueId(), q -> new TreeSet<>()).add(sent.getQueueOffset()), "an offset was given twice");
        }
        dense(offsets);
        TreeSet<String> bodies = new TreeSet<>();
        ctx.drain(ctx.pull(ctx.group("c")), topic, 200).forEach(message -> bodies.add(Inbox.text(message)));
        Check.eq(new TreeSet<>(Ctx.numbered("m", 0, 200)), bodies, "bodies stored");
    }

    private static void oneway(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 2);
        DefaultMQProducer producer = ctx.producer();
        for (int i = 0; i < 30; i++) {
            producer.sendOneway(Ctx.message(topic, "m" + i));
        }
        DefaultMQPullConsumer consumer = ctx.pull(ctx.group("c"));
        Ctx.await(10_000, "30 messages stored", () -> {
            long stored = 0;
            for (MessageQueue queue : consumer.fetchSubscribeMessageQueues(topic)) {
                stored += consumer.maxOffset(queue);
            }
            return stored == 30;
        });
        TreeSet<String> bodies = new TreeSet<>();
        ctx.drain(consumer, topic).forEach(message -> bodies.add(Inbox.text(message)));
        Check.eq(new TreeSet<>(Ctx.numbered("m", 0, 30)), bodies, "bodies stored");
    }

    /** A batch is one request and becomes single messages with consecutive offsets; ids come back joined by commas, the offset is the first one's. */
    private static void batch(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        DefaultMQProducer producer = ctx.producer();
        producer.send(Ctx.message(topic, "before"));
        List<Message> batch = new ArrayList<>();
        for (int i = 0; i < 10; i++) {
            Message message = Ctx.message(topic, "Tag" + i % 3, "key" + i, "b".repeat(i * 100 + 1));
            message.putUserProperty("n", "v" + i);
            message.setFlag(i);
            batch.add(message);
        }
        SendResult sent = producer.send(batch);
        Check.eq(SendStatus.SEND_OK, sent.getSendStatus(), "status");
        Check.eq(1L, sent.getQueueOffset(), "queue offset of the batch");
        String[] ids = sent.getMsgId().split(",");
        String[] offsetIds = sent.getOffsetMsgId().split(",");
        Check.eq(10, ids.length, "msgIds");
        Check.eq(10, offsetIds.length, "offsetMsgIds");
        SendResult after = producer.send(Ctx.message(topic, "after"));
        Check.eq(11L, after.getQueueOffset(), "queue offset after the batch");
        List<MessageExt> stored = ctx.drain(ctx.pull(ctx.group("c")), topic, 12);
        for (int i = 0; i < 10; i++) {
            MessageExt got = stored.get(i + 1);
            Check.eq("b".repeat(i * 100 + 1), Inbox.text(got), "body " + i);
            Check.eq("Tag" + i % 3, got.getTags(), "tags " + i);
            Check.eq("key" + i, got.getKeys(), "keys " + i);
            Check.eq("v" + i, got.getUserProperty("n"), "property " + i);
            Check.eq(i, got.getFlag(), "flag " + i);
            Check.eq(ids[i], got.getMsgId(), "msgId " + i);
            Check.eq(stored.get(0).getBornHost(), got.getBornHost(), "born host " + i);
            MessageExt viewed = ctx.admin().viewMessage(topic, offsetIds[i]);
            Check.eq("b".repeat(i * 100 + 1), Inbox.text(viewed), "body by offsetMsgId " + i);
            ctx.fact("sysFlag of batch member", got.getSysFlag());
            ctx.fact("properties of batch member 0", i == 0 ? shape(got) : ctx.facts().get("properties of batch member 0"));
        }
    }

    /** Property names with values that do not vary from run to run. */
    static String shape(MessageExt message) {
        TreeMap<String, String> shape = new TreeMap<>(message.getProperties());
        shape.replaceAll((name, value) -> switch (name) {
            case "UNIQ_KEY", "ORIGIN_MESSAGE_ID" -> "<id>";
            case "CONSUME_START_TIME" -> "<time>";
            case "MAX_OFFSET" -> "<n>";
            default -> value.matches("\\d{13}") ? "<time>" : value;
        });
        return shape.toString();
    }

    /** A queue chosen by the client is obeyed; one the topic does not have is refused. */
    private static void queue(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 3);
        DefaultMQProducer producer = ctx.producer();
        String broker = producer.fetchPublishMessageQueues(topic).get(0).getBrokerName();
        Check.eq(3, producer.fetchPublishMessageQueues(topic).size(), "publish queues");
        for (int i = 0; i < 5; i++) {
            SendResult sent = producer.send(Ctx.message(topic, "m" + i), new MessageQueue(topic, broker, 2));
            Check.eq(2, sent.getMessageQueue().getQueueId(), "queue");
            Check.eq((long) i, sent.getQueueOffset(), "offset");
        }
        Exception refused = Check.refused("a send to queue 99", () -> producer.send(Ctx.message(topic, "m"), new MessageQueue(topic, broker, 99)));
        Check.eq(29, ctx.refusal("queue 99", refused), "code for a queue that is not there");
    }

    /** Bodies over 4 KiB are compressed by the client; the broker stores and hands out those bytes as they are. */
    private static void compressed(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        byte[] body = "All work and no play makes a dull test. ".repeat(3000).getBytes(StandardCharsets.UTF_8);
        List<String> kinds = Shim.compressions();
        for (String kind : kinds) {
            DefaultMQProducer producer = ctx.newProducer();
            Shim.compressWith(producer, kind);
            producer.start();
            producer.send(new Message(topic, body));
        }
        List<MessageExt> stored = ctx.drain(ctx.pull(ctx.group("c")), topic, kinds.size());
        for (int i = 0; i < kinds.size(); i++) {
            MessageExt got = stored.get(i);
            Check.that(java.util.Arrays.equals(body, got.getBody()), "body compressed by " + kinds.get(i) + " differs");
            Check.that(got.getStoreSize() < body.length / 10, "stored size of " + kinds.get(i) + ": " + got.getStoreSize());
            ctx.fact("sysFlag of " + kinds.get(i), got.getSysFlag());
        }
    }

    private static void properties(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        DefaultMQProducer producer = ctx.producer();
        Map<String, String> put = new HashMap<>();
        put.put("unicode", "h\u00e9llo \u4e16\u754c \ud83d\ude80 \u0416");
        put.put("\u952e", "key in Chinese");
        put.put("json", "{\"a\":[1,2],\"b\":\"c\\\\d\"}");
        put.put("controls", "tab\tnewline\nreturn\rzero\u0000three\u0003");
        put.put("punctuation", "=&;,:|/\\'\"<>%20+");
        put.put("blanks inside", "  x  ");
        put.put("long", "x".repeat(20_000));
        Message message = new Message(topic, "\u6807\u7b7e", "key-\u00fc key2", "body".getBytes(StandardCharsets.UTF_8));
        put.forEach(message::putUserProperty);
        message.setBuyerId("buyer");
        message.setFlag(0x7fffffff);
        producer.send(message);
        Message minimal = Ctx.message(topic, "no properties of its own");
        minimal.setFlag(-1);
        producer.send(minimal);
        List<MessageExt> stored = ctx.drain(ctx.pull(ctx.group("c")), topic, 2);
        MessageExt got = stored.get(0);
        put.forEach((name, value) -> Check.eq(value, got.getUserProperty(name), "property " + name));
        Check.eq("\u6807\u7b7e", got.getTags(), "tags");
        Check.eq("key-\u00fc key2", got.getKeys(), "keys");
        Check.eq("buyer", got.getBuyerId(), "buyer id");
        Check.eq(0x7fffffff, got.getFlag(), "flag");
        Check.eq(-1, stored.get(1).getFlag(), "negative flag");
        // The broker adds its own: MSG_REGION and TRACE_ON, and the client MIN_OFFSET and MAX_OFFSET from the pull reply.
        ctx.fact("properties of a plain message", shape(stored.get(1)));
        // The 15-bit length field in front of the properties is the limit.
        Message tooMuch = Ctx.message(topic, "m");
        tooMuch.putUserProperty("p", "x".repeat(32_800));
        Exception refused = Check.refused("properties of 32,800 bytes", () -> producer.send(tooMuch));
        Check.eq(13, ctx.refusal("properties of 32,800 bytes", refused), "code for properties that are too long");
    }

    private static void oddBodies(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        DefaultMQProducer producer = ctx.producer();
        producer.setCompressMsgBodyOverHowmuch(Integer.MAX_VALUE);
        List<byte[]> bodies = new ArrayList<>();
        bodies.add(new byte[] {0});
        bodies.add(new byte[] {(byte) 0xda, (byte) 0xa3, 0x20, (byte) 0xa7});
        byte[] every = new byte[256];
        for (int i = 0; i < 256; i++) {
            every[i] = (byte) i;
        }
        bodies.add(every);
        bodies.add(new byte[4096]);
        bodies.add(new byte[65_537]);
        for (byte[] body : bodies) {
            producer.send(new Message(topic, body));
        }
        // An empty body never leaves the client.
        Exception empty = Check.refused("an empty body", () -> producer.send(new Message(topic, new byte[0])));
        Check.eq(13, ctx.refusal("empty body", empty), "code for an empty body");
        List<MessageExt> stored = ctx.drain(ctx.pull(ctx.group("c")), topic, bodies.size());
        for (int i = 0; i < bodies.size(); i++) {
            Check.that(java.util.Arrays.equals(bodies.get(i), stored.get(i).getBody()), "body " + i + " differs");
        }
    }

    private static void hostsAndTimes(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        DefaultMQProducer producer = ctx.producer();
        long before = System.currentTimeMillis();
        SendResult sent = producer.send(Ctx.message(topic, "m"));
        long after = System.currentTimeMillis();
        MessageExt got = ctx.drain(ctx.pull(ctx.group("c")), topic, 1).get(0);
        Check.eq(ctx.ownHost(), ((InetSocketAddress) got.getBornHost()).getAddress().getHostAddress(), "born host");
        Check.between(1024, 65535, ((InetSocketAddress) got.getBornHost()).getPort(), "born port");
        Check.eq(ctx.brokerAddr(), address((InetSocketAddress) got.getStoreHost()), "store host");
        Check.between(before, after, got.getBornTimestamp(), "born timestamp");
        Check.between(before, after, got.getStoreTimestamp(), "store timestamp");
        Check.eq(0, got.getSysFlag(), "sysFlag");
        Check.eq(0, got.getReconsumeTimes(), "reconsume times");
        Check.eq(0L, got.getPreparedTransactionOffset(), "prepared transaction offset");
        MessageId id = MessageDecoder.decodeMessageId(sent.getOffsetMsgId());
        Check.eq(id.getOffset(), got.getCommitLogOffset(), "log offset in offsetMsgId");
        Check.that(got.getBodyCRC() != 0, "body CRC");
    }
}
