package skylark.compat;

import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.ClientConfig;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.impl.consumer.DefaultMQPushConsumerImpl;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/**
 * What a scenario works with: names nobody else uses, clients that are closed afterwards, facts for the report, and the faults the runner
 * can inject. Every client gets its own instance name, so scenarios in one JVM share no connection.
 */
final class Ctx implements AutoCloseable {
    /** How long a delivery may take, to a consumer that was not settled ({@link #settle}) or on a busy machine. */
    static final long DELIVERY_MS = 45_000;

    private static final AtomicInteger INSTANCES = new AtomicInteger();

    final String namesrv;
    private final String broker;
    private final String run;
    private final String scenario;
    private final Faults faults;
    private final Deque<Runnable> closers = new ArrayDeque<>();
    private final Map<String, String> facts = Collections.synchronizedMap(new TreeMap<>());
    private final List<String> ownNames = new ArrayList<>();
    private final Map<String, String> hidden = new TreeMap<>();
    private DefaultMQAdminExt admin;

    Ctx(String namesrv, String broker, String run, String scenario, Faults faults) {
        this.namesrv = namesrv;
        this.broker = broker;
        this.run = run;
        this.scenario = scenario;
        this.faults = faults;
    }

    // ---- names

    /** A name of this run and scenario; the same suffix gives the same name. */
    String name(String suffix) {
        String name = "C" + run + "_" + scenario.replace('-', '_') + "_" + suffix;
        synchronized (ownNames) {
            if (!ownNames.contains(name)) {
                ownNames.add(name);
            }
        }
        return name;
    }

    String group(String suffix) {
        return name("g" + suffix);
    }

    /** Creates a topic on the broker and waits until the NameServer routes it with these queues. */
    String topic(String suffix, int queues) throws Exception {
        String topic = name(suffix);
        createTopic(topic, queues, 6);
        return topic;
    }

    void createTopic(String topic, int queues, int perm) throws Exception {
        admin().createAndUpdateTopicConfig(brokerAddr(), new TopicConfig(topic, queues, queues, perm));
        awaitRoute(topic, queues, perm);
    }

    /** Apache registers topics in parallel, so an older table may overtake a newer one; its next registration, after 30 s, mends that. */
    void awaitRoute(String topic, int queues, int perm) throws Exception {
        await(45_000, "the route of " + topic, () -> {
            try {
                List<Shim.Queues> route = Shim.route(admin(), topic);
                return route.size() == 1 && route.get(0).read() == queues && route.get(0).perm() == perm;
            } catch (MQClientException notYet) {
                return false;
            }
        });
    }

    // ---- clients

    DefaultMQAdminExt admin() throws Exception {
        synchronized (closers) {
            if (admin == null) {
                admin = admin(10_000);
            }
            return admin;
        }
    }

    /** Tools that wait so long for each answer. */
    DefaultMQAdminExt admin(long timeoutMs) throws Exception {
        DefaultMQAdminExt created = new DefaultMQAdminExt(timeoutMs);
        place(created);
        created.start();
        onClose(created::shutdown);
        return created;
    }

    /** The broker's address, which the cluster must also give. */
    String brokerAddr() throws Exception {
        // Apache is "ready" before it is registered when it was started before its list of NameServers was; it registers again after 10 s.
        await(45_000, "master " + broker + " in the cluster", () -> broker.equals(Shim.masterAddr(admin())));
        return broker;
    }

    /** The address of this machine or container that brokers see. */
    String ownHost() throws Exception {
        int colon = broker.lastIndexOf(':');
        try (Socket socket = new Socket(broker.substring(0, colon), Integer.parseInt(broker.substring(colon + 1)))) {
            return socket.getLocalAddress().getHostAddress();
        }
    }

    /** A started producer whose sends wait long enough for a busy two-core machine. */
    DefaultMQProducer producer() throws Exception {
        DefaultMQProducer producer = newProducer();
        producer.start();
        return producer;
    }

    DefaultMQProducer newProducer() {
        DefaultMQProducer producer = new DefaultMQProducer(group("p"));
        place(producer);
        producer.setSendMsgTimeout(10_000);
        producer.setPollNameServerInterval(1_000);
        onClose(producer::shutdown);
        return producer;
    }

