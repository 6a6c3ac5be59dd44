package skylark.compat;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.apache.rocketmq.client.QueryResult;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Finding messages again: by key, by id, by time. */
@SuppressWarnings("deprecation")
final class QueryScenarios {
    private QueryScenarios() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("query-by-key", QueryScenarios::byKey);
        all.put("view-by-id", QueryScenarios::byId);
        all.put("search-offset", QueryScenarios::searchOffset);
    }

    private static TreeSet<String> bodies(QueryResult result) {
        TreeSet<String> bodies = new TreeSet<>();
        result.getMessageList().forEach(message -> bodies.add(Inbox.text(message)));
        return bodies;
    }

    /** The index is built behind the log, so the first look may come too early. */
    private static QueryResult query(DefaultMQProducer producer, String topic, String key, int max, int want) throws Exception {
        List<QueryResult> found = new ArrayList<>();
        Ctx.await(10_000, want + " messages with key " + key, () -> {
            try {
                found.clear();
                found.add(producer.queryMessage(topic, key, max, 0, System.currentTimeMillis() + 60_000));
                return found.get(0).getMessageList().size() >= want;
            } catch (MQClientException nothingYet) {
                return false;
            }
        });
        Check.eq(want, found.get(0).getMessageList().size(), "messages with key " + key);
        return found.get(0);
    }

    private static void byKey(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 4);
        String other = ctx.topic("other", 1);
        DefaultMQProducer producer = ctx.producer();
        for (int i = 0; i < 20; i++) {
            producer.send(Ctx.message(topic, "tag", "own" + i + " shared" + i % 4, "m" + i));
        }
        producer.send(Ctx.message(other, "tag", "own1", "elsewhere"));
        producer.send(Ctx.message(topic, "tag", "Aa", "hash Aa"));
        producer.send(Ctx.message(topic, "tag", "BB", "hash BB"));
        producer.send(Ctx.message(topic, "tag", "\u952e", "unicode"));
        Check.eq(Ctx.numbered("m", 7, 8), bodies(query(producer, topic, "own7", 32, 1)), "messages with key own7");
        Check.eq(Ctx.numbered("m", 1, 2), bodies(query(producer, topic, "own1", 32, 1)), "messages with key own1 in this topic");
        Check.eq(new TreeSet<>(List.of("m3", "m7", "m11", "m15", "m19")), bodies(query(producer, topic, "shared3", 32, 5)), "messages with key shared3");
        Check.eq(2, query(producer, topic, "shared3", 2, 2).getMessageList().size(), "messages with key shared3, at most 2");
        // Keys with one hash: the index holds hashes only, the rest is compared by the client.
        Check.eq(new TreeSet<>(List.of("hash Aa")), bodies(query(producer, topic, "Aa", 32, 1)), "messages with key Aa");
        Check.eq(new TreeSet<>(List.of("unicode")), bodies(query(producer, topic, "\u952e", 32, 1)), "messages with a key in Chinese");
        Exception nothing = Check.refused("a query for a key nobody sent", () -> producer.queryMessage(topic, "nobody", 32, 0, System.currentTimeMillis()));
        ctx.refusal("unknown key", nothing);
        long past = System.currentTimeMillis() - 3_600_000;
        Exception tooOld = Check.refused("a query for an hour ago", () -> producer.queryMessage(topic, "own7", 32, past - 1000, past));
        ctx.refusal("key outside of the time", tooOld);
    }

    private static void byId(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 2);
        DefaultMQProducer producer = ctx.producer();
        List<SendResult> sent = new ArrayList<>();
        for (int i = 0; i < 10; i++) {
            sent.add(producer.send(Ctx.message(topic, "tag" + i, "key" + i, "m" + i)));
        }
        for (int i = 0; i < 10; i++) {
            String want = "m" + i;
            SendResult result = sent.get(i);
            MessageExt byOffsetId = ctx.admin().viewMessage(topic, result.getOffsetMsgId());
            Check.eq(want, Inbox.text(byOffsetId), "body by offsetMsgId");
            Check.eq("tag" + i, byOffsetId.getTags(), "tags by offsetMsgId");
            Check.eq(result.getQueueOffset(), byOffsetId.getQueueOffset(), "queue offset by offsetMsgId");
            Check.eq(result.getMessageQueue().getQueueId(), byOffsetId.getQueueId(), "queue by offsetMsgId");
            List<MessageExt> found = new ArrayList<>();
            Ctx.await(10_000, "the message of a unique id", () -> {
                try {
                    found.clear();
                    MessageExt message = producer.viewMessage(topic, result.getMsgId());
                    if (message != null) {
                        found.add(message);
                    }
                } catch (MQClientException | org.apache.rocketmq.client.exception.MQBrokerException notIndexedYet) {
                    return false;
                }
                return !found.isEmpty();
            });
            Check.eq(want, Inbox.text(found.get(0)), "body by unique id");
        }
        // An offset id that points nowhere.
        String id = sent.get(0).getOffsetMsgId();
        String nowhere = id.substring(0, 16) + "00000000FFFFFF00";
        Exception refused = Check.refused("a view beyond the log", () -> ctx.admin().viewMessage(topic, nowhere));
        ctx.fact("view beyond the log", refused.getClass().getSimpleName() + " " + (refused instanceof org.apache.rocketmq.client.exception.MQBrokerException e ? e.getResponseCode() : ""));
    }

    /** Offsets by time: the first message stored at or after the time; before the first: the minimum; after the last: the maximum. */
    private static void searchOffset(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        DefaultMQProducer producer = ctx.producer();
        DefaultMQPullConsumer consumer = ctx.pull(ctx.group("c"));
        MessageQueue queue = consumer.fetchSubscribeMessageQueues(topic).iterator().next();
        long now = System.currentTimeMillis();
        Check.eq(0L, consumer.minOffset(queue), "min offset of an empty queue");
        Check.eq(0L, consumer.maxOffset(queue), "max offset of an empty queue");
        ctx.fact("search in an empty queue", consumer.searchOffset(queue, now));
        ctx.fact("earliest time of an empty queue", consumer.earliestMsgStoreTime(queue));
        long[] marks = new long[5];
        for (int round = 0; round < 5; round++) {
            marks[round] = System.currentTimeMillis();
            Thread.sleep(30);
            for (int i = 0; i < 10; i++) {
                producer.send(Ctx.message(topic, "m" + (round * 10 + i)));
            }
            Thread.sleep(30);
        }
        List<MessageExt> stored = ctx.drain(consumer, topic, 50);
        for (int round = 0; round < 5; round++) {
            Check.eq(round * 10L, consumer.searchOffset(queue, marks[round]), "offset at mark " + round);
        }
        MessageExt exact = stored.get(20);
        Check.eq(20L, consumer.searchOffset(queue, exact.getStoreTimestamp()), "offset at the store time of message 20");
        Check.eq(0L, consumer.searchOffset(queue, 0), "offset at time 0");
        Check.eq(0L, consumer.searchOffset(queue, now - 3_600_000), "offset an hour ago");
        ctx.fact("offset in the future", consumer.searchOffset(queue, System.currentTimeMillis() + 3_600_000));
        Check.eq(0L, consumer.minOffset(queue), "min offset");
        Check.eq(50L, consumer.maxOffset(queue), "max offset");
        Check.eq(stored.get(0).getStoreTimestamp(), consumer.earliestMsgStoreTime(queue), "earliest store time");
    }
}
