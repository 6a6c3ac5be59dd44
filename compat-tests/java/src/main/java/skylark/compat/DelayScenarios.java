package skylark.compat;

import java.util.HashMap;
import java.util.Map;
import java.util.TreeSet;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Delay levels; see RetryScenarios for the levels of the suite's servers. */
final class DelayScenarios {
    private DelayScenarios() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("delay-levels", ctx -> levels(ctx, new int[][] {{0, 0}, {1, 1_000}, {2, 2_000}, {3, 3_000}, {18, 4_000}, {99, 4_000}}));
        // On the server with Apache's own levels: 1s 5s 10s.
        all.put("delay-levels-default", ctx -> levels(ctx, new int[][] {{1, 1_000}, {2, 5_000}, {3, 10_000}}));
    }

    private static void levels(Ctx ctx, int[][] expected) throws Exception {
        String topic = ctx.topic("t", 1);
        String group = ctx.group("c");
        Shim.createGroup(ctx.admin(), ctx.brokerAddr(), group);
        Shim.createGroup(ctx.admin(), ctx.brokerAddr(), ctx.group("d"));
        DefaultMQProducer producer = ctx.producer();
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = ctx.push(group);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(inbox.concurrently());
        consumer.start();
        ctx.settle(consumer, topic);
        Map<String, SendResult> sent = new HashMap<>();
        Map<String, Integer> wanted = new HashMap<>();
        for (int[] row : expected) {
            String body = "level" + row[0];
            Message message = Ctx.message(topic, "tag", "key" + row[0], body);
            message.setDelayTimeLevel(row[0]);
            SendResult result = producer.send(message);
            Check.eq(SendStatus.SEND_OK, result.getSendStatus(), "status");
            ctx.fact("queue offset and queue of level " + row[0], result.getQueueOffset() >= 0 ? "queue " + result.getMessageQueue().getQueueId() : "negative");
            sent.put(body, result);
            wanted.put(body, row[1]);
        }
        Ctx.awaitExactly(inbox, expected.length, Ctx.DELIVERY_MS);
        TreeSet<Long> offsets = new TreeSet<>();
        for (int i = 0; i < expected.length; i++) {
            MessageExt got = inbox.get(i);
            String body = Inbox.text(got);
            // When the broker let it out; a busy client may see it later.
            long delay = got.getStoreTimestamp() - got.getBornTimestamp();
            Check.between(wanted.get(body), wanted.get(body) + 1_500, delay, "ms until " + body);
            Check.eq(topic, got.getTopic(), "topic of " + body);
            Check.eq("tag", got.getTags(), "tags of " + body);
            Check.eq(sent.get(body).getMsgId(), got.getMsgId(), "msgId of " + body);
            offsets.add(got.getQueueOffset());
            ctx.fact("properties of " + body, SendScenarios.shape(got));
        }
        // Two that are due together may reach the listener in either order.
        SendScenarios.dense(Map.of(0, offsets));
        ctx.drain(ctx.pull(ctx.group("d")), topic, expected.length);
    }
}