    /** A push consumer, not started, from the first offset, with few threads. */
    DefaultMQPushConsumer push(String group) {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group);
        place(consumer);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setConsumeThreadMin(2);
        consumer.setConsumeThreadMax(4);
        consumer.setPollNameServerInterval(1_000);
        onClose(consumer::shutdown);
        return consumer;
    }

    @SuppressWarnings("deprecation")
    DefaultMQPullConsumer pull(String group) throws Exception {
        DefaultMQPullConsumer consumer = new DefaultMQPullConsumer(group);
        place(consumer);
        onClose(consumer::shutdown);
        consumer.start();
        return consumer;
    }

    /** A lite pull consumer, not started, that commits only when told to. */
    DefaultLitePullConsumer lite(String group) {
        DefaultLitePullConsumer consumer = new DefaultLitePullConsumer(group);
        place(consumer);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setAutoCommit(false);
        onClose(consumer::shutdown);
        return consumer;
    }

    /** Where a client finds the servers, who it is, and that it waits long enough for a busy two-core machine. */
    private void place(ClientConfig client) {
        client.setNamesrvAddr(namesrv);
        client.setInstanceName(instance());
        client.setMqClientApiTimeout(15_000);
    }

    String instance() {
        return "i" + run + INSTANCES.incrementAndGet();
    }

    void onClose(Runnable closer) {
        synchronized (closers) {
            closers.push(closer);
        }
    }

    // ---- messages

    static Message message(String topic, String tag, String key, String body) {
        return new Message(topic, tag, key, body.getBytes(StandardCharsets.UTF_8));
    }

    static Message message(String topic, String body) {
        return new Message(topic, body.getBytes(StandardCharsets.UTF_8));
    }

    /**
     * Everything in a topic, exactly so many messages. Apache answers a send before its consume queue has the message, so the end of the
     * queues may lag a moment.
     */
    @SuppressWarnings("deprecation")
    List<MessageExt> drain(DefaultMQPullConsumer consumer, String topic, int count) throws Exception {
        return drain(consumer, topic, count, 10_000);
    }

    @SuppressWarnings("deprecation")
    List<MessageExt> drain(DefaultMQPullConsumer consumer, String topic, int count, long timeoutMs) throws Exception {
        await(timeoutMs, count + " messages in " + topic, () -> {
            long stored = 0;
            for (MessageQueue queue : consumer.fetchSubscribeMessageQueues(topic)) {
                stored += consumer.maxOffset(queue) - consumer.minOffset(queue);
            }
            return stored >= count;
        });
        List<MessageExt> found = drain(consumer, topic);
        Check.eq(count, found.size(), "messages in " + topic);
        return found;
    }

    /** What is in a topic now, read queue by queue with plain pulls; the offsets of each queue are dense or it throws. */
    @SuppressWarnings("deprecation")
    List<MessageExt> drain(DefaultMQPullConsumer consumer, String topic) throws Exception {
        List<MessageExt> found = new ArrayList<>();
        for (MessageQueue queue : consumer.fetchSubscribeMessageQueues(topic)) {
            long offset = consumer.minOffset(queue);
            long end = consumer.maxOffset(queue);
            awaitVisible(consumer, queue, end);
            while (offset < end) {
                PullResult result = consumer.pull(queue, "*", offset, 32);
                Check.eq(PullStatus.FOUND, result.getPullStatus(), "pull " + queue + " at " + offset);
                for (MessageExt message : result.getMsgFoundList()) {
                    Check.eq(offset, message.getQueueOffset(), "queue offset in " + queue);
                    offset++;
                    found.add(message);
                }
                Check.eq(offset, result.getNextBeginOffset(), "next offset in " + queue);
            }
        }
        return found;
    }

    /**
     * Waits until a queue's messages before an offset can be pulled. Apache answers a send, and gives the offset after it to a 4.x client
     * that asks for the end, before the consume queue has the message.
     */
    @SuppressWarnings("deprecation")
    static void awaitVisible(DefaultMQPullConsumer consumer, MessageQueue queue, long end) throws Exception {
        if (end > consumer.minOffset(queue)) {
            await(10_000, "message at " + (end - 1) + " in " + queue, () -> consumer.pull(queue, "*", end - 1, 1).getPullStatus() == PullStatus.FOUND);
        }
    }

    // ---- rebalancing

    /** How many queues of a topic a push consumer holds now. */
    static int held(DefaultMQPushConsumer consumer, String topic) {
        int count = 0;
        for (MessageQueue queue : consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl().getProcessQueueTable().keySet()) {
            if (queue.getTopic().equals(topic)) {
                count++;
            }
        }
        return count;
    }

    /**
     * Waits until a started push consumer holds queues of these topics and the broker would answer its pulls. Nothing may measure time, or
     * expect a message soon, before that: whenever its queues change the client gives its subscription a new version, which it tells in a
     * heartbeat that it leaves out when another one is under way. And one is: the first periodic heartbeat comes 1 s after the start, exactly
     * when the client balances first. Until it balances or beats again, 20 s or 30 s later, each server refuses its pulls with
     * SUBSCRIPTION_NOT_LATEST; Apache's own tests do not measure there either. About one start in a hundred is hit, on a busy machine more.
     */
    void settle(DefaultMQPushConsumer consumer, String... topics) throws Exception {
        DefaultMQPushConsumerImpl impl = consumer.getDefaultMQPushConsumerImpl();
        for (String topic : topics) {
            await(DELIVERY_MS, "queue of " + topic + " at the consumer", () -> {
                impl.getmQClientFactory().updateTopicRouteInfoFromNameServer(topic);
                impl.doRebalance();
                return held(consumer, topic) > 0;
            });
        }
        for (String topic : topics) {
            await(DELIVERY_MS, "subscription to " + topic + " at the broker", () -> {
                impl.getmQClientFactory().sendHeartbeatToAllBrokerWithLock();
                return Shim.knowsSubscription(admin(), consumer, topic);
            });
        }
    }

    /**
     * Settles a push consumer on all it subscribes to, its group's retry topic among it. The broker creates that topic at the first heartbeat; a client left alone
     * would look for its route after 30 s and balance after 20 s more.
     */
    void holdRetryTopic(DefaultMQPushConsumer consumer) throws Exception {
        settle(consumer, consumer.getDefaultMQPushConsumerImpl().getSubscriptionInner().keySet().toArray(new String[0]));
    }

    // ---- waiting, facts, faults

    /** Polls until a condition holds; throws with what was awaited otherwise. */
    static void await(long timeoutMs, String what, Callable<Boolean> holds) throws Exception {
        long deadline = System.nanoTime() + timeoutMs * 1_000_000;
        while (!holds.call()) {
            if (System.nanoTime() > deadline) {
                throw new Check.Mismatch("no " + what + " within " + timeoutMs + " ms");
            }
            Thread.sleep(20);
        }
    }

    /** Waits until an inbox holds this many, then a little longer, so that surplus messages show. */
    static void awaitExactly(Inbox inbox, int count, long timeoutMs) throws Exception {
        try {
            await(timeoutMs, count + " messages", () -> inbox.size() >= count);
        } catch (Check.Mismatch late) {
            throw new Check.Mismatch(late.getMessage() + ", only " + inbox.size());
        }
        Thread.sleep(300);
        Check.eq(count, inbox.size(), "messages received");
    }

    /** A value the report compares between the servers; addresses and this run's names are replaced, so equal behaviour gives equal text. */
    void fact(String key, Object value) {
        String text = String.valueOf(value);
        synchronized (ownNames) {
            for (Map.Entry<String, String> each : hidden.entrySet()) {
                text = text.replace(each.getKey(), each.getValue());
            }
            List<String> longestFirst = new ArrayList<>(ownNames);
            longestFirst.sort((a, b) -> b.length() - a.length());
            for (String name : longestFirst) {
                text = text.replace(name, "<" + name.substring(name.lastIndexOf('_') + 1) + ">");
            }
        }
        facts.put(key, text.replaceAll("\\d+\\.\\d+\\.\\d+\\.\\d+:\\d+", "<addr>"));
    }

    /** Replaces a text that differs from run to run, such as a client id, in all facts from now on. */
    void hide(String varying, String shown) {
        synchronized (ownNames) {
            hidden.put(varying, shown);
        }
    }

    /** Code and remark of a refusal, as a fact; hands the code back. */
    int refusal(String key, Exception refused) {
        if (refused instanceof MQBrokerException e) {
            fact(key, e.getResponseCode() + " " + e.getErrorMessage());
            return e.getResponseCode();
        }
        if (refused instanceof MQClientException e) {
            if (e.getCause() instanceof MQBrokerException cause) {
                return refusal(key, cause);
            }
            fact(key, "client " + e.getResponseCode() + " " + e.getErrorMessage());
            return e.getResponseCode();
        }
        throw new Check.Mismatch(key + ": refused with " + refused);
    }

    Map<String, String> facts() {
        return facts;
    }

    /** Asks the runner for a fault, such as restart-broker, and returns when it has been done. */
    void fault(String order) throws Exception {
        faults.order(order);
    }

    /** Lets the runner ask the admin tools of 5.5.0, in a process of their own; see {@link Tool}. Returns what they printed. */
    String tool(String... words) throws Exception {
        return faults.order("tool " + String.join(" ", words));
    }

    static Set<String> numbered(String prefix, int from, int to) {
        Set<String> names = new java.util.TreeSet<>();
        for (int i = from; i < to; i++) {
            names.add(prefix + i);
        }
        return names;
    }

    @Override
    public void close() {
        while (true) {
            Runnable closer;
            synchronized (closers) {
                closer = closers.poll();
            }
            if (closer == null) {
                return;
            }
            try {
                closer.run();
            } catch (RuntimeException alreadyClosed) {
                // A client that was shut down by its scenario, or never started: nothing is left to release.
            }
        }
    }
}
