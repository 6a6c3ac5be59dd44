package skylark.compat;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Function;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.impl.factory.MQClientInstance;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.client.producer.TransactionSendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * Transactional messages. Their servers ask after 3 s, every 1.5 s, six times; see setups.mjs. What a message wants is the first word of its
 * body: "commit", "rollback" or "unknown", and after a colon what a check is told, such as "unknown:unknown,commit".
 */
final class TransactionScenarios {
    private static final int CHECKS_MAX = 6;
    private static final String GIVEN_UP = "TRANS_CHECK_MAX_TIME_TOPIC";

    private TransactionScenarios() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("transaction-ends", TransactionScenarios::ends);
        all.put("transaction-checked", TransactionScenarios::checked);
        all.put("transaction-other-producer", TransactionScenarios::otherProducer);
        all.put("transaction-given-up", TransactionScenarios::givenUp);
        all.put("transaction-immune", TransactionScenarios::immune);
        all.put("transaction-delay", TransactionScenarios::delay);
        all.put("transaction-late", TransactionScenarios::late);
        all.put("transaction-restart", ctx -> restart(ctx, "restart-broker"));
        all.put("transaction-kill9", ctx -> restart(ctx, "kill9-broker"));
    }

    /** Does what bodies say, and keeps what it was asked. */
    private static final class Listener implements TransactionListener {
        final List<MessageExt> asked = Collections.synchronizedList(new ArrayList<>());
        final List<Long> askedAt = Collections.synchronizedList(new ArrayList<>());
        final Set<String> executed = ConcurrentHashMap.newKeySet();
        volatile Function<String, LocalTransactionState> local = body -> state(body.split("[: ]")[0]);

        @Override
        public LocalTransactionState executeLocalTransaction(Message message, Object argument) {
            Check.eq("argument", argument, "argument of the local transaction");
            executed.add(message.getTransactionId());
            return local.apply(new String(message.getBody()));
        }

        @Override
        public LocalTransactionState checkLocalTransaction(MessageExt message) {
            asked.add(message);
            askedAt.add(System.currentTimeMillis());
            String body = Inbox.text(message);
            String[] answers = body.split(" ")[0].split(":")[1].split(",");
            return state(answers[Math.min(times(body), answers.length) - 1]);
        }

        /** How often it was asked about a body. */
        int times(String body) {
            synchronized (asked) {
                return (int) asked.stream().filter(message -> Inbox.text(message).equals(body)).count();
            }
        }

        MessageExt first(String body) {
            synchronized (asked) {
                return asked.stream().filter(message -> Inbox.text(message).equals(body)).findFirst().orElseThrow();
            }
        }

        static LocalTransactionState state(String word) {
            return switch (word) {
                case "commit" -> LocalTransactionState.COMMIT_MESSAGE;
                case "rollback" -> LocalTransactionState.ROLLBACK_MESSAGE;
                case "unknown" -> LocalTransactionState.UNKNOW;
                default -> throw new IllegalArgumentException("no state " + word);
            };
        }
    }

    private static TransactionMQProducer producer(Ctx ctx, Listener listener) throws Exception {
        TransactionMQProducer producer = new TransactionMQProducer(ctx.group("p"));
        producer.setNamesrvAddr(ctx.namesrv);
        producer.setInstanceName(ctx.instance());
        producer.setSendMsgTimeout(10_000);
        ExecutorService threads = Executors.newFixedThreadPool(2);
        producer.setExecutorService(threads);
        producer.setTransactionListener(listener);
        producer.start();
        ctx.onClose(() -> {
            producer.shutdown();
            threads.shutdownNow();
        });
        // The broker can only ask a producer whose heartbeat it has.
        Ctx.await(20_000, "the producer in its group", () -> {
            try {
                return !Shim.producers(ctx.admin(), ctx.group("p"), ctx.name("t")).isEmpty();
            } catch (Exception notYet) {
                // Left alone, the client would say so within 30 s of its first send.
                MQClientInstance client = producer.getDefaultMQProducerImpl().getMqClientFactory();
                client.updateTopicRouteInfoFromNameServer(ctx.name("t"));
                client.sendHeartbeatToAllBrokerWithLock();
                return false;
            }
        });
        return producer;
    }

    private static TransactionSendResult send(TransactionMQProducer producer, Message message) throws Exception {
        TransactionSendResult sent = producer.sendMessageInTransaction(message, "argument");
        Check.eq(SendStatus.SEND_OK, sent.getSendStatus(), "status");
        return sent;
    }

    private static TransactionSendResult send(TransactionMQProducer producer, String topic, String body) throws Exception {
        return send(producer, Ctx.message(topic, "tag", "key", body));
    }

    private static Inbox consume(Ctx ctx, String topic) throws Exception {
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = ctx.push(ctx.group("c"));
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(inbox.concurrently());
        consumer.start();
        return inbox;
    }

    /** Commits arrive as they were sent, rollbacks never, and nobody is asked about either. */
    private static void ends(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 2);
        Listener listener = new Listener();
        TransactionMQProducer producer = producer(ctx, listener);
        Inbox inbox = consume(ctx, topic);
        Map<String, TransactionSendResult> sent = new ConcurrentHashMap<>();
        for (int i = 0; i < 20; i++) {
            String body = (i % 2 == 0 ? "commit " : "rollback ") + i;
            Message message = Ctx.message(topic, "tag" + i, "key" + i, body);
            message.putUserProperty("mine", "kept");
            message.setFlag(7);
            TransactionSendResult result = send(producer, message);
            Check.eq(i % 2 == 0 ? LocalTransactionState.COMMIT_MESSAGE : LocalTransactionState.ROLLBACK_MESSAGE, result.getLocalTransactionState(), "state");
            Check.eq(result.getMsgId(), result.getTransactionId(), "transaction id");
            Check.that(listener.executed.contains(result.getTransactionId()), "the local transaction has another id");
            Check.eq(topic, result.getMessageQueue().getTopic(), "topic of the result");
            sent.put(body, result);
        }
        Ctx.awaitExactly(inbox, 10, Ctx.DELIVERY_MS);
        for (MessageExt got : inbox.all()) {
            String body = Inbox.text(got);
            Check.that(body.startsWith("commit"), "received " + body);
            TransactionSendResult result = sent.get(body);
            Check.eq(topic, got.getTopic(), "topic");
            Check.eq(result.getMsgId(), got.getMsgId(), "msgId");
            Check.eq(result.getMessageQueue().getQueueId(), got.getQueueId(), "queue id");
            Check.eq("tag" + body.split(" ")[1], got.getTags(), "tags");
            Check.eq("key" + body.split(" ")[1], got.getKeys(), "keys");
            Check.eq("kept", got.getUserProperty("mine"), "user property");
            Check.eq(7, got.getFlag(), "flag");
            Check.eq(0, got.getReconsumeTimes(), "reconsume times");
            ctx.fact("sysFlag", got.getSysFlag());
            ctx.fact("properties", SendScenarios.shape(got).replaceAll("(tag|key)\\d+", "$1").replaceAll("[0-9A-F]{32}", "<id>"));
            Check.eq(1, ctx.admin().queryMessage(topic, got.getKeys(), 10, 0, Long.MAX_VALUE).getMessageList().size(), "messages with the key");
        }
        // Long enough for two rounds of checks.
        Thread.sleep(7_000);
        Check.eq(0, listener.asked.size(), "checks");
        Check.eq(10, inbox.size(), "messages after the checks");
    }

    /** Undecided ones are asked about until they are decided. */
    private static void checked(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        Listener listener = new Listener();
        TransactionMQProducer producer = producer(ctx, listener);
        Inbox inbox = consume(ctx, topic);
        long begin = System.currentTimeMillis();
        List<String> bodies = List.of("unknown:commit 1", "unknown:rollback 2", "unknown:unknown,commit 3", "unknown:unknown,unknown,rollback 4");
        Map<String, TransactionSendResult> sent = new ConcurrentHashMap<>();
        for (String body : bodies) {
            sent.put(body, send(producer, topic, body));
        }
        Ctx.await(45_000, "all checks", () -> listener.asked.size() >= 7);
        Ctx.awaitExactly(inbox, 2, Ctx.DELIVERY_MS);
        Check.eq(Set.of(bodies.get(0), bodies.get(2)), inbox.distinctBodies(), "messages");
        int[] times = {1, 1, 2, 3};
        for (int i = 0; i < times.length; i++) {
            Check.eq(times[i], listener.times(bodies.get(i)), "checks of " + bodies.get(i));
        }
        Check.that(listener.askedAt.get(0) - begin >= 3_000, "asked after only " + (listener.askedAt.get(0) - begin) + " ms");
        MessageExt asked = listener.first(bodies.get(0));
        Check.eq(topic, asked.getTopic(), "topic asked about");
        Check.eq(sent.get(bodies.get(0)).getMsgId(), asked.getUserProperty("UNIQ_KEY"), "unique key asked about");
        Check.eq(sent.get(bodies.get(0)).getMsgId(), asked.getTransactionId(), "transaction id asked about");
        Check.eq(0, asked.getQueueId(), "queue id asked about");
        Check.eq("1", asked.getUserProperty("TRANSACTION_CHECK_TIMES"), "checks, as the message tells");
        ctx.fact("properties asked about", SendScenarios.shape(asked).replaceAll("[0-9A-F]{32}", "<id>"));
        MessageExt got = inbox.all().stream().filter(message -> Inbox.text(message).equals(bodies.get(2))).findFirst().orElseThrow();
        Check.eq("2", got.getUserProperty("TRANSACTION_CHECK_TIMES"), "checks of the message received");
        ctx.fact("properties received", SendScenarios.shape(got).replaceAll("[0-9A-F]{32}", "<id>"));
    }

    /** When the producer that sent it is gone, another one of its group is asked. */
    private static void otherProducer(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        Listener first = new Listener();
        Listener second = new Listener();
        TransactionMQProducer dying = producer(ctx, first);
        Inbox inbox = consume(ctx, topic);
        for (int i = 0; i < 4; i++) {
            send(dying, topic, "unknown:commit " + i);
        }
        dying.shutdown();
        producer(ctx, second);
        Ctx.awaitExactly(inbox, 4, Ctx.DELIVERY_MS);
        Check.eq(0, first.asked.size(), "checks that the first producer got");
        Check.eq(4, second.asked.size(), "checks that the second producer got");
    }

    /** After the last check a message is moved where an operator may find it. */
    @SuppressWarnings("deprecation")
    private static void givenUp(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        Listener listener = new Listener();
        TransactionMQProducer producer = producer(ctx, listener);
        Inbox inbox = consume(ctx, topic);
        TransactionSendResult sent = send(producer, topic, "unknown:unknown lost");
        DefaultMQPullConsumer consumer = ctx.pull(ctx.group("d"));
        List<MessageExt> found = new ArrayList<>();
        Ctx.await(60_000, "the message that was given up", () -> {
            try {
                for (MessageExt message : ctx.drain(consumer, GIVEN_UP)) {
                    if (message.getMsgId().equals(sent.getMsgId())) {
                        found.add(message);
                    }
                }
            } catch (MQClientException noRouteYet) {
                return false;
            }
            return !found.isEmpty();
        });
        Check.eq("unknown:unknown lost", Inbox.text(found.get(0)), "body");
        Check.eq(topic, found.get(0).getUserProperty("REAL_TOPIC"), "real topic");
        Check.eq(String.valueOf(CHECKS_MAX), found.get(0).getUserProperty("TRANSACTION_CHECK_TIMES"), "checks, as the message tells");
        Check.eq(CHECKS_MAX, listener.asked.size(), "checks");
        Thread.sleep(3_000);
        Check.eq(CHECKS_MAX, listener.asked.size(), "checks later");
        Check.eq(0, inbox.size(), "messages received");
    }

    /** Nobody is asked within the time that a message asked for, and a late end of the producer itself is refused. */
    private static void immune(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        Listener listener = new Listener();
        TransactionMQProducer producer = producer(ctx, listener);
        Inbox inbox = consume(ctx, topic);
        long begin = System.currentTimeMillis();
        Message message = Ctx.message(topic, "unknown:commit immune");
        message.putUserProperty("CHECK_IMMUNITY_TIME_IN_SECONDS", "5");
        send(producer, message);
        send(producer, topic, "unknown:commit other");
        Ctx.awaitExactly(inbox, 2, Ctx.DELIVERY_MS);
        int place = Inbox.text(listener.asked.get(0)).equals("unknown:commit immune") ? 0 : 1;
        Check.eq("unknown:commit immune", Inbox.text(listener.asked.get(place)), "one of two checks");
        Check.between(5_000, 45_000, listener.askedAt.get(place) - begin, "ms until the immune message was asked about");
    }

    /** The client of 5.5.0 refuses a delay, earlier ones drop it. */
    private static void delay(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        TransactionMQProducer producer = producer(ctx, new Listener());
        Inbox inbox = consume(ctx, topic);
        Message message = Ctx.message(topic, "commit delayed");
        message.setDelayTimeLevel(2);
        int expected = 1;
        try {
            send(producer, message);
        } catch (MQClientException refused) {
            ctx.fact("a delay level", refused.getErrorMessage());
            expected = 0;
        }
        send(producer, topic, "commit now");
        Ctx.awaitExactly(inbox, 1 + expected, Ctx.DELIVERY_MS);
    }

    /** A local transaction that outlasts the checks: whoever answers first decides. */
    private static void late(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        Listener listener = new Listener();
        listener.local = body -> {
            try {
                Thread.sleep(8_000);
            } catch (InterruptedException stopped) {
                Thread.currentThread().interrupt();
            }
            return LocalTransactionState.COMMIT_MESSAGE;
        };
        TransactionMQProducer producer = producer(ctx, listener);
        Inbox inbox = consume(ctx, topic);
        send(producer, topic, "commit:commit late");
        Ctx.await(Ctx.DELIVERY_MS, "delivery", () -> inbox.size() >= 1);
        Thread.sleep(3_000);
        Check.eq(1, inbox.distinctBodies().size(), "different messages");
        ctx.fact("deliveries of a message that was committed twice", inbox.size());
    }

    /** Halves outlive the broker: those decided stay so, those undecided are asked about. */
    private static void restart(Ctx ctx, String how) throws Exception {
        String topic = ctx.topic("t", 2);
        Listener listener = new Listener();
        TransactionMQProducer producer = producer(ctx, listener);
        Inbox inbox = consume(ctx, topic);
        TreeSet<String> expected = new TreeSet<>();
        for (int i = 0; i < 40; i++) {
            String body = List.of("commit:commit ", "rollback:rollback ", "unknown:commit ", "unknown:rollback ").get(i % 4) + i;
            send(producer, topic, body);
            if (i % 2 == 0) {
                expected.add(body);
            }
        }
        ctx.fault(how);
        Ctx.await(90_000, "all committed messages", () -> {
            // Six checks are soon over, and the client's own heartbeat comes every 30 s only.
            producer.getDefaultMQProducerImpl().getMqClientFactory().sendHeartbeatToAllBrokerWithLock();
            return inbox.distinctBodies().containsAll(expected);
        });
        // Long enough for what must not come.
        Thread.sleep(6_000);
        Check.eq(expected, inbox.distinctBodies(), "messages");
        ctx.fact("messages that came twice", inbox.size() - expected.size());
        send(producer, topic, "commit:commit after");
        Ctx.await(20_000, "a commit after the restart", () -> inbox.distinctBodies().contains("commit:commit after"));
    }
}
