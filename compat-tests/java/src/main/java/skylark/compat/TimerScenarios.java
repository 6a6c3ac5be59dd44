package skylark.compat;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * Messages at an exact time, and their recall, on a server whose wheel holds 5 seconds and whose longest delay is 60. What asks for a time are
 * properties, which every client can set; the methods of newer ones are found by reflection.
 */
final class TimerScenarios {
    /** A slot is a second; the rest is a busy machine. */
    private static final long LATE_MS = 4_000;
    private static final String SEC = "TIMER_DELAY_SEC";
    private static final String MS = "TIMER_DELAY_MS";
    private static final String AT = "TIMER_DELIVER_MS";

    private TimerScenarios() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("timer-properties", ctx -> delivered(ctx, false));
        if (method(Message.class, "setDelayTimeSec", long.class) != null) {
            all.put("timer-methods", ctx -> delivered(ctx, true));
        }
        all.put("timer-rolled", TimerScenarios::rolled);
        all.put("timer-refused", TimerScenarios::refused);
        all.put("timer-level", TimerScenarios::level);
        all.put("timer-retried", TimerScenarios::retried);
        if (method(DefaultMQProducer.class, "recallMessage", String.class, String.class) != null) {
            all.put("timer-recalled", TimerScenarios::recalled);
            all.put("timer-recall-refused", TimerScenarios::recallRefused);
        }
    }

    private static Method method(Class<?> type, String name, Class<?>... parameters) {
        try {
            return type.getMethod(name, parameters);
        } catch (NoSuchMethodException olderClient) {
            return null;
        }
    }

    private static Object call(Object target, String name, Class<?>[] types, Object... arguments) throws Exception {
        try {
            return target.getClass().getMethod(name, types).invoke(target, arguments);
        } catch (InvocationTargetException e) {
            if (e.getCause() instanceof Exception cause) {
                throw cause;
            }
            throw e;
        }
    }

    private static Message timer(String topic, String body, String property, long value) {
        Message message = Ctx.message(topic, "tag", "key-" + body, body);
        MessageAccessor.putProperty(message, property, String.valueOf(value));
        return message;
    }

    private static Message byMethod(String topic, String body, String property, long value) throws Exception {
        Message message = Ctx.message(topic, "tag", "key-" + body, body);
        String setter = switch (property) {
            case SEC -> "setDelayTimeSec";
            case MS -> "setDelayTimeMs";
            default -> "setDeliverTimeMs";
        };
        call(message, setter, new Class<?>[] {long.class}, value);
        return message;
    }

    /** The three ways to ask, and times that are over: nothing early by the broker's clock, nothing twice, every property as Apache leaves it. */
    private static void delivered(Ctx ctx, boolean byMethod) throws Exception {
        String topic = ctx.topic("t", 1);
        DefaultMQProducer producer = ctx.producer();
        Inbox inbox = new Inbox();
        consumer(ctx, topic, inbox);
        Map<String, SendResult> sent = new HashMap<>();
        Map<String, Long> due = new HashMap<>();
        String[][] rows = {{"sec", SEC, "2"}, {"ms", MS, "2300"}, {"at", AT, "+3100"}, {"zero", SEC, "0"}, {"past", AT, "-5000"}};
        for (String[] row : rows) {
            boolean relative = row[2].startsWith("+") || row[2].startsWith("-");
            long now = System.currentTimeMillis();
            long value = Long.parseLong(row[2]) + (relative ? now : 0);
            Message message = byMethod ? byMethod(topic, row[0], row[1], value) : timer(topic, row[0], row[1], value);
            SendResult result = producer.send(message);
            Check.eq(SendStatus.SEND_OK, result.getSendStatus(), "status of " + row[0]);
            Check.eq(0, result.getMessageQueue().getQueueId(), "queue of " + row[0]);
            sent.put(row[0], result);
            due.put(row[0], switch (row[1]) {
                case SEC -> now + value * 1000;
                case MS -> now + value;
                default -> Math.max(value, now);
            });
        }
        Ctx.awaitExactly(inbox, rows.length, Ctx.DELIVERY_MS);
        TreeSet<Long> offsets = new TreeSet<>();
        for (MessageExt got : inbox.all()) {
            String body = Inbox.text(got);
            // The broker's own stamp: a busy client may see the message later.
            Check.between(due.get(body), due.get(body) + LATE_MS, got.getStoreTimestamp(), "store time of " + body);
            Check.eq(sent.get(body).getMsgId(), got.getMsgId(), "msgId of " + body);
            Check.eq(topic, got.getTopic(), "topic of " + body);
            Check.eq("tag", got.getTags(), "tags of " + body);
            Check.eq(0, got.getReconsumeTimes(), "reconsume times of " + body);
            offsets.add(got.getQueueOffset());
            ctx.fact("properties of " + body, SendScenarios.shape(got));
        }
        SendScenarios.dense(Map.of(0, offsets));
    }

    private static DefaultMQPushConsumer consumer(Ctx ctx, String topic, Inbox inbox) throws Exception {
        DefaultMQPushConsumer consumer = ctx.push(ctx.group("c"));
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(inbox.concurrently());
        consumer.start();
        ctx.settle(consumer, topic);
        return consumer;
    }

    /** A wait longer than the wheel: the message is put back on the way, which its properties tell. */
    private static void rolled(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        DefaultMQProducer producer = ctx.producer();
        Inbox inbox = new Inbox();
        consumer(ctx, topic, inbox);
        long now = System.currentTimeMillis();
        producer.send(timer(topic, "far", AT, now - now % 1000 + 12_500));
        Ctx.awaitExactly(inbox, 1, Ctx.DELIVERY_MS);
        MessageExt got = inbox.get(0);
        Check.between(now - now % 1000 + 12_500, now + 12_500 + LATE_MS, got.getStoreTimestamp(), "store time");
        Check.that(Integer.parseInt(got.getProperty("TIMER_ROLL_TIMES")) >= 2, "rolled " + got.getProperty("TIMER_ROLL_TIMES") + " times");
        TreeMap<String, String> names = new TreeMap<>(got.getProperties());
        ctx.fact("names of its properties", names.keySet());
    }

    /** Apache's code and words; behind the colon Skylark says which. */
    private static void refused(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        DefaultMQProducer producer = ctx.producer();
        Map<String, Message> rows = new LinkedHashMap<>();
        rows.put("61 s", timer(topic, "b", SEC, 61));
        rows.put("60,001 ms and some", timer(topic, "b", MS, 60_900));
        rows.put("a day ahead", timer(topic, "b", AT, System.currentTimeMillis() + 86_400_000L));
        for (String text : new String[] {"abc", " 2", "1.5", "9223372036854775808"}) {
            Message message = Ctx.message(topic, "b");
            MessageAccessor.putProperty(message, MS, text);
            rows.put("\"" + text + "\"", message);
        }
        Message deletes = timer(topic, "b", AT, System.currentTimeMillis() - 1);
        MessageAccessor.putProperty(deletes, "TIMER_DEL_UNIQKEY", "x");
        rows.put("a delete mark that is late", deletes);
        for (Map.Entry<String, Message> row : rows.entrySet()) {
            Exception refused = Check.refused(row.getKey(), () -> producer.send(row.getValue()));
            ctx.fact(row.getKey(), words(refused));
            Check.that(words(refused).startsWith("13 timer message illegal"), row.getKey() + ": " + words(refused));
        }
        ctx.drain(ctx.pull(ctx.group("d")), topic, 0);
    }

    private static String words(Exception refused) {
        Throwable cause = refused instanceof MQBrokerException ? refused : refused.getCause();
        if (cause instanceof MQBrokerException e) {
            return e.getResponseCode() + " " + e.getErrorMessage().split(": ")[0];
        }
        return refused.toString();
    }

    /** A delay level rules out the exact time. */
    private static void level(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        Inbox inbox = new Inbox();
        consumer(ctx, topic, inbox);
        Message message = timer(topic, "level", SEC, 30);
        message.setDelayTimeLevel(1);
        long now = System.currentTimeMillis();
        ctx.producer().send(message);
        Ctx.awaitExactly(inbox, 1, Ctx.DELIVERY_MS);
        Check.between(now + 1_000, now + 1_000 + LATE_MS, inbox.get(0).getStoreTimestamp(), "store time");
        ctx.fact("properties", SendScenarios.shape(inbox.get(0)));
    }

    /** A message that waited and then fails is retried by level, and does not wait for its exact time again. */
    private static void retried(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = ctx.push(ctx.group("c"));
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(inbox.concurrently(message ->
            message.getReconsumeTimes() == 0 ? ConsumeConcurrentlyStatus.RECONSUME_LATER : ConsumeConcurrentlyStatus.CONSUME_SUCCESS));
        consumer.start();
        ctx.settle(consumer, topic);
        ctx.holdRetryTopic(consumer);
        ctx.producer().send(timer(topic, "fails once", SEC, 1));
        Ctx.awaitExactly(inbox, 2, Ctx.DELIVERY_MS);
        Check.eq(1, inbox.get(1).getReconsumeTimes(), "reconsume times");
        TreeMap<String, String> names = new TreeMap<>(inbox.get(1).getProperties());
        ctx.fact("names of its properties", names.keySet());
    }

    private static String handle(SendResult sent) throws Exception {
        return (String) call(sent, "getRecallHandle", new Class<?>[0]);
    }

    private static String recall(DefaultMQProducer producer, String topic, String handle) throws Exception {
        return (String) call(producer, "recallMessage", new Class<?>[] {String.class, String.class}, topic, handle);
    }

    /** Recalled messages never come, whether they wait in the wheel or behind it; others of the same slot do. */
    private static void recalled(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        DefaultMQProducer producer = ctx.producer();
        Inbox inbox = new Inbox();
        consumer(ctx, topic, inbox);
        long now = System.currentTimeMillis();
        long slot = now - now % 1000;
        for (int i = 0; i < 4; i++) {
            SendResult near = producer.send(timer(topic, "near" + i, AT, slot + 4_500));
            SendResult far = producer.send(timer(topic, "far" + i, AT, slot + 9_500));
            String[] parts = new String(Base64.getUrlDecoder().decode(handle(near)), StandardCharsets.UTF_8).split(" ");
            Check.eq("v1 " + topic + " " + near.getMessageQueue().getBrokerName() + " " + (slot + 4_001) + " " + near.getMsgId(), String.join(" ", parts), "handle");
            if (i % 2 == 0) {
                Check.eq(near.getMsgId(), recall(producer, topic, handle(near)), "answer to a recall");
                Check.eq(far.getMsgId(), recall(producer, topic, handle(far)), "answer to a recall");
                Check.eq(far.getMsgId(), recall(producer, topic, handle(far)), "answer to a second recall");
            }
        }
        Check.eq(null, handle(producer.send(Ctx.message(topic, "plain"))), "handle of a plain message");
        Ctx.awaitExactly(inbox, 5, Ctx.DELIVERY_MS);
        Thread.sleep(2_500);
        Check.eq(new TreeSet<>(java.util.List.of("near1", "near3", "far1", "far3", "plain")), inbox.distinctBodies(), "messages that came");
        Check.eq(5, inbox.size(), "messages received");
    }

    private static void recallRefused(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        String other = ctx.topic("u", 1);
        DefaultMQProducer producer = ctx.producer();
        SendResult sent = producer.send(timer(topic, "stays", SEC, 3));
        producer.send(Ctx.message(other, "so that its route is known"));
        String broker = sent.getMessageQueue().getBrokerName();
        long soon = System.currentTimeMillis() + 5_000;
        Map<String, String[]> rows = new LinkedHashMap<>();
        rows.put("nonsense", new String[] {topic, "@@"});
        rows.put("another version", new String[] {topic, encode("v2", topic, broker, soon, "x")});
        rows.put("a part missing", new String[] {topic, encode("v1", topic, broker, soon, "")});
        rows.put("another topic", new String[] {other, handle(sent)});
        rows.put("another broker", new String[] {topic, encode("v1", topic, "nobody", soon, "x")});
        rows.put("over", new String[] {topic, encode("v1", topic, broker, System.currentTimeMillis() - 10, "x")});
        rows.put("too far", new String[] {topic, encode("v1", topic, broker, System.currentTimeMillis() + 90_000, "x")});
        for (Map.Entry<String, String[]> row : rows.entrySet()) {
            Exception refused = Check.refused(row.getKey(), () -> recall(producer, row.getValue()[0], row.getValue()[1]));
            ctx.fact(row.getKey(), words(refused));
        }
        Check.eq("x", recall(producer, topic, encode("v1", topic, broker, soon, "x")), "recall of a message that never was");
        ctx.drain(ctx.pull(ctx.group("d")), topic, 1, Ctx.DELIVERY_MS);
    }

    private static String encode(String version, String topic, String broker, long time, String id) {
        String raw = String.join(" ", version, topic, broker, String.valueOf(time), id);
        return Base64.getUrlEncoder().encodeToString(raw.getBytes(StandardCharsets.UTF_8));
    }
}
