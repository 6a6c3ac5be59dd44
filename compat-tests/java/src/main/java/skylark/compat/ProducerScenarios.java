package skylark.compat;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.MessageExt;

/** What producers can be told: the fast port, latency faults, lists of NameServers, batches by themselves. */
@SuppressWarnings("deprecation")
final class ProducerScenarios {
    private ProducerScenarios() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("producer-options", ProducerScenarios::options);
        all.put("vip-channel", ProducerScenarios::vipChannel);
        all.put("namesrv-list", ProducerScenarios::namesrvList);
        all.put("auto-batch", ProducerScenarios::autoBatch);
        all.put("topic-attributes", ProducerScenarios::topicAttributes);
        all.put("two-producers", ProducerScenarios::twoProducers);
    }

    private static void sendAll(DefaultMQProducer producer, String topic, int count) throws Exception {
        for (int i = 0; i < count; i++) {
            Check.eq(SendStatus.SEND_OK, producer.send(Ctx.message(topic, "m" + i)).getSendStatus(), "status");
        }
    }

    /** Latency faults, another broker when not stored, and the 5.x client's detector, on a broker where nothing is wrong. */
    private static void options(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 3);
        DefaultMQProducer producer = ctx.newProducer();
        producer.setSendLatencyFaultEnable(true);
        producer.setRetryAnotherBrokerWhenNotStoreOK(true);
        Shim.detector(producer);
        producer.start();
        Check.eq(3, producer.fetchPublishMessageQueues(topic).size(), "queues to publish to");
        sendAll(producer, topic, 30);
        // The detector asks every 3 s whether the broker can be reached.
        Thread.sleep(4_000);
        sendAll(producer, topic, 3);
        TreeSet<Integer> queues = new TreeSet<>();
        for (MessageExt message : ctx.drain(ctx.pull(ctx.group("d")), topic, 33)) {
            queues.add(message.getQueueId());
        }
        Check.eq(new TreeSet<>(List.of(0, 1, 2)), queues, "queues used");
    }

    /** The VIP channel: sends go to the port two below the broker's. */
    private static void vipChannel(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 2);
        DefaultMQProducer producer = ctx.newProducer();
        producer.setVipChannelEnabled(true);
        producer.start();
        sendAll(producer, topic, 10);
        AtomicInteger called = new AtomicInteger();
        CountDownLatch done = new CountDownLatch(10);
        for (int i = 0; i < 10; i++) {
            producer.send(Ctx.message(topic, "async" + i), new SendCallback() {
                @Override
                public void onSuccess(SendResult sent) {
                    called.incrementAndGet();
                    done.countDown();
                }

                @Override
                public void onException(Throwable e) {
                    done.countDown();
                }
            });
        }
        Check.that(done.await(30, TimeUnit.SECONDS) && called.get() == 10, "asynchronous sends through the fast port: " + called.get());
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = ctx.push(ctx.group("c"));
        consumer.setVipChannelEnabled(true);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(inbox.concurrently());
        consumer.start();
        Ctx.awaitExactly(inbox, 20, Ctx.DELIVERY_MS);
    }

    /** A list of NameServers of which the first is not there. */
    private static void namesrvList(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 2);
        String list = "127.0.0.1:1;" + ctx.namesrv;
        DefaultMQProducer producer = ctx.newProducer();
        producer.setNamesrvAddr(list);
        producer.start();
        // The client begins anywhere in the list; where it finds nobody it fails once and goes on to the next.
        Ctx.await(30_000, "a send by way of the NameServer that is there", () -> {
            try {
                producer.send(Ctx.message(topic, "first"));
                return true;
            } catch (MQClientException | IllegalStateException wrongOne) {
                return false;
            }
        });
        sendAll(producer, topic, 10);
        ctx.drain(ctx.pull(ctx.group("d")), topic, 11);
    }

    /** The client gathers single sends into batches; each message has a result of its own. */
    private static void autoBatch(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        DefaultMQProducer producer = ctx.newProducer();
        if (!Shim.autoBatch(producer)) {
            return;
        }
        producer.start();
        int count = 60;
        List<Thread> threads = new ArrayList<>();
        Map<String, SendResult> sent = new TreeMap<>();
        List<Throwable> failures = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            String body = "m" + i;
            Thread thread = new Thread(() -> {
                try {
                    SendResult result = producer.send(Ctx.message(topic, "tag", "key-" + body, body));
                    synchronized (sent) {
                        sent.put(body, result);
                    }
                } catch (Throwable e) {
                    synchronized (sent) {
                        failures.add(e);
                    }
                }
            });
            thread.start();
            threads.add(thread);
        }
        for (Thread thread : threads) {
            thread.join(30_000);
        }
        Check.eq(List.of(), failures, "failed sends");
        Check.eq(count, sent.size(), "sends that came back");
        TreeSet<String> bodies = new TreeSet<>();
        for (MessageExt message : ctx.drain(ctx.pull(ctx.group("d")), topic, count)) {
            String body = Inbox.text(message);
            bodies.add(body);
            Check.eq("key-" + body, message.getKeys(), "keys");
            Check.eq(sent.get(body).getMsgId(), message.getMsgId(), "id of " + body);
            Check.eq(sent.get(body).getQueueOffset(), message.getQueueOffset(), "offset of " + body);
        }
        Check.eq(Ctx.numbered("m", 0, count), bodies, "messages stored");
    }

    /** Topics with attributes; what is wrong with others. */
    private static void topicAttributes(Ctx ctx) throws Exception {
        String broker = ctx.brokerAddr();
        if (!Shim.hasAttributes()) {
            return;
        }
        for (String type : new String[] {"NORMAL", "FIFO", "DELAY", "TRANSACTION", "UNSPECIFIED"}) {
            String topic = ctx.name(type);
            Shim.createTopicOf(ctx.admin(), broker, topic, Map.of("+message.type", type));
            ctx.fact("topic of " + type, Shim.attributes(ctx.admin().examineTopicConfig(broker, topic)));
        }
        String changed = ctx.name("NORMAL");
        Shim.createTopicOf(ctx.admin(), broker, changed, Map.of("+message.type", "FIFO"));
        ctx.fact("changed", Shim.attributes(ctx.admin().examineTopicConfig(broker, changed)));
        Shim.createTopicOf(ctx.admin(), broker, changed, Map.of("-message.type", ""));
        ctx.fact("taken away", Shim.attributes(ctx.admin().examineTopicConfig(broker, changed)));
        int i = 0;
        for (Map<String, String> wrong : List.of(Map.of("+message.type", "ODD"), Map.of("message.type", "FIFO"), Map.of("+unknown", "x"), Map.of("-message.type", ""))) {
            String topic = ctx.name("wrong" + i++);
            Exception refused = Check.refused("a topic with " + wrong, () -> Shim.createTopicOf(ctx.admin(), broker, topic, wrong));
            ctx.refusal("topic with " + wrong, refused);
        }
    }

    /** Two producers of one client share its connection; one that leaves does not take the other with it. */
    private static void twoProducers(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        DefaultMQProducer one = ctx.newProducer();
        DefaultMQProducer two = ctx.newProducer();
        two.setProducerGroup(ctx.group("second"));
        two.setInstanceName(one.getInstanceName());
        one.start();
        two.start();
        sendAll(one, topic, 1);
        sendAll(two, topic, 1);
        one.getDefaultMQProducerImpl().getMqClientFactory().sendHeartbeatToAllBrokerWithLock();
        Check.eq(Shim.producers(ctx.admin(), one.getProducerGroup(), topic), Shim.producers(ctx.admin(), two.getProducerGroup(), topic), "client of both groups");
        one.shutdown();
        Exception gone = Check.refused("the list of a producer group that left", () -> Shim.producers(ctx.admin(), one.getProducerGroup(), topic));
        Check.eq(1, ctx.refusal("producer group that left", gone), "code");
        Check.eq(1, Shim.producers(ctx.admin(), two.getProducerGroup(), topic).size(), "clients of the group that stayed");
        sendAll(two, topic, 1);
    }
}
