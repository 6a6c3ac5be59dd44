package skylark.compat;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * Failed consumption: back to the broker, delayed, once more, and at last the dead letter queue. The servers of the suite have the
 * delay levels 1s 2s 3s, then 1s each, and 4s as the last, so that the levels that retries use (3 and up) pass quickly.
 */
@SuppressWarnings("deprecation")
final class RetryScenarios {
    private RetryScenarios() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("retry-properties", RetryScenarios::properties);
        all.put("retry-to-dlq", RetryScenarios::toDlq);
        all.put("retry-delay-level", RetryScenarios::delayLevel);
        all.put("send-message-back", RetryScenarios::sendMessageBack);
    }

    /** Waits for messages in a group's dead letter queue and reads them. */
    static List<MessageExt> dead(Ctx ctx, String group, int count) throws Exception {
        String topic = "%DLQ%" + group;
        Ctx.await(60_000, count + " messages in " + topic, () -> {
            try {
                return !Shim.route(ctx.admin(), topic).isEmpty();
            } catch (MQClientException notYet) {
                return false;
            }
        });
        DefaultMQPullConsumer consumer = ctx.pull(ctx.group("dlq"));
        List<MessageExt> found = new ArrayList<>();
        Ctx.await(60_000, count + " messages in " + topic, () -> {
            found.clear();
            found.addAll(ctx.drain(consumer, topic));
            return found.size() >= count;
        });
        Check.eq(count, found.size(), "messages in the DLQ");
        ctx.fact("DLQ queues", Shim.route(ctx.admin(), topic));
        return found;
    }

    /** One message fails twice. What each delivery looks like. */
    private static void properties(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        DefaultMQProducer producer = ctx.producer();
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = ctx.push(ctx.group("c"));
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(inbox.concurrently(message ->
            message.getReconsumeTimes() < 2 ? ConsumeConcurrentlyStatus.RECONSUME_LATER : ConsumeConcurrentlyStatus.CONSUME_SUCCESS));
        consumer.start();
        ctx.holdRetryTopic(consumer);
        org.apache.rocketmq.common.message.Message message = Ctx.message(topic, "tag", "key", "m");
        message.putUserProperty("mine", "kept");
        message.setFlag(7);
        SendResult sent = producer.send(message);
        Ctx.awaitExactly(inbox, 3, Ctx.DELIVERY_MS);
        MessageExt original = inbox.get(0);
        String lastLogId = sent.getOffsetMsgId();
        for (int i = 0; i < 3; i++) {
            MessageExt got = inbox.get(i);
            Check.eq(i, got.getReconsumeTimes(), "reconsume times of delivery " + i);
            Check.eq(topic, got.getTopic(), "topic shown to the listener");
            Check.eq("tag", got.getTags(), "tags");
            Check.eq("key", got.getKeys(), "keys");
            Check.eq("kept", got.getUserProperty("mine"), "user property");
            Check.eq(7, got.getFlag(), "flag");
            Check.eq(sent.getMsgId(), got.getMsgId(), "msgId");
            Check.eq(original.getBornTimestamp(), got.getBornTimestamp(), "born timestamp");
            Check.eq(original.getBornHost(), got.getBornHost(), "born host");
            Check.eq("m", Inbox.text(got), "body");
            if (i > 0) {
                Check.eq(sent.getOffsetMsgId(), got.getProperty("ORIGIN_MESSAGE_ID"), "ORIGIN_MESSAGE_ID");
                Check.eq(topic, got.getProperty("RETRY_TOPIC"), "RETRY_TOPIC");
                Check.that(!lastLogId.equals(((org.apache.rocketmq.common.message.MessageClientExt) got).getOffsetMsgId()), "offsetMsgId of a retry is its own");
            }
            lastLogId = ((org.apache.rocketmq.common.message.MessageClientExt) got).getOffsetMsgId();
            ctx.fact("properties of delivery " + i, SendScenarios.shape(got));
        }
        // Level 3 + reconsumeTimes: 3 s, then level 4, 1 s. The store timestamp is the broker's own time for it.
        Check.between(2_900, 5_500, inbox.get(1).getStoreTimestamp() - inbox.timeOf(0), "ms before the first retry");
        Check.between(900, 3_500, inbox.get(2).getStoreTimestamp() - inbox.timeOf(1), "ms before the second retry");
        // The retry is a message of its own in %RETRY%group.
        List<MessageExt> stored = ctx.drain(ctx.pull(ctx.group("d")), "%RETRY%" + ctx.group("c"), 2);
        ctx.fact("retry topic", Shim.route(ctx.admin(), "%RETRY%" + ctx.group("c")));
        ctx.fact("stored retry", SendScenarios.shape(stored.get(0)));
        Check.eq(1, stored.get(0).getReconsumeTimes(), "reconsume times stored");
    }

    private static void toDlq(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 2);
        String group = ctx.group("c");
        DefaultMQProducer producer = ctx.producer();
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = ctx.push(group);
        consumer.setMaxReconsumeTimes(2);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(inbox.concurrently(message ->
            Inbox.text(message).startsWith("bad") ? ConsumeConcurrentlyStatus.RECONSUME_LATER : ConsumeConcurrentlyStatus.CONSUME_SUCCESS));
        consumer.start();
        ctx.holdRetryTopic(consumer);
        SendResult bad = producer.send(Ctx.message(topic, "tag", "bad-key", "bad"));
        for (int i = 0; i < 5; i++) {
            producer.send(Ctx.message(topic, "good" + i));
        }
        List<MessageExt> dead = dead(ctx, group, 1);
        // Three tries: the first and two retries.
        Check.eq(3, inbox.counts().get("bad"), "deliveries of the failing message");
        Check.eq(8, inbox.size(), "all deliveries");
        MessageExt letter = dead.get(0);
        Check.eq("bad", Inbox.text(letter), "body in the DLQ");
        Check.eq("%DLQ%" + group, letter.getTopic(), "topic of the dead letter");
        Check.eq(topic, letter.getProperty("RETRY_TOPIC"), "RETRY_TOPIC");
        Check.eq(bad.getOffsetMsgId(), letter.getProperty("ORIGIN_MESSAGE_ID"), "ORIGIN_MESSAGE_ID");
        Check.eq(bad.getMsgId(), letter.getMsgId(), "msgId");
        Check.eq("tag", letter.getTags(), "tags");
        Check.eq("bad-key", letter.getKeys(), "keys");
        ctx.fact("dead letter", SendScenarios.shape(letter));
        ctx.fact("reconsume times", letter.getReconsumeTimes());
        Thread.sleep(2_500);
        Check.eq(3, inbox.counts().get("bad"), "deliveries after the message was buried");
    }

    /** delayLevelWhenNextConsume: 2 = that level (2 s), -1 = straight to the DLQ. */
    private static void delayLevel(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        String group = ctx.group("c");
        DefaultMQProducer producer = ctx.producer();
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = ctx.push(group);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            inbox.add(messages);
            MessageExt message = messages.get(0);
            if (Inbox.text(message).equals("bury")) {
                context.setDelayLevelWhenNextConsume(-1);
                return ConsumeConcurrentlyStatus.RECONSUME_LATER;
            }
            if (message.getReconsumeTimes() == 0) {
                context.setDelayLevelWhenNextConsume(2);
                return ConsumeConcurrentlyStatus.RECONSUME_LATER;
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        ctx.holdRetryTopic(consumer);
        producer.send(Ctx.message(topic, "later"));
        producer.send(Ctx.message(topic, "bury"));
        Ctx.awaitExactly(inbox, 3, Ctx.DELIVERY_MS);
        List<Integer> later = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            if (Inbox.text(inbox.get(i)).equals("later")) {
                later.add(i);
            }
        }
        Check.eq(2, later.size(), "deliveries of the retried message");
        long retried = inbox.get(later.get(1)).getStoreTimestamp();
        Check.between(1_900, 4_500, retried - inbox.timeOf(later.get(0)), "ms before a retry at level 2");
        Check.eq("bury", Inbox.text(dead(ctx, group, 1).get(0)), "message in the DLQ");
    }

    /** The pull consumer's own way: sendMessageBack with a level. */
    private static void sendMessageBack(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        String group = ctx.group("c");
        ctx.producer().send(Ctx.message(topic, "m"));
        DefaultMQPullConsumer consumer = ctx.pull(group);
        MessageExt message = ctx.drain(consumer, topic, 1).get(0);
        long sent = System.currentTimeMillis();
        consumer.sendMessageBack(message, 1);
        String retry = "%RETRY%" + group;
        List<MessageExt> found = new ArrayList<>();
        Ctx.await(15_000, "the message in " + retry, () -> {
            try {
                found.clear();
                found.addAll(ctx.drain(consumer, retry));
            } catch (MQClientException noRouteYet) {
                return false;
            }
            return !found.isEmpty();
        });
        Check.between(900, 4_000, found.get(0).getStoreTimestamp() - sent, "ms until the message came back");
        Check.eq("m", Inbox.text(found.get(0)), "body");
        Check.eq(1, found.get(0).getReconsumeTimes(), "reconsume times");
        Check.eq(topic, found.get(0).getProperty("RETRY_TOPIC"), "RETRY_TOPIC");
        consumer.sendMessageBack(found.get(0), -1);
        Check.eq("m", Inbox.text(dead(ctx, group, 1).get(0)), "message in the DLQ");
    }
}
