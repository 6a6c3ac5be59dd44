package skylark.compat;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.function.IntPredicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Filters on message properties, by every kind of consumer. */
@SuppressWarnings("deprecation")
final class SqlScenarios {
    private static final String[] COLORS = {"red", "green", "blue", "it's"};
    private static final Pattern PLACE = Pattern.compile("line \\d+, column \\d+");

    private SqlScenarios() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("sql-pull", SqlScenarios::pull);
        all.put("sql-push", SqlScenarios::push);
        all.put("sql-lite", SqlScenarios::lite);
        all.put("sql-retry", SqlScenarios::retry);
        all.put("sql-change", SqlScenarios::change);
        all.put("sql-wrong", SqlScenarios::wrong);
        all.put("sql-off", SqlScenarios::off);
        all.put("sql-restart", SqlScenarios::restart);
    }

    /** Message i: n = i, half = i + 0.5, color by turns, even = true or false; every fifth has none of these. */
    private static void send(DefaultMQProducer producer, String topic, int from, int to) throws Exception {
        for (int i = from; i < to; i++) {
            Message message = Ctx.message(topic, "tag" + i % 2, "key" + i, "m" + i);
            if (i % 5 != 4) {
                message.putUserProperty("n", String.valueOf(i));
                message.putUserProperty("half", i + ".5");
                message.putUserProperty("color", COLORS[i % 4]);
                message.putUserProperty("even", String.valueOf(i % 2 == 0));
                message.putUserProperty("big", String.valueOf(4_000_000_000L + i));
                message.putUserProperty("mixed", i % 2 == 0 ? String.valueOf(i) : "odd");
            }
            producer.send(message);
        }
    }

    private static TreeSet<String> numbers(int from, int to, IntPredicate wanted) {
        TreeSet<String> bodies = new TreeSet<>();
        for (int i = from; i < to; i++) {
            if (wanted.test(i)) {
                bodies.add("m" + i);
            }
        }
        return bodies;
    }

    private static boolean set(int i) {
        return i % 5 != 4;
    }

    /** A client pulls by SQL92 only once a heartbeat's answer has told it the broker's version. */
    private static void awaitBrokerVersion(DefaultMQPullConsumer consumer, MessageQueue queue) throws Exception {
        Ctx.await(Ctx.DELIVERY_MS, "the broker's version at the client", () -> {
            try {
                consumer.pull(queue, MessageSelector.bySql("TRUE"), 0, 1);
                return true;
            } catch (MQBrokerException refusedByBroker) {
                return true;
            } catch (MQClientException notYet) {
                consumer.getDefaultMQPullConsumerImpl().getRebalanceImpl().getmQClientFactory().sendHeartbeatToAllBrokerWithLock();
                return false;
            }
        });
    }

    /** Everything that passes a filter in a queue, and the offset behind it. */
    private static TreeSet<String> pullAll(DefaultMQPullConsumer consumer, MessageQueue queue, String sql) throws Exception {
        TreeSet<String> bodies = new TreeSet<>();
        long end = consumer.maxOffset(queue);
        long offset = 0;
        while (offset < end) {
            PullResult got = consumer.pull(queue, MessageSelector.bySql(sql), offset, 32);
            Check.that(got.getPullStatus() == PullStatus.FOUND || got.getPullStatus() == PullStatus.NO_MATCHED_MSG, "status " + got.getPullStatus() + " of " + sql);
            Check.that(got.getNextBeginOffset() > offset, "a pull by " + sql + " does not move on from " + offset);
            if (got.getPullStatus() == PullStatus.FOUND) {
                got.getMsgFoundList().forEach(message -> bodies.add(Inbox.text(message)));
            }
            offset = got.getNextBeginOffset();
        }
        Check.eq(end, offset, "offset behind a pull by " + sql);
        return bodies;
    }

    /** Types, unknown and errors, message by message. */
    private static void pull(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        send(ctx.producer(), topic, 0, 60);
        DefaultMQPullConsumer consumer = ctx.pull(ctx.group("c"));
        MessageQueue queue = consumer.fetchSubscribeMessageQueues(topic).iterator().next();
        Ctx.await(5_000, "60 messages", () -> consumer.maxOffset(queue) == 60);
        awaitBrokerVersion(consumer, queue);
        record Case(String sql, IntPredicate wanted) {
        }
        List<Case> cases = List.of(
            new Case("n > 30", i -> set(i) && i > 30),
            new Case("n >= 30 AND n < 40L", i -> set(i) && i >= 30 && i < 40),
            new Case("n between 5 and 9", i -> set(i) && i >= 5 && i <= 9),
            new Case("n NOT BETWEEN 5 AND 55", i -> set(i) && (i < 5 || i > 55)),
            new Case("half <= 7.5", i -> set(i) && i <= 7),
            new Case("big = 4000000007", i -> i == 7),
            new Case("n < half AND n = 3", i -> i == 3),
            new Case("color = 'it''s'", i -> set(i) && i % 4 == 3),
            new Case("color IN ('red', 'blue') AND even = TRUE", i -> set(i) && i % 2 == 0),
            new Case("color NOT IN ('red', 'blue')", i -> set(i) && i % 2 == 1),
            new Case("color <> 'red'", i -> set(i) && i % 4 != 0),
            new Case("color CONTAINS 're' OR color STARTSWITH 'bl' OR color ENDSWITH '''s'", SqlScenarios::set),
            new Case("color NOT CONTAINS 'e'", i -> set(i) && i % 4 == 3),
            new Case("n IS NULL", i -> !set(i)),
            new Case("n IS NOT NULL AND NOT (even = 'true')", i -> set(i) && i % 2 == 1),
            new Case("missing > 5 OR TAGS = 'tag1'", i -> i % 2 == 1),
            new Case("missing > 5 AND TAGS = 'tag1'", i -> false),
            new Case("NOT (missing > 5)", i -> false),
            new Case("KEYS = 'key44' or UNIQ_KEY IS NULL", i -> i == 44),
            // What is no number is an error, and the message does not pass, whatever stands beside it.
            new Case("mixed < 20", i -> set(i) && i % 2 == 0 && i < 20),
            new Case("mixed < 20 OR n > 50", i -> set(i) && i % 2 == 0 && (i < 20 || i > 50)),
            new Case("half > 5", i -> false),
            new Case("color > 5", i -> false),
            new Case("even", i -> false),
            new Case("NOT even", SqlScenarios::set),
            new Case("TRUE", i -> true),
            new Case("NULL", i -> false));
        for (Case one : cases) {
            Check.eq(numbers(0, 60, one.wanted), pullAll(consumer, queue, one.sql), "messages by " + one.sql);
        }
    }

    /** A held pull is answered by the first message that matches, not by others. */
    private static void push(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 2);
        DefaultMQProducer producer = ctx.producer();
        send(producer, topic, 0, 20);
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = ctx.push(ctx.group("c"));
        consumer.subscribe(topic, MessageSelector.bySql("n > 10 AND (color = 'red' OR missing IS NOT NULL) OR n IS NULL AND TAGS = 'tag0'"));
        consumer.registerMessageListener(inbox.concurrently());
        consumer.start();
        ctx.settle(consumer, topic);
        IntPredicate wanted = i -> set(i) && i > 10 && i % 4 == 0 || !set(i) && i % 2 == 0;
        Ctx.awaitExactly(inbox, numbers(0, 20, wanted).size(), Ctx.DELIVERY_MS);
        Check.eq(numbers(0, 20, wanted), inbox.distinctBodies(), "messages that were there before");
        send(producer, topic, 20, 60);
        Ctx.awaitExactly(inbox, numbers(0, 60, wanted).size(), Ctx.DELIVERY_MS);
        Check.eq(numbers(0, 60, wanted), inbox.distinctBodies(), "messages received");
        int before = inbox.size();
        Thread.sleep(300);
        send(producer, topic, 60, 61);
        // Sooner than the broker's look at held pulls every 5 s.
        Ctx.await(4_000, "the message that the held pull waits for", () -> inbox.size() == before + 1);
        ctx.fact("subscriptions", Shim.consumers(ctx.admin(), ctx.group("c")).get("subscriptions"));
    }

    private static void lite(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 2);
        send(ctx.producer(), topic, 0, 60);
        DefaultLitePullConsumer consumer = ctx.lite(ctx.group("c"));
        consumer.subscribe(topic, MessageSelector.bySql("n BETWEEN 10 AND 29 AND color <> 'green'"));
        consumer.start();
        TreeSet<String> want = numbers(0, 60, i -> set(i) && i >= 10 && i <= 29 && i % 4 != 1);
        List<MessageExt> got = new ArrayList<>();
        Ctx.await(Ctx.DELIVERY_MS, want.size() + " messages", () -> {
            got.addAll(consumer.poll(200));
            return got.size() >= want.size();
        });
        got.addAll(consumer.poll(500));
        Check.eq(want.size(), got.size(), "messages polled");
        TreeSet<String> bodies = new TreeSet<>();
        got.forEach(message -> bodies.add(Inbox.text(message)));
        Check.eq(want, bodies, "bodies");
    }

    /** A message that failed comes back through the retry topic, which has no filter of its own. */
    private static void retry(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        DefaultMQProducer producer = ctx.producer();
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = ctx.push(ctx.group("c"));
        consumer.subscribe(topic, MessageSelector.bySql("n < 2"));
        consumer.registerMessageListener(inbox.concurrently(
            message -> message.getReconsumeTimes() == 0 ? ConsumeConcurrentlyStatus.RECONSUME_LATER : ConsumeConcurrentlyStatus.CONSUME_SUCCESS));
        consumer.start();
        ctx.holdRetryTopic(consumer);
        send(producer, topic, 0, 10);
        Ctx.awaitExactly(inbox, 4, Ctx.DELIVERY_MS);
        Check.eq(Map.of("m0", 2, "m1", 2), inbox.counts(), "deliveries");
    }

    /** A running consumer changes its expression. */
    private static void change(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        DefaultMQProducer producer = ctx.producer();
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = ctx.push(ctx.group("c"));
        consumer.subscribe(topic, MessageSelector.bySql("even = 'true'"));
        consumer.registerMessageListener(inbox.concurrently());
        consumer.start();
        ctx.settle(consumer, topic);
        send(producer, topic, 0, 8);
        Ctx.awaitExactly(inbox, 3, Ctx.DELIVERY_MS);
        consumer.subscribe(topic, MessageSelector.bySql("even = 'false'"));
        // The new subscription travels with a heartbeat; a pull that is held with the old one ends with the next message or its time.
        Ctx.await(Ctx.DELIVERY_MS, "the new subscription at the broker",
            () -> Shim.consumers(ctx.admin(), ctx.group("c")).get("subscriptions").contains("even = 'false'"));
        Thread.sleep(1_000);
        int before = inbox.size();
        Ctx.await(Ctx.DELIVERY_MS, "a message by the new expression", () -> {
            send(producer, topic, 20, 24);
            Thread.sleep(500);
            return inbox.bodies().subList(before, inbox.size()).contains("m21");
        });
        int then = inbox.size();
        send(producer, topic, 30, 34);
        Ctx.await(Ctx.DELIVERY_MS, "a message behind the change", () -> inbox.distinctBodies().contains("m33"));
        Thread.sleep(300);
        List<String> since = inbox.bodies().subList(then, inbox.size());
        Check.that(!since.contains("m30") && !since.contains("m32"), "messages by the old expression: " + since);
    }

    /** A wrong expression is refused when the consumer starts, with the place of the mistake. */
    private static void wrong(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        String[] wrongs = {"n >", "n > 5 AND", "n = 'x", "n BETWEEN 5 AND 1", "n IN (1, 2)", "n ! 5", "'x'", "n LIKE 'a%'\n AND ( n"};
        for (int i = 0; i < wrongs.length; i++) {
            String sql = wrongs[i];
            DefaultMQPushConsumer consumer = ctx.push(ctx.group("push" + i));
            consumer.subscribe(topic, MessageSelector.bySql(sql));
            consumer.registerMessageListener(new Inbox().concurrently());
            // n LIKE is the property n with something behind it, which nobody looks at.
            if (i == wrongs.length - 1) {
                consumer.start();
                continue;
            }
            Exception refused = Check.refused("a push consumer with " + sql, consumer::start);
            refusedWithPlace(ctx, "push " + sql, refused);
        }
        DefaultLitePullConsumer lite = ctx.lite(ctx.group("lite"));
        lite.subscribe(topic, MessageSelector.bySql("n > 5 OR"));
        refusedWithPlace(ctx, "lite", Check.refused("a lite pull consumer with a wrong expression", lite::start));
        DefaultMQPushConsumer other = ctx.push(ctx.group("type"));
        DefaultMQPullConsumer pull = ctx.pull(ctx.group("pull"));
        MessageQueue queue = pull.fetchSubscribeMessageQueues(topic).iterator().next();
        Exception empty = Check.refused("a pull with an empty expression", () -> pull.pull(queue, MessageSelector.bySql(""), 0, 1));
        ctx.fact("pull by nothing", empty instanceof MQBrokerException e ? e.getResponseCode() : empty.getMessage());
        Check.that(other.getConsumerGroup() != null, "a consumer that never starts");
    }

    private static void refusedWithPlace(Ctx ctx, String what, Exception refused) {
        MQClientException e = (MQClientException) refused;
        Check.eq(23, e.getResponseCode(), "code for " + what);
        Matcher place = PLACE.matcher(String.valueOf(e.getErrorMessage()));
        // Apache names a place for syntax errors only; lexical ones it places where it gave up.
        boolean syntax = String.valueOf(e.getErrorMessage()).contains("Encountered") && !e.getErrorMessage().contains("Lexical");
        ctx.fact(what, e.getResponseCode() + (syntax && place.find() ? " " + place.group() : ""));
    }

    /** enablePropertyFilter is off by default. */
    private static void off(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        DefaultMQPushConsumer consumer = ctx.push(ctx.group("push"));
        consumer.subscribe(topic, MessageSelector.bySql("n > 5"));
        consumer.registerMessageListener(new Inbox().concurrently());
        unsupported(ctx, "push", Check.refused("a push consumer by SQL92", consumer::start));
        DefaultLitePullConsumer lite = ctx.lite(ctx.group("lite"));
        lite.subscribe(topic, MessageSelector.bySql("n > 5"));
        unsupported(ctx, "lite", Check.refused("a lite pull consumer by SQL92", lite::start));
        DefaultMQPullConsumer pull = ctx.pull(ctx.group("pull"));
        MessageQueue queue = pull.fetchSubscribeMessageQueues(topic).iterator().next();
        awaitBrokerVersion(pull, queue);
        unsupported(ctx, "pull", Check.refused("a pull by SQL92", () -> pull.pull(queue, MessageSelector.bySql("n > 5"), 0, 1)));
    }

    private static void unsupported(Ctx ctx, String what, Exception refused) {
        int code = refused instanceof MQBrokerException e ? e.getResponseCode() : ((MQClientException) refused).getResponseCode();
        String text = refused instanceof MQBrokerException e ? e.getErrorMessage() : ((MQClientException) refused).getErrorMessage();
        Check.eq(1, code, "code for " + what);
        Check.that(text.startsWith("The broker does not support consumer to filter message by SQL92"), "words for " + what + ": " + text);
    }

    /** The broker restarts; the filter holds before the consumer's next heartbeat and behind it. */
    private static void restart(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        DefaultMQProducer producer = ctx.producer();
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = ctx.push(ctx.group("c"));
        consumer.subscribe(topic, MessageSelector.bySql("even = 'true' AND n >= 0"));
        consumer.registerMessageListener(inbox.concurrently());
        consumer.start();
        ctx.settle(consumer, topic);
        send(producer, topic, 0, 4);
        Ctx.awaitExactly(inbox, 2, Ctx.DELIVERY_MS);
        ctx.fault("restart-broker");
        Ctx.await(30_000, "a send behind the restart", () -> {
            try {
                producer.send(Ctx.message(topic, "probe"));
                return true;
            } catch (Exception notYet) {
                return false;
            }
        });
        send(producer, topic, 10, 14);
        Ctx.await(60_000, "messages behind the restart", () -> inbox.distinctBodies().containsAll(List.of("m10", "m12")));
        Thread.sleep(300);
        Check.eq(new TreeSet<>(List.of("m0", "m2", "m10", "m12")), inbox.distinctBodies(), "messages received");
    }
}
