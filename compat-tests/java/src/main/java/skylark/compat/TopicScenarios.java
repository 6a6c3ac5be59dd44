package skylark.compat;

import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.message.MessageQueue;

/** Topics that come into being and change. */
final class TopicScenarios {
    private TopicScenarios() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("topic-create", TopicScenarios::create);
        all.put("topic-auto-create", TopicScenarios::autoCreate);
        all.put("topic-change-queues", TopicScenarios::changeQueues);
        all.put("topic-delete", TopicScenarios::delete);
    }

    /** The client's own createTopic: on every broker that has the key topic. */
    private static void create(Ctx ctx) throws Exception {
        String topic = ctx.name("t");
        DefaultMQProducer producer = ctx.producer();
        Shim.createTopic(producer, "TBW102", topic, 6);
        ctx.awaitRoute(topic, 6, 6);
        TreeSet<Integer> used = new TreeSet<>();
        for (int i = 0; i < 6; i++) {
            SendResult sent = producer.send(Ctx.message(topic, "m" + i));
            Check.eq(0L, sent.getQueueOffset(), "offset");
            used.add(sent.getMessageQueue().getQueueId());
        }
        Check.eq(new TreeSet<>(List.of(0, 1, 2, 3, 4, 5)), used, "queues used");
        TopicConfig config = ctx.admin().examineTopicConfig(ctx.brokerAddr(), topic);
        Check.eq(6, config.getReadQueueNums(), "read queues");
        Check.eq(6, config.getWriteQueueNums(), "write queues");
        Check.eq(6, config.getPerm(), "permission");
        ctx.fact("topic config", config.getTopicFilterType() + " order=" + config.isOrder() + " sysFlag=" + config.getTopicSysFlag());
    }

    /** A first send creates the topic after TBW102: the client's defaultTopicQueueNums, at most TBW102's eight. */
    private static void autoCreate(Ctx ctx) throws Exception {
        int[][] cases = {{4, 4}, {2, 2}, {16, 8}};
        for (int[] row : cases) {
            String topic = ctx.name("t" + row[0]);
            DefaultMQProducer producer = ctx.newProducer();
            producer.setDefaultTopicQueueNums(row[0]);
            producer.start();
            SendResult sent = producer.send(Ctx.message(topic, "m"));
            Check.eq(0L, sent.getQueueOffset(), "offset of the first message");
            ctx.awaitRoute(topic, row[1], 6);
            TopicConfig config = ctx.admin().examineTopicConfig(ctx.brokerAddr(), topic);
            Check.eq(row[1], config.getWriteQueueNums(), "write queues for a wish of " + row[0]);
            ctx.fact("flag of " + row[0], config.getTopicSysFlag());
            ctx.drain(ctx.pull(ctx.group("c" + row[0])), topic, 1);
        }
        // TBW102 itself is routed, with all its permissions (inherit, read, write).
        ctx.fact("TBW102", Shim.route(ctx.admin(), "TBW102"));
    }

    /** More queues: a running producer and consumer find them. Fewer: the messages in the lost ones stay. */
    private static void changeQueues(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 2);
        DefaultMQProducer producer = ctx.producer();
        producer.send(Ctx.message(topic, "before"));
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = ctx.push(ctx.group("c"));
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(inbox.concurrently());
        consumer.start();
        Ctx.awaitExactly(inbox, 1, Ctx.DELIVERY_MS);
        ctx.createTopic(topic, 5, 6);
        Ctx.await(15_000, "five queues at the producer", () -> {
            producer.getDefaultMQProducerImpl().getMqClientFactory().updateTopicRouteInfoFromNameServer(topic);
            return producer.getDefaultMQProducerImpl().getTopicPublishInfoTable().get(topic).getMessageQueueList().size() == 5;
        });
        Ctx.await(15_000, "five queues at the consumer", () -> {
            consumer.getDefaultMQPushConsumerImpl().doRebalance();
            return Ctx.held(consumer, topic) == 5;
        });
        for (int i = 0; i < 10; i++) {
            producer.send(Ctx.message(topic, "m" + i));
        }
        Ctx.awaitExactly(inbox, 11, Ctx.DELIVERY_MS);
        TreeSet<Integer> used = new TreeSet<>();
        inbox.all().forEach(message -> used.add(message.getQueueId()));
        Check.eq(new TreeSet<>(List.of(0, 1, 2, 3, 4)), used, "queues used");
    }

    private static void delete(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        DefaultMQProducer producer = ctx.producer();
        MessageQueue queue = producer.send(Ctx.message(topic, "m")).getMessageQueue();
        Check.eq(0, queue.getQueueId(), "queue");
        ctx.admin().deleteTopicInBroker(java.util.Set.of(ctx.brokerAddr()), topic);
        // A registration that was on its way may bring the topic back to the NameServer once.
        Ctx.await(15_000, "end of the route", () -> {
            Shim.deleteTopicInNameServer(ctx.admin(), ctx.namesrv, topic);
            try {
                Shim.route(ctx.admin(), topic);
                return false;
            } catch (MQClientException gone) {
                return true;
            }
        });
        Exception noRoute = Check.refused("the route of a deleted topic", () -> Shim.route(ctx.admin(), topic));
        Check.eq(17, ctx.refusal("route of a deleted topic", noRoute), "code");
        try {
            // The 4.x client reads the whole table and finds nothing there.
            Check.eq(null, ctx.admin().examineTopicConfig(ctx.brokerAddr(), topic), "config of a deleted topic");
        } catch (org.apache.rocketmq.client.exception.MQBrokerException refused) {
            Check.eq(17, ctx.refusal("config of a deleted topic", refused), "code");
        }
        // A new topic of the old name starts from nothing.
        ctx.createTopic(topic, 1, 6);
        Ctx.await(10_000, "an empty queue", () -> producer.maxOffset(queue) == 0);
        Check.eq(0L, producer.send(Ctx.message(topic, "again")).getQueueOffset(), "offset in the new topic");
    }
}
