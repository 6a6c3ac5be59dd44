package skylark.compat;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** Offsets that an operator moves: by time, to the end, of one queue, of a group that is away, to another group. */
@SuppressWarnings("deprecation")
final class ResetScenarios {
    /** A client that is told of its new offset lets 10 s pass before it uses it. */
    private static final long RESET_MS = 90_000;

    private ResetScenarios() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("reset-by-time", ResetScenarios::byTime);
        all.put("reset-offline", ResetScenarios::offline);
        all.put("reset-old", ResetScenarios::old);
        all.put("reset-by-clients", ResetScenarios::byClients);
        all.put("clone-offsets", ResetScenarios::cloned);
    }

    private static void send(DefaultMQProducer producer, String topic, String prefix, int count) throws Exception {
        for (int i = 0; i < count; i++) {
            producer.send(Ctx.message(topic, prefix + i));
        }
    }

    private static TreeMap<String, Long> byQueue(Map<MessageQueue, Long> offsets) {
        TreeMap<String, Long> sorted = new TreeMap<>();
        offsets.forEach((queue, offset) -> sorted.put(queue.getBrokerName() + "/" + queue.getQueueId(), offset));
        return sorted;
    }

    /** A moment that the broker's clock puts between two messages. */
    private static long pause() throws InterruptedException {
        Thread.sleep(100);
        long now = System.currentTimeMillis();
        Thread.sleep(100);
        return now;
    }

    /** A running consumer is set back to a moment and reads everything since then again. */
    private static void byTime(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 2);
        String group = ctx.group("c");
        DefaultMQProducer producer = ctx.producer();
        send(producer, topic, "old", 10);
        long between = pause();
        send(producer, topic, "new", 10);
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = OperatorScenarios.started(ctx, group, topic, inbox);
        Ctx.awaitExactly(inbox, 20, Ctx.DELIVERY_MS);
        TreeMap<String, Long> answer = byQueue(ctx.admin().resetOffsetByTimestamp(topic, group, between, true));
        Check.eq("{broker-a/0=5, broker-a/1=5}", answer.toString(), "offsets the broker answered");
        Ctx.await(RESET_MS, "ten messages again", () -> inbox.size() >= 30);
        Thread.sleep(1_000);
        Check.eq(Ctx.numbered("new", 0, 10), new TreeSet<>(inbox.bodies().subList(20, inbox.size())), "messages after the reset");
        // And on from there.
        send(producer, topic, "later", 4);
        Ctx.await(Ctx.DELIVERY_MS, "what came after the reset", () -> inbox.distinctBodies().size() == 24);
        // To the end: whatever is not consumed yet is skipped.
        consumer.shutdown();
        send(producer, topic, "skipped", 6);
        ctx.fact("offsets of a reset to the end", byQueue(ctx.admin().resetOffsetByTimestamp(topic, group, -1, true)));
        Inbox after = new Inbox();
        DefaultMQPushConsumer second = ctx.push(group);
        second.subscribe(topic, "*");
        second.registerMessageListener(after.concurrently());
        second.start();
        send(producer, topic, "last", 4);
        Ctx.await(RESET_MS, "what came after the skip", () -> after.size() >= 4);
        Thread.sleep(1_000);
        Check.eq(Ctx.numbered("last", 0, 4), after.distinctBodies(), "messages after the skip");

        Exception noGroup = Check.refused("a reset of a group that is not there", () -> ctx.admin().resetOffsetByTimestamp(topic, ctx.group("missing"), between, true));
        Check.eq(26, ctx.refusal("missing group", noGroup), "code");
        Exception noTopic = Check.refused("a reset on a topic that is not there", () -> ctx.admin().resetOffsetByTimestamp(ctx.name("missing"), group, between, true));
        ctx.refusal("missing topic", noTopic);
    }

    /** A group without members: it finds the new offsets when it comes back. */
    private static void offline(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 2);
        String group = ctx.group("c");
        DefaultMQProducer producer = ctx.producer();
        send(producer, topic, "m", 20);
        Inbox first = new Inbox();
        DefaultMQPushConsumer consumer = OperatorScenarios.started(ctx, group, topic, first);
        Ctx.awaitExactly(first, 20, Ctx.DELIVERY_MS);
        consumer.shutdown();
        Shim.resetQueue(ctx.admin(), ctx.brokerAddr(), group, topic, 0, 7);
        TreeMap<String, Long> offsets = new TreeMap<>();
        ctx.admin().examineConsumeStats(group, topic).getOffsetTable().forEach((queue, row) -> offsets.put("queue " + queue.getQueueId(), row.getConsumerOffset()));
        Check.eq("{queue 0=7, queue 1=10}", offsets.toString(), "offsets after the reset of queue 0 to 7");
        Inbox second = new Inbox();
        DefaultMQPushConsumer again = ctx.push(group);
        again.subscribe(topic, "*");
        again.registerMessageListener(second.concurrently());
        again.start();
        Ctx.await(RESET_MS, "three messages again", () -> second.size() >= 3);
        Thread.sleep(1_000);
        Check.eq(3, second.distinctBodies().size(), "messages after the reset of one queue: " + second.bodies());
        second.all().forEach(message -> {
            Check.eq(0, message.getQueueId(), "queue");
            Check.that(message.getQueueOffset() >= 7, "offset " + message.getQueueOffset());
        });
        again.shutdown();
        if (!Shim.resetsQueues()) {
            return;
        }
        Exception beyond = Check.refused("a reset beyond the end", () -> Shim.resetQueue(ctx.admin(), ctx.brokerAddr(), group, topic, 1, 999));
        ctx.refusal("reset beyond the end", beyond);
    }

    /** The old way of the tools: they look the offsets up and commit them themselves. */
    private static void old(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 2);
        String group = ctx.group("c");
        DefaultMQProducer producer = ctx.producer();
        send(producer, topic, "old", 10);
        long between = pause();
        send(producer, topic, "new", 10);
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = OperatorScenarios.started(ctx, group, topic, inbox);
        Ctx.awaitExactly(inbox, 20, Ctx.DELIVERY_MS);
        consumer.shutdown();
        for (boolean force : new boolean[] {false, true}) {
            TreeMap<Long, String> rows = new TreeMap<>();
            Shim.rollback(ctx.admin(), group, topic, between, force).forEach(rows::put);
            ctx.fact("back, force " + force, rows);
        }
        ctx.fact("forward without force", Shim.rollback(ctx.admin(), group, topic, -1, false));
        ctx.fact("forward with force", Shim.rollback(ctx.admin(), group, topic, -1, true));
        // A group that never consumed is put at the offsets, too.
        String fresh = ctx.group("fresh");
        Shim.createGroup(ctx.admin(), ctx.brokerAddr(), fresh);
        ctx.fact("a group that never consumed", Shim.rollback(ctx.admin(), fresh, topic, between, true));
        Inbox of = new Inbox();
        DefaultMQPushConsumer third = ctx.push(fresh);
        third.subscribe(topic, "*");
        third.registerMessageListener(of.concurrently());
        third.start();
        Ctx.awaitExactly(of, 10, Ctx.DELIVERY_MS);
        Check.eq(Ctx.numbered("new", 0, 10), of.distinctBodies(), "messages of a group that was put in the middle");
    }

    /** useServerSideResetOffset=false: the broker tells the clients; without any it says so, and the tools take the old way. */
    private static void byClients(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 2);
        String group = ctx.group("c");
        DefaultMQProducer producer = ctx.producer();
        send(producer, topic, "old", 10);
        long between = pause();
        send(producer, topic, "new", 10);
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = OperatorScenarios.started(ctx, group, topic, inbox);
        Ctx.awaitExactly(inbox, 20, Ctx.DELIVERY_MS);
        DefaultMQPullConsumer reader = ctx.pull(ctx.group("r"));
        Ctx.await(15_000, "the offsets at the broker", () -> ctx.admin().examineConsumeStats(group, topic).computeTotalDiff() == 0);
        TreeMap<String, Long> answer = byQueue(ctx.admin().resetOffsetByTimestamp(topic, group, between, true));
        Check.eq("{broker-a/0=5, broker-a/1=5}", answer.toString(), "offsets the broker answered");
        Ctx.await(RESET_MS, "ten messages again", () -> inbox.size() >= 30);
        Thread.sleep(1_000);
        Check.eq(Ctx.numbered("new", 0, 10), new TreeSet<>(inbox.bodies().subList(20, inbox.size())), "messages after the reset");
        // Last, because a client works on two resets at once, and either may win.
        Ctx.await(15_000, "the offsets at the broker again", () -> ctx.admin().examineConsumeStats(group, topic).computeTotalDiff() == 0);
        ctx.fact("not forced, forward", byQueue(ctx.admin().resetOffsetByTimestamp(topic, group, -1, false)));
        consumer.shutdown();
        Exception away = Check.refused("a reset of a group without members", () -> ctx.admin().resetOffsetByTimestamp(topic, group, between, true));
        ctx.hide(String.valueOf(between), "<time>");
        Check.eq(206, ctx.refusal("group without members", away), "code");
        ctx.admin().resetOffsetNew(group, topic, between);
        long sum = 0;
        for (MessageQueue queue : reader.fetchSubscribeMessageQueues(topic)) {
            var row = ctx.admin().examineConsumeStats(group, topic).getOffsetTable().get(queue);
            sum += row.getConsumerOffset();
        }
        Check.eq(10L, sum, "offsets after the old way");
        Exception never = Check.refused("a reset of a group that never consumed", () -> ctx.admin().resetOffsetByTimestamp(topic, ctx.group("never"), between, true));
        ctx.refusal("group that never consumed", never);
    }

    /** CLONE_GROUP_OFFSET: another group goes on where the first one is. */
    private static void cloned(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 2);
        String from = ctx.group("from");
        String to = ctx.group("to");
        DefaultMQProducer producer = ctx.producer();
        send(producer, topic, "m", 10);
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = OperatorScenarios.started(ctx, from, topic, inbox);
        Ctx.awaitExactly(inbox, 10, Ctx.DELIVERY_MS);
        consumer.shutdown();
        DefaultMQAdminExt admin = ctx.admin();
        admin.cloneGroupOffset(from, to, topic, true);
        send(producer, topic, "next", 4);
        Inbox other = new Inbox();
        DefaultMQPushConsumer second = ctx.push(to);
        second.subscribe(topic, "*");
        second.registerMessageListener(other.concurrently());
        second.start();
        Ctx.awaitExactly(other, 4, Ctx.DELIVERY_MS);
        Check.eq(Ctx.numbered("next", 0, 4), other.distinctBodies(), "messages of the clone");
        // A topic that the online source does not subscribe to is passed over, unless told to clone offline.
        String unread = ctx.topic("unread", 1);
        List<String> seen = new ArrayList<>();
        admin.cloneGroupOffset(to, ctx.group("third"), unread, false);
        admin.examineConsumeStats(to, topic).getOffsetTable().forEach((queue, row) -> seen.add(queue.getQueueId() + ""));
        Check.eq(2, seen.size(), "queues in the stats of the clone");
    }
}
