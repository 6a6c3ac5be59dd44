package skylark.compat;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** What an operator asks of consumers by way of the broker: what they do, to consume one message now, how far they are. */
@SuppressWarnings("deprecation")
final class OperatorScenarios {
    private OperatorScenarios() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("running-info", OperatorScenarios::runningInfo);
        all.put("consume-directly", OperatorScenarios::consumeDirectly);
        all.put("consume-directly-slow", OperatorScenarios::consumeDirectlySlow);
        all.put("consumer-status", OperatorScenarios::consumerStatus);
        all.put("consume-stats", OperatorScenarios::consumeStats);
        all.put("admin-calls", OperatorScenarios::adminCalls);
    }

    static String clientId(DefaultMQPushConsumer consumer) {
        return consumer.getDefaultMQPushConsumerImpl().getmQClientFactory().getClientId();
    }

    /** A push consumer of the whole topic that is known to the broker and has its group's retry topic. */
    static DefaultMQPushConsumer started(Ctx ctx, String group, String topic, Inbox inbox) throws Exception {
        DefaultMQPushConsumer consumer = ctx.push(group);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(inbox.concurrently());
        consumer.start();
        ctx.holdRetryTopic(consumer);
        return consumer;
    }

    private static List<SendResult> send(DefaultMQProducer producer, String topic, int from, int to) throws Exception {
        List<SendResult> sent = new ArrayList<>();
        for (int i = from; i < to; i++) {
            sent.add(producer.send(Ctx.message(topic, "m" + i)));
        }
        return sent;
    }

    private static void runningInfo(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 2);
        String group = ctx.group("c");
        DefaultMQProducer producer = ctx.producer();
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = started(ctx, group, topic, inbox);
        send(producer, topic, 0, 10);
        Ctx.awaitExactly(inbox, 10, Ctx.DELIVERY_MS);
        String id = clientId(consumer);
        var info = ctx.admin().getConsumerRunningInfo(group, id, false);
        TreeSet<String> subscribed = new TreeSet<>();
        info.getSubscriptionSet().forEach(data -> subscribed.add(data.getTopic() + " " + data.getSubString()));
        Check.eq(new TreeSet<>(Set.of(topic + " *", "%RETRY%" + group + " *")), subscribed, "subscriptions");
        Check.eq(2L, info.getMqTable().keySet().stream().filter(queue -> queue.getTopic().equals(topic)).count(), "queues");
        info.getMqTable().forEach((queue, state) -> {
            if (queue.getTopic().equals(topic)) {
                Check.eq(5L, state.getCommitOffset(), "offset of " + queue);
                Check.eq(0L, (long) state.getCachedMsgCount(), "messages cached of " + queue);
            }
        });
        Check.that(info.getStatusTable().containsKey(topic), "status of the topic");
        Check.eq(null, info.getJstack(), "stacks that nobody asked for");
        ctx.fact("properties", new TreeSet<>(info.getProperties().stringPropertyNames()));
        String stacks = ctx.admin().getConsumerRunningInfo(group, id, true).getJstack();
        Check.that(stacks != null && stacks.contains("ConsumeMessageThread_"), "stacks of all threads");

        ctx.hide(id, "<client>");
        Exception absent = Check.refused("the state of a client that is not there", () -> ctx.admin().getConsumerRunningInfo(group, "nobody", false));
        Check.eq(1, ctx.refusal("client that is not there", absent), "code");
        consumer.shutdown();
        Exception gone = Check.refused("the state of a client that left", () -> ctx.admin().getConsumerRunningInfo(group, id, false));
        Check.eq(1, ctx.refusal("client that left", gone), "code");
    }

    private static void consumeDirectly(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        String group = ctx.group("c");
        DefaultMQProducer producer = ctx.producer();
        AtomicReference<ConsumeConcurrentlyStatus> verdict = new AtomicReference<>(ConsumeConcurrentlyStatus.CONSUME_SUCCESS);
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = ctx.push(group);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            inbox.add(messages);
            if (verdict.get() == null && inbox.size() % 2 == 1) {
                throw new IllegalStateException("the listener fails");
            }
            return verdict.get();
        });
        consumer.start();
        ctx.holdRetryTopic(consumer);
        SendResult sent = producer.send(Ctx.message(topic, "tag", "key", "m0"));
        Ctx.awaitExactly(inbox, 1, Ctx.DELIVERY_MS);
        String id = clientId(consumer);
        String msgId = sent.getOffsetMsgId();
        var result = ctx.admin().consumeMessageDirectly(group, id, topic, msgId);
        Check.eq(2, inbox.size(), "deliveries after the order");
        Check.eq("m0", Inbox.text(inbox.get(1)), "message consumed by order");
        Check.eq(topic, inbox.get(1).getTopic(), "its topic");
        Check.eq(0L, inbox.get(1).getQueueOffset(), "its offset");
        ctx.fact("verdict of success", result.getConsumeResult() + " order " + result.isOrder() + " autoCommit " + result.isAutoCommit() + " " + result.getRemark());
        verdict.set(ConsumeConcurrentlyStatus.RECONSUME_LATER);
        ctx.fact("verdict of a retry", ctx.admin().consumeMessageDirectly(group, id, topic, msgId).getConsumeResult());
        verdict.set(null);
        ctx.fact("verdict of null", ctx.admin().consumeMessageDirectly(group, id, topic, msgId).getConsumeResult());
        ctx.fact("verdict of a failure", ctx.admin().consumeMessageDirectly(group, id, topic, msgId).getConsumeResult());
        Check.eq(5, inbox.size(), "deliveries in all: an order is no retry");
        Exception absent = Check.refused("an order to a client that is not there", () -> ctx.admin().consumeMessageDirectly(group, "nobody", topic, msgId));
        Check.eq(1, ctx.refusal("client that is not there", absent), "code");

        String orderly = ctx.group("o");
        DefaultMQPushConsumer inOrder = ctx.push(orderly);
        AtomicReference<ConsumeOrderlyStatus> ordered = new AtomicReference<>(ConsumeOrderlyStatus.SUCCESS);
        Inbox box = new Inbox();
        inOrder.subscribe(topic, "*");
        inOrder.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
            box.add(messages);
            return ordered.get();
        });
        inOrder.start();
        Ctx.awaitExactly(box, 1, Ctx.DELIVERY_MS);
        var first = ctx.admin().consumeMessageDirectly(orderly, clientId(inOrder), topic, msgId);
        ctx.fact("verdict of an orderly success", first.getConsumeResult() + " order " + first.isOrder());
        ordered.set(ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT);
        ctx.fact("verdict of an orderly suspension", ctx.admin().consumeMessageDirectly(orderly, clientId(inOrder), topic, msgId).getConsumeResult());
        Check.eq(3, box.size(), "orderly deliveries in all");
    }

    /** The broker waits 10 s for the consumer and says so. */
    private static void consumeDirectlySlow(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        String group = ctx.group("c");
        DefaultMQProducer producer = ctx.producer();
        Inbox inbox = new Inbox();
        CountDownLatch release = new CountDownLatch(1);
        ctx.onClose(release::countDown);
        DefaultMQPushConsumer consumer = ctx.push(group);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            inbox.add(messages);
            if (inbox.size() > 1) {
                try {
                    release.await(30, TimeUnit.SECONDS);
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                }
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        SendResult sent = producer.send(Ctx.message(topic, "m"));
        Ctx.awaitExactly(inbox, 1, Ctx.DELIVERY_MS);
        DefaultMQAdminExt patient = ctx.admin(25_000);
        long start = System.nanoTime();
        Exception slow = Check.refused("an order that takes too long", () -> patient.consumeMessageDirectly(group, clientId(consumer), topic, sent.getOffsetMsgId()));
        Check.between(9_500, 20_000, (System.nanoTime() - start) / 1_000_000, "ms until the broker gave up");
        String text = slow.getMessage() + (slow.getCause() == null ? "" : slow.getCause().getMessage());
        Check.that(text.contains("CODE: 207"), "code 207 in " + text);
        Check.that(text.contains("consumer <" + group + "> <" + clientId(consumer) + "> Timeout: "), "remark " + text);
    }

    private static void consumerStatus(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 2);
        String group = ctx.group("c");
        DefaultMQProducer producer = ctx.producer();
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = started(ctx, group, topic, inbox);
        send(producer, topic, 0, 12);
        Ctx.awaitExactly(inbox, 12, Ctx.DELIVERY_MS);
        String id = clientId(consumer);
        for (String asked : new String[] {"", id}) {
            Map<String, Map<MessageQueue, Long>> status = ctx.admin().getConsumeStatus(topic, group, asked);
            Check.eq(Set.of(id), status.keySet(), "clients that told their offsets");
            Check.eq(12L, status.get(id).values().stream().mapToLong(Long::longValue).sum(), "offsets the client told");
            Check.eq(2, status.get(id).size(), "queues the client told of");
        }
        Check.eq(Map.of(), ctx.admin().getConsumeStatus(topic, group, "nobody"), "status of a client that is not there");
        consumer.shutdown();
        Exception gone = Check.refused("the status of a group without members", () -> ctx.admin().getConsumeStatus(topic, group, ""));
        Check.that(gone.toString().contains("CODE: 1 "), "code of a group without members: " + gone);
    }

    /** Progress, lag and who consumes what, with figures that are known. */
    private static void consumeStats(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 2);
        String group = ctx.group("c");
        String other = ctx.group("other");
        DefaultMQProducer producer = ctx.producer();
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = started(ctx, group, topic, inbox);
        send(producer, topic, 0, 20);
        Ctx.awaitExactly(inbox, 20, Ctx.DELIVERY_MS);
        consumer.suspend();
        consumer.getDefaultMQPushConsumerImpl().persistConsumerOffset();
        // A member that came and went: the group has offsets, and a retry topic by which older tools find the broker.
        Inbox gone = new Inbox();
        DefaultMQPushConsumer passing = started(ctx, other, topic, gone);
        Ctx.awaitExactly(gone, 20, Ctx.DELIVERY_MS);
        passing.shutdown();
        DefaultMQPullConsumer reader = ctx.pull(other);
        List<MessageQueue> queues = new ArrayList<>(reader.fetchSubscribeMessageQueues(topic));
        queues.sort(null);
        // Then it is set back to 4 and 6 of 10 and 10.
        for (MessageQueue queue : queues) {
            reader.getDefaultMQPullConsumerImpl().getOffsetStore().updateConsumeOffsetToBroker(queue, queue.getQueueId() == 0 ? 4 : 6, false);
        }

        Ctx.await(15_000, "the offsets at the broker", () -> ctx.admin().examineConsumeStats(group, topic).computeTotalDiff() == 0);
        var mine = ctx.admin().examineConsumeStats(group, topic);
        TreeMap<String, String> rows = new TreeMap<>();
        mine.getOffsetTable().forEach((queue, row) -> rows.put("queue " + queue.getQueueId(), row.getBrokerOffset() + " " + row.getConsumerOffset() + " " + (row.getLastTimestamp() > 0)));
        Check.eq("{queue 0=10 10 true, queue 1=10 10 true}", rows.toString(), "progress of a group that read everything");
        TreeMap<String, String> behind = new TreeMap<>();
        ctx.admin().examineConsumeStats(other, topic).getOffsetTable()
            .forEach((queue, row) -> behind.put("queue " + queue.getQueueId(), row.getBrokerOffset() + " " + row.getConsumerOffset() + " " + (row.getLastTimestamp() > 0)));
        Check.eq("{queue 0=10 4 true, queue 1=10 6 true}", behind.toString(), "progress of a group that is behind");
        // Without a topic: all the group has offsets of; its retry topic is among them once the client has committed it, too.
        TreeSet<String> topics = named(ctx.admin().examineConsumeStats(group).getOffsetTable().keySet());
        topics.remove("%RETRY%" + group);
        Check.eq(new TreeSet<>(Set.of(topic)), topics, "topics in the stats of a group");

        var spans = ctx.admin().queryConsumeTimeSpan(topic, group);
        Check.eq(2, spans.size(), "time spans");
        spans.forEach(span -> {
            Check.that(span.getMinTimeStamp() > 0 && span.getMinTimeStamp() <= span.getMaxTimeStamp(), "first and last message of " + span.getMessageQueue());
            Check.eq(span.getMaxTimeStamp(), span.getConsumeTimeStamp(), "time of the last message consumed");
            Check.eq(0L, span.getDelayTime(), "delay");
        });
        ctx.admin().queryConsumeTimeSpan(topic, other).forEach(span -> {
            Check.that(span.getConsumeTimeStamp() < span.getMaxTimeStamp() && span.getConsumeTimeStamp() >= span.getMinTimeStamp(), "time of " + span.getMessageQueue());
            Check.between(1, 600_000, span.getDelayTime(), "delay of " + span.getMessageQueue());
        });

        Check.eq(new TreeSet<>(Set.of(group, other)), new TreeSet<>(ctx.admin().queryTopicConsumeByWho(topic).getGroupList()), "groups of the topic");
        var api = reader.getDefaultMQPullConsumerImpl().getRebalanceImpl().getmQClientFactory().getMQClientAPIImpl();
        // Per queue the smallest offset of all groups, or "never" where the compared group is at or before it.
        ctx.fact("corrections against the group behind", new TreeMap<>(api.queryCorrectionOffset(ctx.brokerAddr(), topic, other, null, 10_000)));
        ctx.fact("corrections against the group at the end", new TreeMap<>(api.queryCorrectionOffset(ctx.brokerAddr(), topic, group, null, 10_000)));
        Exception noTopic = Check.refused("a time span of a topic that is not there", () -> api.queryConsumeTimeSpan(ctx.brokerAddr(), ctx.name("missing"), group, 10_000));
        Check.eq(17, ctx.refusal("time span of a missing topic", noTopic), "code");
    }

    private static TreeSet<String> named(Set<MessageQueue> queues) {
        TreeSet<String> topics = new TreeSet<>();
        queues.forEach(queue -> topics.add(queue.getTopic()));
        return topics;
    }

    /** The admin tools of 5.5.0 ask this client, whatever its version. */
    private static void adminCalls(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 2);
        String group = ctx.group("c");
        DefaultMQProducer producer = ctx.producer();
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = started(ctx, group, topic, inbox);
        List<SendResult> sent = send(producer, topic, 0, 10);
        Ctx.awaitExactly(inbox, 10, Ctx.DELIVERY_MS);
        ctx.tool("calls", ctx.namesrv, ctx.brokerAddr(), group, topic, clientId(consumer), sent.get(3).getOffsetMsgId(), "10");
        Check.eq(11, inbox.size(), "deliveries after one message was consumed by order");
        Check.eq("m3", Inbox.text(inbox.get(10)), "message consumed by order");
        ctx.tool("reset", ctx.namesrv, ctx.brokerAddr(), group, topic, "0");
        Ctx.await(60_000, "all messages again after the reset", () -> inbox.size() >= 21);
        Check.eq(Ctx.numbered("m", 0, 10), new TreeSet<>(inbox.bodies().subList(11, inbox.size())), "messages after the reset");
    }
}
