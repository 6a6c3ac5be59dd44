package skylark.compat;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** The lite pull consumer: subscribe or assign, seek, commit. */
final class LitePullScenarios {
    private LitePullScenarios() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("lite-subscribe", LitePullScenarios::subscribe);
        all.put("lite-assign-seek", LitePullScenarios::assignSeek);
        all.put("lite-members", LitePullScenarios::members);
        all.put("lite-tags", LitePullScenarios::tags);
    }

    private static List<MessageExt> poll(DefaultLitePullConsumer consumer, int count, long timeoutMs) {
        List<MessageExt> got = new ArrayList<>();
        long deadline = System.currentTimeMillis() + timeoutMs;
        while (got.size() < count && System.currentTimeMillis() < deadline) {
            got.addAll(consumer.poll(200));
        }
        return got;
    }

    /**
     * Polls the messages of these numbers, in their order, up to the end of the queue, and lets the client begin to wait there. Only then may
     * a scenario seek: a seek while the client pulls is lost when the pull it cancels has just begun and takes the new offset with it
     * (DefaultLitePullConsumerImpl: nextPullOffset of a cancelled PullTaskImpl), and what a cancelled pull found may still be delivered.
     */
    private static void pollToEnd(DefaultLitePullConsumer consumer, int from, int to) throws Exception {
        List<String> want = new ArrayList<>();
        for (int i = from; i < to; i++) {
            want.add("m" + i);
        }
        List<String> got = new ArrayList<>();
        poll(consumer, to - from, 20_000).forEach(message -> got.add(Inbox.text(message)));
        Check.eq(want, got, "messages from " + from + " to the end");
        Thread.sleep(200);
    }

    private static void subscribe(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 4);
        DefaultMQProducer producer = ctx.producer();
        for (int i = 0; i < 40; i++) {
            producer.send(Ctx.message(topic, "m" + i));
        }
        DefaultLitePullConsumer consumer = ctx.lite(ctx.group("c"));
        consumer.subscribe(topic, "*");
        consumer.start();
        List<MessageExt> got = poll(consumer, 40, 20_000);
        TreeSet<String> bodies = new TreeSet<>();
        got.forEach(message -> bodies.add(Inbox.text(message)));
        Check.eq(40, got.size(), "messages polled");
        Check.eq(Ctx.numbered("m", 0, 40), bodies, "bodies");
        Check.eq(4, consumer.assignment().size(), "queues assigned");
        consumer.commitSync();
        long committed = 0;
        for (MessageQueue queue : consumer.assignment()) {
            committed += consumer.committed(queue);
        }
        // commitSync goes to the client's memory; 5 s or the shutdown carries it to the broker.
        consumer.shutdown();
        for (int i = 0; i < 8; i++) {
            producer.send(Ctx.message(topic, "next" + i));
        }
        DefaultLitePullConsumer later = ctx.lite(ctx.group("c"));
        later.subscribe(topic, "*");
        later.start();
        List<MessageExt> rest = poll(later, 8, 20_000);
        rest.addAll(poll(later, 1, 1_000));
        TreeSet<String> restBodies = new TreeSet<>();
        rest.forEach(message -> restBodies.add(Inbox.text(message)));
        Check.eq(Ctx.numbered("next", 0, 8), restBodies, "messages after the commit");
        Check.eq(8, rest.size(), "messages polled after the commit");
        Check.eq(40L, committed, "committed offsets");
    }

    private static void assignSeek(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        DefaultMQProducer producer = ctx.producer();
        MessageQueue queue = null;
        long between = 0;
        for (int i = 0; i < 60; i++) {
            if (i == 30) {
                Thread.sleep(60);
                between = System.currentTimeMillis();
                Thread.sleep(60);
            }
            SendResult sent = producer.send(Ctx.message(topic, "m" + i));
            queue = sent.getMessageQueue();
        }
        DefaultLitePullConsumer consumer = ctx.lite(ctx.group("c"));
        consumer.setPullBatchSize(10);
        consumer.start();
        Collection<MessageQueue> queues = consumer.fetchMessageQueues(topic);
        Check.eq(1, queues.size(), "queues fetched");
        queue = queues.iterator().next();
        consumer.assign(queues);
        pollToEnd(consumer, 0, 60);
        consumer.seek(queue, 42);
        pollToEnd(consumer, 42, 60);
        consumer.seekToBegin(queue);
        pollToEnd(consumer, 0, 60);
        consumer.seekToEnd(queue);
        Thread.sleep(300);
        producer.send(Ctx.message(topic, "m60"));
        pollToEnd(consumer, 60, 61);
        long offset = consumer.offsetForTimestamp(queue, between);
        Check.eq(30L, offset, "offset for a timestamp between two messages");
        consumer.seek(queue, offset);
        pollToEnd(consumer, 30, 61);
        MessageQueue only = queue;
        Check.refused("a seek beyond the end", () -> consumer.seek(only, 1_000));
        Check.refused("a seek before the beginning", () -> consumer.seek(only, -1));
        // A pause ends delivery.
        consumer.pause(Set.of(queue));
        consumer.seek(queue, 10);
        Check.eq(0, poll(consumer, 1, 1_500).size(), "messages while paused");
        consumer.resume(Set.of(queue));
        pollToEnd(consumer, 10, 61);
        consumer.seek(queue, 7);
        Check.eq(10, poll(consumer, 10, 10_000).size(), "messages before the commit");
        consumer.commit(Set.of(queue), true);
        long committed = consumer.committed(queue);
        Check.eq(17L, committed, "committed");
    }

    /** Two subscribed members share the queues; the one that stays takes all. */
    private static void members(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 4);
        DefaultLitePullConsumer a = ctx.lite(ctx.group("c"));
        a.subscribe(topic, "*");
        a.start();
        a.poll(100);
        DefaultLitePullConsumer b = ctx.lite(ctx.group("c"));
        b.subscribe(topic, "*");
        b.start();
        Ctx.await(15_000, "two queues for each member", () -> {
            a.poll(10);
            b.poll(10);
            return a.assignment().size() == 2 && b.assignment().size() == 2;
        });
        b.shutdown();
        Ctx.await(15_000, "all queues for the member that stayed", () -> {
            a.poll(10);
            return a.assignment().size() == 4;
        });
    }

    private static void tags(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 2);
        DefaultMQProducer producer = ctx.producer();
        for (int i = 0; i < 30; i++) {
            producer.send(Ctx.message(topic, "tag" + i % 3, "", "tag" + i % 3 + ":" + i));
        }
        DefaultLitePullConsumer consumer = ctx.lite(ctx.group("c"));
        consumer.subscribe(topic, "tag0 || tag2");
        consumer.start();
        List<MessageExt> got = poll(consumer, 20, 20_000);
        got.addAll(poll(consumer, 1, 500));
        Check.eq(20, got.size(), "messages polled");
        got.forEach(message -> Check.that(!Inbox.text(message).startsWith("tag1"), "received " + Inbox.text(message)));
    }
}
