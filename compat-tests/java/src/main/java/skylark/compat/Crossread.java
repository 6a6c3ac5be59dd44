package skylark.compat;

import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageClientExt;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * A store written by one server and opened by the other. {@code Crossread write} fills a broker and notes in a manifest what must be
 * found again; {@code Crossread verify}, against the other server on the same store directory and ports, looks for all of it and then
 * goes on producing. Prints one JSON line like a scenario.
 *
 * <p>The servers' delay levels are 1s 5s 30s: what is sent at level 3 is still waiting when the servers change.
 */
@SuppressWarnings("deprecation")
public final class Crossread {
    private static final int MANY = 4_000;
    private static final int LATE = 400;
    private static final int DELAYED = 20;
    private static final int DELAY_MS = 30_000;
    private static final Map<String, Integer> TOPICS = new TreeMap<>(Map.of("XMany", 8, "XTags", 4, "XBatch", 1, "XDelay", 2, "XBig", 3));
    private static final String READER = "XReader";
    private static final String PUSHED = "XPushed";
    private static final String RETRIED = "XRetried";

    private final Ctx ctx;
    private final Path manifest;
    private final List<String> lines = new ArrayList<>();

    private Crossread(Ctx ctx, Path manifest) {
        this.ctx = ctx;
        this.manifest = manifest;
    }

    public static void main(String[] args) throws Exception {
        PrintStream out = System.out;
        System.setOut(System.err);
        String mode = args[0];
        Ctx ctx = new Ctx(args[1], args[2], "x", mode, null);
        Crossread crossread = new Crossread(ctx, Path.of(args[3]));
        long start = System.nanoTime();
        String failure = null;
        try {
            switch (mode) {
                case "write" -> crossread.write();
                case "verify" -> crossread.verify();
                default -> throw new IllegalArgumentException(mode);
            }
        } catch (Check.Mismatch e) {
            failure = e.getMessage();
        } catch (Exception e) {
            e.printStackTrace();
            failure = e.toString();
        }
        out.println(Json.line(mode, failure, (System.nanoTime() - start) / 1_000_000, ctx.facts()));
        out.flush();
        // No farewell: with kill -9 the clients' goodbyes would be a clean end of half the story.
        Runtime.getRuntime().halt(failure == null ? 0 : 1);
    }

    // ---- write

    private void write() throws Exception {
        for (Map.Entry<String, Integer> topic : TOPICS.entrySet()) {
            ctx.createTopic(topic.getKey(), topic.getValue(), 6);
        }
        TopicConfig odd = new TopicConfig("XOdd", 3, 5, 6);
        odd.setOrder(true);
        ctx.admin().createAndUpdateTopicConfig(ctx.brokerAddr(), odd);
        Shim.createGroup(ctx.admin(), ctx.brokerAddr(), "XStrictGroup", 7, 2);
        DefaultMQProducer producer = ctx.producer();
        many(producer);
        tagged(producer);
        batches(producer);
        big(producer);
        DefaultMQPullConsumer reader = ctx.pull(READER);
        for (String topic : new String[] {"XMany", "XTags", "XBatch", "XBig"}) {
            noteStored(reader, topic);
        }
        noteOffsets(reader);
        consumeAll();
        sendBack();
        noteConfigs();
        // Offsets reach the disk every 5 s, and that is what a kill may cost.
        Thread.sleep(6_500);
        // Just before the end: what is acknowledged now has had no time to be flushed, indexed or checkpointed.
        delayed(producer);
        late(producer);
        Files.write(manifest, lines, StandardCharsets.UTF_8);
    }

