package skylark.compat;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.UnaryOperator;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.RequestTimeoutException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.RequestCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.client.utils.MessageUtil;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Request-reply: a producer asks, a consumer answers, and the broker pushes the answer to the connection that asked. */
@SuppressWarnings("deprecation")
final class RequestScenarios {
    private RequestScenarios() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("request-reply", RequestScenarios::reply);
        all.put("request-async", RequestScenarios::async);
        all.put("request-refused", RequestScenarios::refused);
        all.put("request-unstored", RequestScenarios::unstored);
    }

    /** A consumer that answers each request with a text made from its body; an empty one keeps silent. */
    private static final class Answerer {
        final Map<String, MessageExt> asked = new ConcurrentHashMap<>();
        final Map<String, SendResult> answered = new ConcurrentHashMap<>();

        Answerer(Ctx ctx, String topic, UnaryOperator<String> answer) throws Exception {
            DefaultMQProducer replier = ctx.newProducer();
            replier.setProducerGroup(ctx.group("replier"));
            replier.start();
            DefaultMQPushConsumer consumer = ctx.push(ctx.group("answerer"));
            consumer.subscribe(topic, "*");
            consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
                for (MessageExt message : messages) {
                    String body = Inbox.text(message);
                    asked.put(body, message);
                    String text = answer.apply(body);
                    if (!text.isEmpty()) {
                        try {
                            Message reply = MessageUtil.createReplyMessage(message, text.getBytes(StandardCharsets.UTF_8));
                            answered.put(body, replier.send(reply));
                        } catch (Exception e) {
                            throw new IllegalStateException(e);
                        }
                    }
                }
                return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
            });
            consumer.start();
            Ctx.await(Ctx.DELIVERY_MS, "the answerer's queues", () -> Ctx.held(consumer, topic) > 0);
        }
    }

    private static String text(Message message) {
        return new String(message.getBody(), StandardCharsets.UTF_8);
    }

    private static String replyTopic(Ctx ctx) throws Exception {
        return Shim.clusterName(ctx.admin()) + "_REPLY_TOPIC";
    }

    /** Names and stable values of a message's properties that the report compares. */
    private static String shape(Message message) {
        Map<String, String> values = new HashMap<>(message.getProperties());
        for (String varying : List.of("CORRELATION_ID", "REPLY_TO_CLIENT", "UNIQ_KEY", "PUSH_REPLY_TIME", "ARRIVE_TIME", "REPLY_MESSAGE_ARRIVE_TIME", "MAX_OFFSET", "MIN_OFFSET", "CONSUME_START_TIME")) {
            values.computeIfPresent(varying, (name, value) -> "<" + name + ">");
        }
        return new java.util.TreeMap<>(values).toString();
    }

    private static void reply(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 2);
        Answerer answerer = new Answerer(ctx, topic, body -> body.startsWith("large") ? "x".repeat(20_000) : "answer to " + body);
        DefaultMQProducer producer = ctx.producer();
        MessageExt got = (MessageExt) producer.request(Ctx.message(topic, "tag", "key", "q0"), Ctx.DELIVERY_MS);
        Check.eq("answer to q0", text(got), "reply");
        Check.eq(replyTopic(ctx), got.getTopic(), "topic of the reply");
        MessageExt asked = answerer.asked.get("q0");
        Check.eq(asked.getProperty("CORRELATION_ID"), got.getProperty("CORRELATION_ID"), "correlation id");
        Check.eq(producer.getDefaultMQProducerImpl().getMqClientFactory().getClientId(), asked.getProperty("REPLY_TO_CLIENT"), "client to reply to");
        Check.eq(String.valueOf(Ctx.DELIVERY_MS), asked.getProperty("TTL"), "time to live");
        Check.eq(ctx.brokerAddr(), got.getStoreHost().toString().replaceFirst("^.*/", ""), "store host of the reply");
        Check.eq(ctx.ownHost(), got.getBornHostString(), "born host of the reply");
        ctx.fact("properties of a request", shape(asked));
        ctx.fact("properties of a reply", shape(got));

        List<MessageQueue> queues = producer.fetchPublishMessageQueues(topic);
        queues.sort(null);
        Check.eq("answer to q1", text(producer.request(Ctx.message(topic, "q1"), queues.get(1), 20_000)), "reply to a request to a queue");
        Check.eq(1, answerer.asked.get("q1").getQueueId(), "queue of the request");
        Message chosen = producer.request(Ctx.message(topic, "q2"), (list, message, arg) -> list.get((Integer) arg), 0, 20_000);
        Check.eq("answer to q2", text(chosen), "reply to a request with a selector");
        // Above 4 KiB the replier compresses: the flag travels in the header that the asker gets.
        Check.eq("x".repeat(20_000), text(producer.request(Ctx.message(topic, "large"), 20_000)), "compressed reply");
        for (int i = 0; i < 20; i++) {
            Check.eq("answer to many" + i, text(producer.request(Ctx.message(topic, "many" + i), 20_000)), "reply " + i);
        }

        SendResult sent = answerer.answered.get("q0");
        Check.eq(SendStatus.SEND_OK, sent.getSendStatus(), "status of the reply's send");
        Check.eq(32, sent.getOffsetMsgId().length(), "length of the reply's offset id " + sent.getOffsetMsgId());
        MessageExt stored = stored(ctx, sent);
        Check.eq("answer to q0", text(stored), "stored reply");
        ctx.fact("properties of a stored reply", shape(stored));
        ctx.fact("tags of a stored reply", stored.getTags());
    }

    private static MessageExt stored(Ctx ctx, SendResult sent) throws Exception {
        DefaultMQPullConsumer reader = ctx.pull(ctx.group("reader"));
        List<MessageExt> found = new ArrayList<>();
        Ctx.await(10_000, "the stored reply", () -> {
            var result = reader.pull(sent.getMessageQueue(), "*", sent.getQueueOffset(), 1);
            if (result.getMsgFoundList() != null) {
                found.addAll(result.getMsgFoundList());
            }
            return !found.isEmpty();
        });
        return found.get(0);
    }

    private static void async(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 4);
        new Answerer(ctx, topic, body -> "answer to " + body);
        DefaultMQProducer producer = ctx.producer();
        int count = 60;
        CountDownLatch done = new CountDownLatch(count);
        TreeSet<String> answers = new TreeSet<>();
        List<Throwable> failures = new ArrayList<>();
        List<MessageQueue> queues = producer.fetchPublishMessageQueues(topic);
        for (int i = 0; i < count; i++) {
            String body = "q" + i;
            RequestCallback callback = new RequestCallback() {
                @Override
                public void onSuccess(Message reply) {
                    synchronized (answers) {
                        answers.add(body + " " + text(reply));
                    }
                    done.countDown();
                }

                @Override
                public void onException(Throwable e) {
                    synchronized (answers) {
                        failures.add(e);
                    }
                    done.countDown();
                }
            };
            Message message = Ctx.message(topic, body);
            switch (i % 3) {
                case 0 -> producer.request(message, callback, Ctx.DELIVERY_MS);
                case 1 -> producer.request(message, queues.get(i % 4), callback, Ctx.DELIVERY_MS);
                default -> producer.request(message, (list, asked, arg) -> list.get((Integer) arg), i % 4, callback, Ctx.DELIVERY_MS);
            }
        }
        Check.that(done.await(90, TimeUnit.SECONDS), done.getCount() + " requests were not called back");
        Check.eq(List.of(), failures, "failed requests");
        TreeSet<String> want = new TreeSet<>();
        for (int i = 0; i < count; i++) {
            want.add("q" + i + " answer to q" + i);
        }
        Check.eq(want, answers, "answers by request");
    }

    /** Nobody answers; the asker is gone; the reply names nobody. */
    private static void refused(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        Answerer answerer = new Answerer(ctx, topic, body -> "");
        DefaultMQProducer producer = ctx.producer();
        long start = System.nanoTime();
        Exception late = Check.refused("a request nobody answers", () -> producer.request(Ctx.message(topic, "silence"), 2_000));
        Check.that(late instanceof RequestTimeoutException, "a request nobody answers: " + late);
        Check.between(1_500, 10_000, (System.nanoTime() - start) / 1_000_000, "ms until a request times out");
        Ctx.await(Ctx.DELIVERY_MS, "the request at the answerer", () -> answerer.asked.containsKey("silence"));

        DefaultMQProducer replier = ctx.newProducer();
        replier.setProducerGroup(ctx.group("late"));
        replier.setRetryTimesWhenSendFailed(0);
        replier.start();
        MessageExt asked = answerer.asked.get("silence");
        // The asker is still there: it takes a reply it no longer waits for.
        SendResult sent = replier.send(MessageUtil.createReplyMessage(asked, "too late".getBytes(StandardCharsets.UTF_8)));
        Check.eq(SendStatus.SEND_OK, sent.getSendStatus(), "status of a late reply");

        producer.shutdown();
        Thread.sleep(500);
        Exception gone = Check.refused("a reply to a client that left", () -> replier.send(MessageUtil.createReplyMessage(asked, "x".getBytes(StandardCharsets.UTF_8))));
        ctx.hide(asked.getProperty("REPLY_TO_CLIENT"), "<client>");
        Check.eq(1, ctx.refusal("reply to a client that left", gone), "code");

        Message nameless = Ctx.message(replyTopic(ctx), "reply to nobody");
        MessageAccessor.putProperty(nameless, "MSG_TYPE", "reply");
        MessageAccessor.putProperty(nameless, "CORRELATION_ID", "none");
        Check.eq(1, ctx.refusal("reply that names no client", Check.refused("a reply that names no client", () -> replier.send(nameless))), "code");

        // Stored all the same, both of them: the push failed, the append did not.
        DefaultMQPullConsumer reader = ctx.pull(ctx.group("reader"));
        long end = reader.maxOffset(sent.getMessageQueue());
        Check.that(end > sent.getQueueOffset(), "the late reply is stored");
    }

    /** storeReplyMessageEnable=false: the asker gets its reply, the topic stays empty. */
    private static void unstored(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        Answerer answerer = new Answerer(ctx, topic, body -> "answer to " + body);
        DefaultMQProducer producer = ctx.producer();
        Check.eq("answer to q", text(producer.request(Ctx.message(topic, "q"), Ctx.DELIVERY_MS)), "reply");
        Ctx.await(10_000, "the reply's send", () -> answerer.answered.containsKey("q"));
        SendResult sent = answerer.answered.get("q");
        ctx.fact("send of a reply that is not stored", sent.getSendStatus() + " " + sent.getOffsetMsgId() + " " + sent.getQueueOffset());
        DefaultMQPullConsumer reader = ctx.pull(ctx.group("reader"));
        long stored = 0;
        for (MessageQueue queue : reader.fetchSubscribeMessageQueues(replyTopic(ctx))) {
            stored += reader.maxOffset(queue);
        }
        Check.eq(0L, stored, "replies stored");
    }
}
