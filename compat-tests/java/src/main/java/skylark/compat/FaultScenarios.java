package skylark.compat;

import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Servers that go away and come back while clients run. The runner does the killing; these scenarios run alone. */
@SuppressWarnings("deprecation")
final class FaultScenarios {
    private FaultScenarios() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("broker-restart", ctx -> restart(ctx, "restart-broker"));
        all.put("broker-kill9", ctx -> restart(ctx, "kill9-broker"));
        all.put("namesrv-gone", FaultScenarios::namesrvGone);
    }

    /** A load that never stops: what the broker acknowledged, by offset. */
    private static final class Load implements Runnable {
        final Map<String, SendResult> acknowledged = new ConcurrentHashMap<>();
        final AtomicInteger failed = new AtomicInteger();
        private final AtomicBoolean stop = new AtomicBoolean();
        private final DefaultMQProducer producer;
        private final String topic;
        private final Thread thread = new Thread(this);

        Load(DefaultMQProducer producer, String topic) {
            this.producer = producer;
            this.topic = topic;
            thread.start();
        }

        @Override
        public void run() {
            for (int i = 0; !stop.get(); i++) {
                String body = "m" + i;
                try {
                    SendResult sent = producer.send(Ctx.message(topic, "tag", "key" + i, body));
                    if (sent.getSendStatus() == SendStatus.SEND_OK) {
                        acknowledged.put(body, sent);
                    }
                } catch (InterruptedException e) {
                    return;
                } catch (Exception brokerAway) {
                    failed.incrementAndGet();
                }
                try {
                    Thread.sleep(10);
                } catch (InterruptedException e) {
                    return;
                }
            }
        }

        void stop() throws InterruptedException {
            stop.set(true);
            thread.join(30_000);
        }
    }

    /** What was acknowledged stays: same bytes, same offset; offsets go on where they were; consumers go on where they were. */
    private static void restart(Ctx ctx, String how) throws Exception {
        String topic = ctx.topic("t", 4);
        String quiet = ctx.topic("quiet", 1);
        String group = ctx.group("c");
        DefaultMQProducer producer = ctx.newProducer();
        producer.setSendMsgTimeout(2_000);
        producer.start();
        // A second group that consumed and left: its offsets must be there afterwards.
        for (int i = 0; i < 5; i++) {
            producer.send(Ctx.message(quiet, "tag", "before", "q" + i));
        }
        Inbox left = new Inbox();
        DefaultMQPushConsumer leaver = ctx.push(ctx.group("left"));
        leaver.subscribe(quiet, "*");
        leaver.registerMessageListener(left.concurrently());
        leaver.start();
        Ctx.awaitExactly(left, 5, Ctx.DELIVERY_MS);
        leaver.shutdown();
        // The broker writes offsets to disk every 5 s; a kill may only take what is younger.
        Thread.sleep(6_000);
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = ctx.push(group);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(inbox.concurrently());
        consumer.start();
        Load load = new Load(producer, topic);
        Ctx.await(Ctx.DELIVERY_MS, "messages before the fault", () -> inbox.size() > 50);
        // Just before the fault, so that it is still waiting then.
        Message delayed = Ctx.message(quiet, "tag", "delayed", "delayed");
        delayed.setDelayTimeLevel(18);
        producer.send(delayed);
        ctx.fault(how);
        // Apache may miss its first registration when the broker is up before its list of NameServers is; the next comes after 10 s.
        ctx.awaitRoute(topic, 4, 6);
        int after = load.acknowledged.size();
        Ctx.await(60_000, "acknowledged sends after the fault", () -> load.acknowledged.size() > after + 50);
        load.stop();
        Ctx.await(60_000, "every acknowledged message at the consumer", () -> new HashSet<>(inbox.bodies()).containsAll(load.acknowledged.keySet()));

        Map<String, MessageExt> stored = new TreeMap<>();
        List<MessageExt> log = ctx.drain(ctx.pull(ctx.group("d")), topic);
        Map<Integer, TreeSet<Long>> offsets = new TreeMap<>();
        for (MessageExt message : log) {
            offsets.computeIfAbsent(message.getQueueId(), q -> new TreeSet<>()).add(message.getQueueOffset());
            stored.put(message.getQueueId() + "/" + message.getQueueOffset(), message);
        }
        SendScenarios.dense(offsets);
        for (Map.Entry<String, SendResult> entry : load.acknowledged.entrySet()) {
            SendResult sent = entry.getValue();
            MessageExt message = stored.get(sent.getMessageQueue().getQueueId() + "/" + sent.getQueueOffset());
            Check.that(message != null, "acknowledged " + entry.getKey() + " is gone");
            Check.eq(entry.getKey(), Inbox.text(message), "body at the acknowledged offset");
            Check.eq(sent.getMsgId(), message.getMsgId(), "msgId at the acknowledged offset");
        }
        // A key from before the fault, the consumer offsets of the group that left, and the delayed message.
        Ctx.await(Ctx.DELIVERY_MS, "messages by a key from before the fault", () -> {
            try {
                return producer.queryMessage(quiet, "before", 32, 0, System.currentTimeMillis()).getMessageList().size() == 5;
            } catch (org.apache.rocketmq.client.exception.MQClientException notYet) {
                return false;
            }
        });
        DefaultMQPullConsumer reader = ctx.pull(ctx.group("left"));
        MessageQueue queue = reader.fetchSubscribeMessageQueues(quiet).iterator().next();
        Check.eq(5L, reader.fetchConsumeOffset(queue, true), "offset of the group that left");
        Ctx.await(30_000, "the delayed message", () -> reader.maxOffset(queue) >= 6);
        long end = reader.maxOffset(queue);
        // The progress of a delay level is written every 10 s: a kill may let a message out twice.
        Check.that(end == 6 || end == 7 && how.equals("kill9-broker"), "the delayed message came " + (end - 5) + " times");
        Check.eq(end, producer.send(Ctx.message(quiet, "after")).getQueueOffset(), "queue offset after the fault");
    }

    /** Clients live on their routes and connections while no NameServer answers; new ones find their way when it is back. */
    private static void namesrvGone(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 4);
        DefaultMQProducer producer = ctx.producer();
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = ctx.push(ctx.group("c"));
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(inbox.concurrently());
        consumer.start();
        Set<String> want = new TreeSet<>();
        for (int i = 0; i < 10; i++) {
            producer.send(Ctx.message(topic, "before" + i));
            want.add("before" + i);
        }
        Ctx.awaitExactly(inbox, 10, Ctx.DELIVERY_MS);
        ctx.fault("stop-namesrv");
        for (int i = 0; i < 50; i++) {
            Check.eq(SendStatus.SEND_OK, producer.send(Ctx.message(topic, "during" + i)).getSendStatus(), "status without a NameServer");
            want.add("during" + i);
            Thread.sleep(50);
        }
        Ctx.awaitExactly(inbox, 60, Ctx.DELIVERY_MS);
        ctx.fault("start-namesrv");
        // The broker registers again by itself, within its 30 s period at the latest.
        DefaultMQProducer late = ctx.newProducer();
        late.start();
        Ctx.await(45_000, "a route for a new producer", () -> {
            try {
                late.send(Ctx.message(topic, "late"));
                return true;
            } catch (org.apache.rocketmq.client.exception.MQClientException noRouteYet) {
                Thread.sleep(500);
                return false;
            }
        });
        want.add("late");
        for (int i = 0; i < 10; i++) {
            producer.send(Ctx.message(topic, "after" + i));
            want.add("after" + i);
        }
        Ctx.awaitExactly(inbox, 71, Ctx.DELIVERY_MS);
        Check.eq(want, inbox.distinctBodies(), "messages");
    }
}