    private void many(DefaultMQProducer producer) throws Exception {
        Random random = new Random(1);
        for (int i = 0; i < MANY; i++) {
            Message message = new Message("XMany", "tag" + i % 7, "key" + i + " group" + i % 100, body(random, 16 + random.nextInt(2_000)));
            message.putUserProperty("number", String.valueOf(i));
            message.putUserProperty("text", "h\u00e9llo \u4e16\u754c " + i);
            message.setFlag(i);
            producer.send(message);
        }
        // A broker answers a query with 64 messages at most (maxMsgsNumBatch).
        for (int group = 0; group < 100; group += 7) {
            note("K", "XMany", "group" + group, MANY / 100);
        }
        for (int i = 0; i < MANY; i += 173) {
            note("K", "XMany", "key" + i, 1);
        }
    }

    private void tagged(DefaultMQProducer producer) throws Exception {
        for (int i = 0; i < 400; i++) {
            producer.send(Ctx.message("XTags", i % 2 == 0 ? "even" : "odd", "", "t" + i));
        }
    }

    private void batches(DefaultMQProducer producer) throws Exception {
        for (int round = 0; round < 40; round++) {
            List<Message> batch = new ArrayList<>();
            for (int i = 0; i < 25; i++) {
                batch.add(Ctx.message("XBatch", "batch" + round, "batchkey" + round, "b" + round + "-" + i));
            }
            producer.send(batch);
        }
        note("K", "XBatch", "batchkey17", 25);
    }

    /** Bodies from nothing special to the limit, so that files of the log roll over in the middle. */
    private void big(DefaultMQProducer producer) throws Exception {
        Random random = new Random(2);
        producer.setCompressMsgBodyOverHowmuch(Integer.MAX_VALUE);
        for (int size : new int[] {100_000, 1_000_000, 4_000_000, 3_000_000, 1, 2_500_000, 65_536}) {
            producer.send(new Message("XBig", body(random, size)));
        }
        producer.setCompressMsgBodyOverHowmuch(4096);
        producer.send(new Message("XBig", "compressed ".repeat(50_000).getBytes(StandardCharsets.UTF_8)));
    }

    private static byte[] body(Random random, int size) {
        byte[] body = new byte[size];
        random.nextBytes(body);
        return body;
    }

    /** Notes every message of a topic as this server hands it out. */
    private void noteStored(DefaultMQPullConsumer reader, String topic) throws Exception {
        int expected = switch (topic) {
            case "XMany" -> MANY;
            case "XTags" -> 400;
            case "XBatch" -> 1_000;
            default -> 8;
        };
        for (MessageExt message : ctx.drain(reader, topic, expected)) {
            lines.add("M\t" + key(message) + "\t" + describe(message));
        }
    }

    private static String key(MessageExt message) {
        return message.getTopic() + "\t" + message.getQueueId() + "\t" + message.getQueueOffset();
    }

    /** Everything of a message that must not change, on one line. */
    private static String describe(MessageExt message) throws Exception {
        TreeMap<String, String> properties = new TreeMap<>(message.getProperties());
        // The client adds these from the pull reply.
        properties.remove("MIN_OFFSET");
        properties.remove("MAX_OFFSET");
        return String.join("\t", message.getMsgId(), ((MessageClientExt) message).getOffsetMsgId(), digest(message.getBody()), String.valueOf(message.getFlag()),
            String.valueOf(message.getSysFlag()), String.valueOf(message.getBornTimestamp()), String.valueOf(message.getBornHost()),
            String.valueOf(message.getStoreTimestamp()), String.valueOf(message.getStoreSize()), String.valueOf(message.getBodyCRC()),
            String.valueOf(message.getCommitLogOffset()), HexFormat.of().formatHex(properties.toString().getBytes(StandardCharsets.UTF_8)));
    }

