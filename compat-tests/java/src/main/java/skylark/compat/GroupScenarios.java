package skylark.compat;

import java.util.List;
import java.util.Map;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.protocol.RemotingSerializable;

/** What a group's configuration allows its consumers. */
@SuppressWarnings("deprecation")
final class GroupScenarios {
    private GroupScenarios() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("group-config", GroupScenarios::config);
        all.put("group-disabled", GroupScenarios::disabled);
        all.put("group-no-broadcast", GroupScenarios::noBroadcast);
        all.put("group-forbidden", GroupScenarios::forbidden);
        all.put("group-not-notified", GroupScenarios::notNotified);
        all.put("group-slow-readers", GroupScenarios::slowReaders);
        all.put("group-deleted", GroupScenarios::deleted);
    }

    /** Every field of a group, retry policies and attributes included, comes back as it was given. */
    private static void config(Ctx ctx) throws Exception {
        String broker = ctx.brokerAddr();
        String group = ctx.group("g");
        Shim.createGroup(ctx.admin(), broker, group);
        ctx.fact("defaults", RemotingSerializable.toJson(ctx.admin().examineSubscriptionGroupConfig(broker, group), false));
        for (String kind : Shim.groupKinds()) {
            Shim.richGroup(ctx.admin(), broker, group, kind);
            ctx.fact("group " + kind, RemotingSerializable.toJson(ctx.admin().examineSubscriptionGroupConfig(broker, group), false));
        }
        Exception illegal = Check.refused("a group with an illegal name", () -> Shim.createGroup(ctx.admin(), broker, "no good"));
        ctx.refusal("illegal name", illegal);
    }

    private static void disabled(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        String group = ctx.group("c");
        DefaultMQProducer producer = ctx.producer();
        producer.send(Ctx.message(topic, "m"));
        Shim.groupWith(ctx.admin(), ctx.brokerAddr(), group, "consumeEnable");
        DefaultMQPullConsumer consumer = ctx.pull(group);
        MessageQueue queue = consumer.fetchSubscribeMessageQueues(topic).iterator().next();
        Exception refused = Check.refused("a pull by a disabled group", () -> consumer.pull(queue, "*", 0, 1));
        Check.eq(16, ctx.refusal("disabled group", refused), "code");
        Shim.createGroup(ctx.admin(), ctx.brokerAddr(), group);
        Check.eq(1, consumer.pull(queue, "*", 0, 1).getMsgFoundList().size(), "messages once the group is enabled again");
    }

    private static void noBroadcast(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        String group = ctx.group("c");
        Shim.groupWith(ctx.admin(), ctx.brokerAddr(), group, "consumeBroadcastEnable");
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = ctx.push(group);
        Shim.broadcasting(consumer);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(inbox.concurrently());
        consumer.start();
        Ctx.await(20_000, "the queue", () -> Ctx.held(consumer, topic) == 1);
        ctx.producer().send(Ctx.message(topic, "m"));
        Thread.sleep(4_000);
        Check.eq(0, inbox.size(), "messages by broadcast although the group forbids it");
        Shim.createGroup(ctx.admin(), ctx.brokerAddr(), group);
        Ctx.awaitExactly(inbox, 1, Ctx.DELIVERY_MS);
    }

    /** A group that may not read one of its topics; the 4.x tools cannot say so. */
    private static void forbidden(Ctx ctx) throws Exception {
        if (!Shim.forbids()) {
            return;
        }
        String topic = ctx.topic("t", 1);
        String other = ctx.topic("other", 1);
        String group = ctx.group("c");
        ctx.fact("at first", Shim.readable(ctx.admin(), ctx.brokerAddr(), group, topic, null));
        ctx.fact("forbidden", Shim.readable(ctx.admin(), ctx.brokerAddr(), group, topic, false));
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = ctx.push(group);
        consumer.subscribe(topic, "*");
        consumer.subscribe(other, "*");
        consumer.registerMessageListener(inbox.concurrently());
        consumer.start();
        DefaultMQProducer producer = ctx.producer();
        producer.send(Ctx.message(topic, "forbidden"));
        producer.send(Ctx.message(other, "allowed"));
        Ctx.await(Ctx.DELIVERY_MS, "the message of the other topic", () -> inbox.size() == 1);
        Thread.sleep(1_500);
        Check.eq(List.of("allowed"), inbox.bodies(), "messages while one topic is forbidden");
        ctx.fact("allowed", Shim.readable(ctx.admin(), ctx.brokerAddr(), group, topic, true));
        Ctx.awaitExactly(inbox, 2, Ctx.DELIVERY_MS);
    }

    /** notifyConsumerIdsChangedEnable=false: a member finds out by itself, with its own rebalance every 20 s. */
    private static void notNotified(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 4);
        String group = ctx.group("c");
        Shim.groupWith(ctx.admin(), ctx.brokerAddr(), group, "notifyConsumerIdsChangedEnable");
        DefaultMQPushConsumer first = OperatorScenarios.started(ctx, group, topic, new Inbox());
        Ctx.await(30_000, "all queues for the first", () -> Ctx.held(first, topic) == 4);
        // Just after a rebalance of the first, so that its next one is far away. It does not balance twice within a second.
        first.getDefaultMQPushConsumerImpl().getmQClientFactory().rebalanceImmediately();
        Thread.sleep(1_500);
        DefaultMQPushConsumer second = ctx.push(group);
        second.subscribe(topic, "*");
        second.registerMessageListener(new Inbox().concurrently());
        second.start();
        Ctx.await(15_000, "two queues for the second", () -> Ctx.held(second, topic) == 2);
        Check.eq(4, Ctx.held(first, topic), "queues of a member that was not told");
        Ctx.await(90_000, "two queues for the first", () -> Ctx.held(first, topic) == 2);
    }

    /** slaveReadEnable: a reader far behind is sent to another broker, the group's whichBrokerWhenConsumeSlowly. */
    private static void slowReaders(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        DefaultMQProducer producer = ctx.producer();
        for (int i = 0; i < 5; i++) {
            producer.send(Ctx.message(topic, "m" + i));
        }
        String group = ctx.group("c");
        Shim.slowTo(ctx.admin(), ctx.brokerAddr(), group, 3);
        DefaultMQPullConsumer consumer = ctx.pull(group);
        MessageQueue queue = consumer.fetchSubscribeMessageQueues(topic).iterator().next();
        var choice = consumer.getDefaultMQPullConsumerImpl().getPullAPIWrapper();
        consumer.pull(queue, "*", 0, 5);
        Check.eq(3L, choice.recalculatePullFromWhichNode(queue), "broker suggested to a reader behind the memory");
        consumer.pull(queue, "never", 0, 5);
        ctx.fact("broker suggested where nothing passed the filter", choice.recalculatePullFromWhichNode(queue));
        consumer.pull(queue, "*", 5, 5);
        ctx.fact("broker suggested at the end", choice.recalculatePullFromWhichNode(queue));
        consumer.pull(queue, "*", 99, 5);
        ctx.fact("broker suggested beyond the end", choice.recalculatePullFromWhichNode(queue));
    }

    private static void deleted(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        String group = ctx.group("c");
        DefaultMQProducer producer = ctx.producer();
        for (int i = 0; i < 5; i++) {
            producer.send(Ctx.message(topic, "m" + i));
        }
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = OperatorScenarios.started(ctx, group, topic, inbox);
        Ctx.awaitExactly(inbox, 5, Ctx.DELIVERY_MS);
        consumer.shutdown();
        Shim.deleteGroup(ctx.admin(), ctx.brokerAddr(), group);
        // The 4.x tools ask for the offsets to be removed by a name that brokers of 5.x do not know.
        try {
            ctx.fact("queues of a deleted group", ctx.admin().examineConsumeStats(group).getOffsetTable().size());
        } catch (MQClientException none) {
            Check.eq(206, ctx.refusal("deleted group", none), "code");
        }
    }
}