    private static String digest(byte[] body) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(body));
    }

    /** A group that stands somewhere else in each queue, one that has consumed everything, one whose failures wait for their retry. */
    private void noteOffsets(DefaultMQPullConsumer reader) throws Exception {
        for (String topic : new String[] {"XMany", "XTags"}) {
            for (MessageQueue queue : reader.fetchSubscribeMessageQueues(topic)) {
                long offset = 10L + queue.getQueueId() * 3L;
                reader.getOffsetStore().updateConsumeOffsetToBroker(queue, offset, false);
                note("O", READER, topic, queue.getQueueId(), offset);
            }
        }
    }

    private void consumeAll() throws Exception {
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = ctx.push(PUSHED);
        consumer.subscribe("XTags", "*");
        consumer.registerMessageListener(inbox.concurrently());
        consumer.start();
        Ctx.awaitExactly(inbox, 400, Ctx.DELIVERY_MS);
        consumer.shutdown();
        for (int queue = 0; queue < 4; queue++) {
            note("O", PUSHED, "XTags", queue, 100);
        }
    }

    private void sendBack() throws Exception {
        DefaultMQPullConsumer consumer = ctx.pull(RETRIED);
        MessageQueue queue = new TreeSet<>(consumer.fetchSubscribeMessageQueues("XTags")).first();
        List<MessageExt> found = consumer.pull(queue, "*", 0, 8).getMsgFoundList();
        for (int i = 0; i < 5; i++) {
            consumer.sendMessageBack(found.get(i), 3);
            note("R", "%RETRY%" + RETRIED, Inbox.text(found.get(i)));
        }
        for (int i = 5; i < 8; i++) {
            consumer.sendMessageBack(found.get(i), -1);
            note("R", "%DLQ%" + RETRIED, Inbox.text(found.get(i)));
        }
    }

    private void noteConfigs() throws Exception {
        for (String topic : TOPICS.keySet()) {
            note("T", topic, config(topic));
        }
        note("T", "XOdd", config("XOdd"));
        note("G", "XStrictGroup", Shim.groupConfig(ctx.admin(), ctx.brokerAddr(), "XStrictGroup"));
    }

    private String config(String topic) throws Exception {
        TopicConfig config = ctx.admin().examineTopicConfig(ctx.brokerAddr(), topic);
        return config.getReadQueueNums() + " " + config.getWriteQueueNums() + " " + config.getPerm() + " " + config.getTopicFilterType() + " "
            + config.getTopicSysFlag() + " " + config.isOrder();
    }

    private void delayed(DefaultMQProducer producer) throws Exception {
        for (int i = 0; i < DELAYED; i++) {
            Message message = Ctx.message("XDelay", "delayed", "delayedkey" + i, "d" + i);
            message.setDelayTimeLevel(3);
            producer.send(message);
        }
    }

    private void late(DefaultMQProducer producer) throws Exception {
        for (int i = 0; i < LATE; i++) {
            String text = "late " + i;
            SendResult sent = producer.send(Ctx.message("XMany", "late", "latekey" + i, text));
            note("L", "XMany", sent.getMessageQueue().getQueueId(), sent.getQueueOffset(), sent.getMsgId(), sent.getOffsetMsgId(), text);
        }
        note("K", "XMany", "latekey0", 1);
        note("K", "XMany", "latekey" + (LATE - 1), 1);
    }

    private void note(Object... parts) {
        List<String> texts = new ArrayList<>();
        for (Object part : parts) {
            texts.add(String.valueOf(part));
        }
        lines.add(String.join("\t", texts));
    }

    // ---- verify

    private void verify() throws Exception {
        Map<String, List<String[]>> noted = new HashMap<>();
        for (String line : Files.readAllLines(manifest, StandardCharsets.UTF_8)) {
            String[] parts = line.split("\t", -1);
            noted.computeIfAbsent(parts[0], kind -> new ArrayList<>()).add(parts);
        }
        DefaultMQPullConsumer reader = ctx.pull(READER);
        for (String topic : TOPICS.keySet()) {
            ctx.awaitRoute(topic, TOPICS.get(topic), 6);
        }
        for (String[] row : noted.get("T")) {
            Check.eq(row[2], config(row[1]), "config of " + row[1]);
        }
        for (String[] row : noted.get("G")) {
            Check.eq(row[2], Shim.groupConfig(ctx.admin(), ctx.brokerAddr(), row[1]), "config of " + row[1]);
        }
        for (String[] row : noted.get("O")) {
            long offset = reader(row[1], reader).fetchConsumeOffset(queue(reader, row[2], row[3]), true);
            Check.eq(Long.valueOf(row[4]), offset, "offset of " + row[1] + " in " + row[2] + "/" + row[3]);
        }
        // A reader is a member of its group, and would be given queues.
        readers.values().forEach(DefaultMQPullConsumer::shutdown);
        int messages = sameMessages(reader, noted);
        sameKeys(reader, noted);
        tagsStillFilter(reader);
        pendingArrive(reader, noted);
        goOn(reader, noted);
        ctx.fact("messages compared", messages);
    }

    private DefaultMQPullConsumer reader(String group, DefaultMQPullConsumer reader) throws Exception {
        return group.equals(READER) ? reader : readers.computeIfAbsent(group, name -> {
            try {
                return ctx.pull(name);
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        });
    }

    private final Map<String, DefaultMQPullConsumer> readers = new HashMap<>();

    private static MessageQueue queue(DefaultMQPullConsumer consumer, String topic, String queue) throws Exception {
        for (MessageQueue candidate : consumer.fetchSubscribeMessageQueues(topic)) {
            if (candidate.getQueueId() == Integer.parseInt(queue)) {
                return candidate;
            }
        }
        throw new Check.Mismatch("no queue " + queue + " in " + topic);
    }

    /** Every message noted is there, field for field, and nothing else is. */
    private int sameMessages(DefaultMQPullConsumer reader, Map<String, List<String[]>> noted) throws Exception {
        Map<String, String> want = new HashMap<>();
        for (String[] row : noted.get("M")) {
            want.put(row[1] + "\t" + row[2] + "\t" + row[3], String.join("\t", java.util.Arrays.copyOfRange(row, 4, row.length)));
        }
        Map<String, String[]> late = new HashMap<>();
        for (String[] row : noted.get("L")) {
            late.put(row[1] + "\t" + row[2] + "\t" + row[3], row);
        }
        int compared = 0;
        Map<String, Integer> counts = Map.of("XMany", MANY + LATE, "XTags", 400, "XBatch", 1_000, "XBig", 8);
        for (Map.Entry<String, Integer> topic : counts.entrySet()) {
            for (MessageExt message : ctx.drain(reader, topic.getKey(), topic.getValue())) {
                String[] acknowledged = late.get(key(message));
                if (acknowledged != null) {
                    Check.eq(acknowledged[4], message.getMsgId(), "msgId of " + key(message));
                    Check.eq(acknowledged[5], ((MessageClientExt) message).getOffsetMsgId(), "offsetMsgId of " + key(message));
                    Check.eq(acknowledged[6], Inbox.text(message), "body of " + key(message));
                } else {
                    Check.eq(want.get(key(message)), describe(message), "message " + key(message));
                }
                compared++;
                if (compared % 97 == 0) {
                    MessageExt viewed = ctx.admin().viewMessage(message.getTopic(), ((MessageClientExt) message).getOffsetMsgId());
                    Check.eq(digest(message.getBody()), digest(viewed.getBody()), "body by offsetMsgId of " + key(message));
                }
            }
        }
        Check.eq(want.size() + late.size(), compared, "messages compared");
        return compared;
    }

    private void sameKeys(DefaultMQPullConsumer reader, Map<String, List<String[]>> noted) throws Exception {
        for (String[] row : noted.get("K")) {
            int count = Integer.parseInt(row[3]);
            int[] found = {0};
            Ctx.await(20_000, count + " messages with key " + row[2], () -> {
                try {
                    // Distinct ones: rebuilding its index after a crash, Apache lists the last message of a complete file once more.
                    found[0] = (int) reader.queryMessage(row[1], row[2], 200, 0, System.currentTimeMillis()).getMessageList().stream()
                        .map(message -> ((MessageClientExt) message).getOffsetMsgId()).distinct().count();
                } catch (MQClientException nothingYet) {
                    return false;
                }
                return found[0] >= count;
            });
            Check.eq(count, found[0], "messages with key " + row[2]);
        }
    }

    /** The tag hashes in the consume queues are right: a filtered pull brings all of a tag and nothing else. */
    private void tagsStillFilter(DefaultMQPullConsumer reader) throws Exception {
        int even = 0;
        for (MessageQueue queue : reader.fetchSubscribeMessageQueues("XTags")) {
            long offset = 0;
            while (offset < reader.maxOffset(queue)) {
                PullResult pulled = reader.pull(queue, "even", offset, 32);
                offset = pulled.getNextBeginOffset();
                if (pulled.getPullStatus() == PullStatus.FOUND) {
                    for (MessageExt message : pulled.getMsgFoundList()) {
                        Check.eq("even", message.getTags(), "tag of a filtered message");
                        even++;
                    }
                }
            }
        }
        Check.eq(200, even, "messages tagged even");
    }

    /** What waited for its time when the servers changed comes at its time: delayed messages, retries; dead letters lie there already. */
    private void pendingArrive(DefaultMQPullConsumer reader, Map<String, List<String[]>> noted) throws Exception {
        List<MessageExt> delayed = ctx.drain(reader, "XDelay", DELAYED, 60_000);
        TreeSet<String> bodies = new TreeSet<>();
        for (MessageExt message : delayed) {
            bodies.add(Inbox.text(message));
            Check.between(DELAY_MS - 100, DELAY_MS + 60_000, message.getStoreTimestamp() - message.getBornTimestamp(), "ms that " + Inbox.text(message) + " was delayed");
        }
        Check.eq(Ctx.numbered("d", 0, DELAYED), bodies, "delayed messages");
        Map<String, Set<String>> want = new HashMap<>();
        for (String[] row : noted.get("R")) {
            want.computeIfAbsent(row[1], topic -> new TreeSet<>()).add(row[2]);
        }
        for (Map.Entry<String, Set<String>> topic : want.entrySet()) {
            TreeSet<String> found = new TreeSet<>();
            ctx.drain(reader, topic.getKey(), topic.getValue().size(), 60_000).forEach(message -> found.add(Inbox.text(message)));
            Check.eq(topic.getValue(), found, "messages in " + topic.getKey());
        }
    }

    /** New messages follow the old ones without a gap, and a group that had consumed everything sees only them. */
    private void goOn(DefaultMQPullConsumer reader, Map<String, List<String[]>> noted) throws Exception {
        Map<String, Long> ends = new HashMap<>();
        for (String topic : new String[] {"XMany", "XTags"}) {
            for (MessageQueue queue : reader.fetchSubscribeMessageQueues(topic)) {
                ends.put(topic + queue.getQueueId(), reader.maxOffset(queue));
            }
        }
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = ctx.push(PUSHED);
        consumer.subscribe("XTags", "*");
        consumer.registerMessageListener(inbox.concurrently());
        consumer.start();
        DefaultMQProducer producer = ctx.producer();
        for (int i = 0; i < 80; i++) {
            String topic = i % 2 == 0 ? "XMany" : "XTags";
            SendResult sent = producer.send(Ctx.message(topic, "even", "newkey" + i, "new" + i));
            String queue = topic + sent.getMessageQueue().getQueueId();
            Check.eq(ends.get(queue), sent.getQueueOffset(), "offset after the change of servers in " + queue);
            ends.merge(queue, 1L, Long::sum);
        }
        Ctx.awaitExactly(inbox, 40, Ctx.DELIVERY_MS);
        Set<String> want = new HashSet<>();
        for (int i = 1; i < 80; i += 2) {
            want.add("new" + i);
        }
        Check.eq(new TreeSet<>(want), inbox.distinctBodies(), "messages of a group that had consumed everything");
    }
}
