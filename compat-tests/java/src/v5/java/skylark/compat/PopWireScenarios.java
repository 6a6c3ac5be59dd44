package skylark.compat;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.rocketmq.client.impl.MQClientAPIImpl;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.common.message.MessageRequestMode;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;
import org.apache.rocketmq.remoting.protocol.RequestCode;
import org.apache.rocketmq.remoting.protocol.body.BatchAck;
import org.apache.rocketmq.remoting.protocol.body.BatchAckMessageRequestBody;
import org.apache.rocketmq.remoting.protocol.body.QueryAssignmentRequestBody;
import org.apache.rocketmq.remoting.protocol.body.QueryAssignmentResponseBody;
import org.apache.rocketmq.remoting.protocol.header.ExtraInfoUtil;
import org.apache.rocketmq.remoting.protocol.heartbeat.MessageModel;

/** Pop requests as they go over the wire, field by field: both servers must answer the same. */
final class PopWireScenarios {
    private PopWireScenarios() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("pop-wire", PopWireScenarios::wire);
        all.put("pop-wire-refused", PopWireScenarios::refused);
        all.put("pop-wire-order", PopWireScenarios::order);
        all.put("pop-wire-batch-ack", PopWireScenarios::batchAck);
        all.put("pop-wire-revive", PopWireScenarios::revive);
        all.put("pop-wire-waiting", PopWireScenarios::waiting);
        all.put("pop-wire-peek", PopWireScenarios::peek);
        all.put("pop-wire-assignment", PopWireScenarios::assignment);
    }

    /** A raw conversation with the broker about one topic and group. */
    private static final class Talk {
        final Ctx ctx;
        final String topic;
        final String group;
        final DefaultMQProducer producer;
        private final MQClientAPIImpl api;
        private final String addr;

        Talk(Ctx ctx, String suffix, int queues) throws Exception {
            this.ctx = ctx;
            this.topic = ctx.topic(suffix, queues);
            this.group = ctx.group(suffix);
            this.producer = ctx.producer();
            this.api = producer.getDefaultMQProducerImpl().getMqClientFactory().getMQClientAPIImpl();
            this.addr = ctx.brokerAddr();
            Shim.createGroup(ctx.admin(), addr, group);
        }

        RemotingCommand ask(int code, Object... fields) throws Exception {
            return askWith(null, code, fields);
        }

        RemotingCommand askWith(byte[] body, int code, Object... fields) throws Exception {
            RemotingCommand request = RemotingCommand.createRequestCommand(code, null);
            for (int i = 0; i < fields.length; i += 2) {
                if (fields[i + 1] != null) {
                    request.addExtField(String.valueOf(fields[i]), String.valueOf(fields[i + 1]));
                }
            }
            request.setBody(body);
            return api.getRemotingClient().invokeSync(addr, request, 40_000);
        }

        RemotingCommand pop(Object... more) throws Exception {
            List<Object> fields = new ArrayList<>(List.of("consumerGroup", group, "topic", topic, "queueId", -1, "maxMsgNums", 32, "invisibleTime", 60_000, "pollTime", 0,
                "bornTime", System.currentTimeMillis(), "initMode", 0));
            fields.addAll(List.of(more));
            return ask(RequestCode.POP_MESSAGE, fields.toArray());
        }

        RemotingCommand ack(MessageExt message, String handle) throws Exception {
            String[] parts = ExtraInfoUtil.split(handle);
            return ask(RequestCode.ACK_MESSAGE, "consumerGroup", group, "topic", ExtraInfoUtil.getRealTopic(parts, topic, group), "queueId", message.getQueueId(), "extraInfo", handle,
                "offset", message.getQueueOffset());
        }

        RemotingCommand change(MessageExt message, String handle, long invisibleTime) throws Exception {
            String[] parts = ExtraInfoUtil.split(handle);
            return ask(RequestCode.CHANGE_MESSAGE_INVISIBLETIME, "consumerGroup", group, "topic", ExtraInfoUtil.getRealTopic(parts, topic, group), "queueId", message.getQueueId(),
                "extraInfo", handle, "offset", message.getQueueOffset(), "invisibleTime", invisibleTime);
        }

        void send(int queueId, String... bodies) throws Exception {
            MessageQueue queue = producer.fetchPublishMessageQueues(topic).stream().filter(q -> q.getQueueId() == queueId).findFirst().orElseThrow();
            for (String body : bodies) {
                producer.send(Ctx.message(topic, body), queue);
            }
            // Apache answers before its queue has the message.
            Thread.sleep(200);
        }
    }

    static List<MessageExt> messages(RemotingCommand reply) {
        return reply.getBody() == null ? List.of() : MessageDecoder.decodesBatch(ByteBuffer.wrap(reply.getBody()), true, true, true);
    }

    /** The handle of a message of a reply, as MQClientAPIImpl makes it. */
    static String handle(RemotingCommand reply, MessageExt message, String broker) {
        String own = message.getProperty("POP_CK");
        if (own != null) {
            return own;
        }
        Map<String, Long> starts = ExtraInfoUtil.parseStartOffsetInfo(reply.getExtFields().get("startOffsetInfo"));
        String key = ExtraInfoUtil.getStartOffsetInfoMapKey(message.getTopic(), message.getQueueId());
        return ExtraInfoUtil.buildExtraInfo(starts.get(key), Long.parseLong(reply.getExtFields().get("popTime")), Long.parseLong(reply.getExtFields().get("invisibleTime")),
            Integer.parseInt(reply.getExtFields().get("reviveQid")), message.getTopic(), broker, message.getQueueId(), message.getQueueOffset());
    }

    /** Code, remark, and all fields but those that hold times or change from pop to pop. */
    static String shown(RemotingCommand reply) {
        TreeMap<String, String> fields = new TreeMap<>(reply.getExtFields() == null ? Map.of() : reply.getExtFields());
        fields.computeIfPresent("popTime", (k, v) -> v.equals("0") ? "0" : "<time>");
        fields.computeIfPresent("reviveQid", (k, v) -> v.equals("999") ? v : "<revive queue>");
        // Java's default for a remark that nobody set is no difference.
        String remark = "not set any response code".equals(reply.getRemark()) ? null : reply.getRemark();
        return reply.getCode() + " " + String.valueOf(remark).replaceAll("/?\\d+\\.\\d+\\.\\d+\\.\\d+:\\d+", "<client>").replaceAll("\\d+\\.\\d+\\.\\d+\\.\\d+", "<ip>")
            .replaceAll("\\s*For more information.*", "") + " " + fields;
    }

    private static String bodies(RemotingCommand reply) {
        StringBuilder text = new StringBuilder();
        for (MessageExt message : messages(reply)) {
            text.append(' ').append(message.getQueueId()).append('/').append(message.getQueueOffset()).append('=').append(Inbox.text(message));
        }
        return text.toString();
    }

    private static String broker(Ctx ctx) throws Exception {
        return ctx.admin().examineBrokerClusterInfo().getBrokerAddrTable().keySet().iterator().next();
    }

    private static void wire(Ctx ctx) throws Exception {
        Talk talk = new Talk(ctx, "t", 2);
        String broker = broker(ctx);
        ctx.fact("01 nothing there", shown(talk.pop()));
        talk.send(0, "a", "b", "c");
        RemotingCommand first = talk.pop("queueId", 0, "maxMsgNums", 2);
        ctx.fact("02 two of three", shown(first) + bodies(first));
        RemotingCommand rest = talk.pop("queueId", 0);
        ctx.fact("03 the third", shown(rest) + bodies(rest));
        ctx.fact("04 no more", shown(talk.pop("queueId", 0)));
        MessageExt a = messages(first).get(0);
        MessageExt b = messages(first).get(1);
        MessageExt c = messages(rest).get(0);
        ctx.fact("05 ack", shown(talk.ack(a, handle(first, a, broker))));
        ctx.fact("06 ack again", shown(talk.ack(a, handle(first, a, broker))));
        RemotingCommand changed = talk.change(b, handle(first, b, broker), 30_000);
        ctx.fact("07 more time", shown(changed));
        Check.that(Long.parseLong(changed.getExtFields().get("popTime")) >= Long.parseLong(first.getExtFields().get("popTime")), "a later pop time");
        String renewed = ExtraInfoUtil.buildExtraInfo(b.getQueueOffset(), Long.parseLong(changed.getExtFields().get("popTime")), 30_000,
            Integer.parseInt(changed.getExtFields().get("reviveQid")), talk.topic, broker, b.getQueueId(), b.getQueueOffset());
        ctx.fact("08 ack with the new handle", shown(talk.ack(b, renewed)));
        ctx.fact("09 ack of the third", shown(talk.ack(c, handle(rest, c, broker))));
        // Filters: only what passes is given, the queue moves behind what does not.
        for (String tag : List.of("x", "y", "x", "y")) {
            talk.producer.send(Ctx.message(talk.topic, tag, "", tag), talk.producer.fetchPublishMessageQueues(talk.topic).stream().filter(q -> q.getQueueId() == 1).findFirst().orElseThrow());
        }
        Thread.sleep(200);
        RemotingCommand filtered = talk.pop("queueId", 1, "expType", "TAG", "exp", "y");
        ctx.fact("10 one tag of two", shown(filtered) + bodies(filtered));
        ctx.fact("11 behind it", shown(talk.pop("queueId", 1, "expType", "TAG", "exp", "y")));
        // A new group that begins with the newest message.
        String late = ctx.group("late");
        Shim.createGroup(ctx.admin(), ctx.brokerAddr(), late);
        RemotingCommand newest = talk.pop("consumerGroup", late, "queueId", 0, "initMode", 1);
        ctx.fact("12 a new group, initMode 1", shown(newest) + bodies(newest));
    }

    private static void refused(Ctx ctx) throws Exception {
        Talk talk = new Talk(ctx, "t", 1);
        String broker = broker(ctx);
        talk.send(0, "a");
        long now = System.currentTimeMillis();
        ctx.fact("01 33 messages", shown(talk.pop("maxMsgNums", 33)));
        ctx.fact("02 no such topic", shown(talk.pop("topic", ctx.name("none"))));
        ctx.fact("03 queue 1 of 1", shown(talk.pop("queueId", 1)));
        ctx.fact("04 born long ago", shown(talk.pop("bornTime", now - 60_000)));
        ctx.fact("05 tags that are none", shown(talk.pop("exp", "||", "expType", "TAG")));
        ctx.fact("06 half a condition", String.valueOf(talk.pop("exp", "a >", "expType", "SQL92").getCode()));
        RemotingCommand reply = talk.pop();
        MessageExt a = messages(reply).get(0);
        String handle = handle(reply, a, broker);
        String group = talk.group;
        ctx.fact("07 ack: no such topic", shown(talk.ask(RequestCode.ACK_MESSAGE, "consumerGroup", group, "topic", ctx.name("none"), "queueId", 0, "extraInfo", handle, "offset", 0)));
        ctx.fact("08 ack: no such queue", shown(talk.ask(RequestCode.ACK_MESSAGE, "consumerGroup", group, "topic", talk.topic, "queueId", 1, "extraInfo", handle, "offset", 0)));
        ctx.fact("09 ack: beyond the end", shown(talk.ask(RequestCode.ACK_MESSAGE, "consumerGroup", group, "topic", talk.topic, "queueId", 0, "extraInfo", handle, "offset", 5)));
        ctx.fact("10 ack: a handle of words", String.valueOf(talk.ask(RequestCode.ACK_MESSAGE, "consumerGroup", group, "topic", talk.topic, "queueId", 0, "extraInfo", "what is this", "offset", 0).getCode()));
        ctx.fact("11 ack: another message's offset", shown(talk.ask(RequestCode.ACK_MESSAGE, "consumerGroup", group, "topic", talk.topic, "queueId", 0, "extraInfo", handle, "offset", 1)));
        ctx.fact("12 change: no such topic", shown(talk.ask(RequestCode.CHANGE_MESSAGE_INVISIBLETIME, "consumerGroup", group, "topic", ctx.name("none"), "queueId", 0, "extraInfo", handle, "offset", 0, "invisibleTime", 9_000)));
        ctx.fact("13 change: no such queue", shown(talk.ask(RequestCode.CHANGE_MESSAGE_INVISIBLETIME, "consumerGroup", group, "topic", talk.topic, "queueId", 3, "extraInfo", handle, "offset", 0, "invisibleTime", 9_000)));
        ctx.fact("14 change: beyond the end", shown(talk.ask(RequestCode.CHANGE_MESSAGE_INVISIBLETIME, "consumerGroup", group, "topic", talk.topic, "queueId", 0, "extraInfo", handle, "offset", 1, "invisibleTime", 9_000)));
        ctx.fact("15 batch ack without a body", shown(talk.ask(RequestCode.BATCH_ACK_MESSAGE)));
        ctx.fact("16 batch ack of nothing", shown(talk.askWith("{\"brokerName\":\"b\",\"acks\":[]}".getBytes(StandardCharsets.UTF_8), RequestCode.BATCH_ACK_MESSAGE)));
        Shim.groupWith(ctx.admin(), ctx.brokerAddr(), group, "consumeEnable");
        ctx.fact("17 a group that may not consume", shown(talk.pop()));
        ctx.fact("18 peek of such a group", shown(talk.ask(RequestCode.PEEK_MESSAGE, "consumerGroup", group, "topic", talk.topic, "queueId", 0, "maxMsgNums", 1)));
        ctx.fact("19 mode of a retry topic", shown(talk.askWith(("{\"topic\":\"%RETRY%" + group + "\",\"consumerGroup\":\"" + group + "\",\"mode\":\"POP\",\"popShareQueueNum\":0}").getBytes(StandardCharsets.UTF_8), RequestCode.SET_MESSAGE_REQUEST_MODE)));
        ctx.fact("20 mode of no topic", shown(talk.askWith(("{\"topic\":\"" + ctx.name("none") + "\",\"consumerGroup\":\"" + group + "\",\"mode\":\"POP\",\"popShareQueueNum\":0}").getBytes(StandardCharsets.UTF_8), RequestCode.SET_MESSAGE_REQUEST_MODE)));
    }

    /** In order: a queue is blocked until all is acknowledged, visible again in time, and counts how often it gave a message. */
    private static void order(Ctx ctx) throws Exception {
        Talk talk = new Talk(ctx, "t", 1);
        String broker = broker(ctx);
        talk.send(0, "a", "b", "c", "d");
        RemotingCommand first = talk.pop("queueId", 0, "order", true, "maxMsgNums", 3, "invisibleTime", 5_000, "attemptId", "one");
        ctx.fact("01 three in order", shown(first) + bodies(first));
        ctx.fact("02 blocked", shown(talk.pop("queueId", 0, "order", true, "invisibleTime", 5_000, "attemptId", "two")));
        RemotingCommand again = talk.pop("queueId", 0, "order", true, "maxMsgNums", 3, "invisibleTime", 5_000, "attemptId", "one");
        ctx.fact("03 the same attempt", shown(again) + bodies(again));
        MessageExt a = messages(again).get(0);
        MessageExt b = messages(again).get(1);
        MessageExt c = messages(again).get(2);
        ctx.fact("04 ack of the second", shown(talk.ack(b, handle(again, b, broker))));
        ctx.fact("05 still blocked", shown(talk.pop("queueId", 0, "order", true, "invisibleTime", 5_000, "attemptId", "two")));
        ctx.fact("06 ack of the first pop's", shown(talk.ack(a, handle(first, a, broker))));
        RemotingCommand changed = talk.change(c, handle(again, c, broker), 1_000);
        ctx.fact("07 the third sooner", changed.getCode() + " " + changed.getExtFields().get("reviveQid"));
        Thread.sleep(5_500);
        RemotingCommand after = talk.pop("queueId", 0, "order", true, "maxMsgNums", 4, "invisibleTime", 5_000, "attemptId", "three");
        ctx.fact("08 after their time", shown(after) + bodies(after));
        for (MessageExt message : messages(after)) {
            Check.eq(0, talk.ack(message, handle(after, message, broker)).getCode(), "ack of " + Inbox.text(message));
        }
        ctx.fact("09 all done", shown(talk.pop("queueId", 0, "order", true, "attemptId", "four")));
        ctx.fact("10 ack below the offset", shown(talk.ack(a, handle(after, a, broker))));
    }

    private static void batchAck(Ctx ctx) throws Exception {
        Talk talk = new Talk(ctx, "t", 1);
        String broker = broker(ctx);
        talk.send(0, "a", "b", "c");
        RemotingCommand reply = talk.pop("invisibleTime", 6_000);
        BatchAck ack = new BatchAck();
        ack.setConsumerGroup(talk.group);
        ack.setTopic(talk.topic);
        ack.setRetry("0");
        ack.setStartOffset(messages(reply).get(0).getQueueOffset());
        ack.setQueueId(0);
        ack.setReviveQueueId(Integer.parseInt(reply.getExtFields().get("reviveQid")));
        ack.setPopTime(Long.parseLong(reply.getExtFields().get("popTime")));
        ack.setInvisibleTime(6_000);
        BitSet which = new BitSet();
        which.set(0);
        which.set(2);
        which.set(40);
        ack.setBitSet(which);
        BatchAckMessageRequestBody body = new BatchAckMessageRequestBody();
        body.setBrokerName(broker);
        body.setAcks(List.of(ack));
        ctx.fact("01 batch ack", shown(talk.askWith(body.encode(), RequestCode.BATCH_ACK_MESSAGE)));
        List<String> revived = new ArrayList<>();
        Ctx.await(60_000, "the message that was left out", () -> {
            RemotingCommand next = talk.pop();
            messages(next).forEach(message -> revived.add(Inbox.text(message)));
            Thread.sleep(500);
            return !revived.isEmpty();
        });
        Thread.sleep(3_000);
        messages(talk.pop()).forEach(message -> revived.add(Inbox.text(message)));
        Check.eq(List.of("b"), revived, "messages given again");
    }

    /** What is not acknowledged comes again from the retry topic, is counted, and can be acknowledged there. */
    private static void revive(Ctx ctx) throws Exception {
        Talk talk = new Talk(ctx, "t", 1);
        String broker = broker(ctx);
        talk.send(0, "a");
        RemotingCommand first = talk.pop("invisibleTime", 3_000);
        Check.eq(1, messages(first).size(), "messages");
        RemotingCommand[] second = new RemotingCommand[1];
        Ctx.await(60_000, "the message again", () -> {
            second[0] = talk.pop("invisibleTime", 60_000);
            Thread.sleep(200);
            return second[0].getCode() == 0;
        });
        MessageExt again = messages(second[0]).get(0);
        ctx.fact("01 second delivery", shown(second[0]) + bodies(second[0]));
        ctx.fact("02 times consumed", again.getReconsumeTimes());
        ctx.fact("03 topic", again.getTopic());
        ctx.fact("04 properties", new java.util.TreeSet<>(again.getProperties().keySet()));
        String handle = handle(second[0], again, broker);
        String[] parts = ExtraInfoUtil.split(handle);
        ctx.fact("05 handle", parts[0] + " " + parts[4] + " " + parts[6] + " " + parts[7] + " of " + parts.length);
        // Back at once: zero invisible time.
        RemotingCommand changed = talk.change(again, handle, 0);
        ctx.fact("06 back at once", changed.getCode());
        RemotingCommand[] third = new RemotingCommand[1];
        Ctx.await(60_000, "the message a third time", () -> {
            third[0] = talk.pop("invisibleTime", 60_000);
            Thread.sleep(200);
            return third[0].getCode() == 0;
        });
        MessageExt last = messages(third[0]).get(0);
        ctx.fact("07 times consumed then", last.getReconsumeTimes());
        ctx.fact("08 ack", shown(talk.ack(last, handle(third[0], last, broker))));
        ctx.fact("09 offset in the retry queue", last.getQueueOffset());
    }

    /** Pops and notifications that wait. */
    private static void waiting(Ctx ctx) throws Exception {
        Talk talk = new Talk(ctx, "t", 2);
        ctx.fact("01 in vain", shown(talk.pop("pollTime", 2_000)));
        RemotingCommand[] answer = new RemotingCommand[1];
        Thread waiter = new Thread(() -> {
            try {
                answer[0] = talk.pop("pollTime", 15_000, "bornTime", System.currentTimeMillis());
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        });
        waiter.start();
        Thread.sleep(1_000);
        ctx.fact("02 one waits", shown(talk.ask(RequestCode.POLLING_INFO, "consumerGroup", talk.group, "topic", talk.topic, "queueId", -1)));
        ctx.fact("03 none waits for queue 0", shown(talk.ask(RequestCode.POLLING_INFO, "consumerGroup", talk.group, "topic", talk.topic, "queueId", 0)));
        long sent = System.nanoTime();
        talk.send(1, "a");
        waiter.join(20_000);
        Check.that(answer[0] != null, "an answer");
        Check.that(System.nanoTime() - sent < 5_000_000_000L, "the answer comes with the message");
        ctx.fact("04 the message", shown(answer[0]) + bodies(answer[0]));
        ctx.fact("05 notification in vain", shown(talk.ask(RequestCode.NOTIFICATION, "consumerGroup", talk.group, "topic", talk.topic, "queueId", -1, "pollTime", 1_000, "bornTime", System.currentTimeMillis())));
        RemotingCommand[] notified = new RemotingCommand[1];
        Thread listener = new Thread(() -> {
            try {
                notified[0] = talk.ask(RequestCode.NOTIFICATION, "consumerGroup", talk.group, "topic", talk.topic, "queueId", -1, "pollTime", 15_000, "bornTime", System.currentTimeMillis());
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        });
        listener.start();
        Thread.sleep(1_000);
        talk.send(0, "b");
        listener.join(20_000);
        ctx.fact("06 notified", shown(notified[0]));
        ctx.fact("07 at once when there is something", shown(talk.ask(RequestCode.NOTIFICATION, "consumerGroup", talk.group, "topic", talk.topic, "queueId", 0, "pollTime", 15_000, "bornTime", System.currentTimeMillis())));
    }

    private static void peek(Ctx ctx) throws Exception {
        Talk talk = new Talk(ctx, "t", 1);
        ctx.fact("01 nothing", shown(talk.ask(RequestCode.PEEK_MESSAGE, "consumerGroup", talk.group, "topic", talk.topic, "queueId", 0, "maxMsgNums", 4)));
        talk.send(0, "a", "b", "c");
        RemotingCommand two = talk.ask(RequestCode.PEEK_MESSAGE, "consumerGroup", talk.group, "topic", talk.topic, "queueId", -1, "maxMsgNums", 2);
        ctx.fact("02 two of three", shown(two) + bodies(two));
        RemotingCommand again = talk.ask(RequestCode.PEEK_MESSAGE, "consumerGroup", talk.group, "topic", talk.topic, "queueId", 0, "maxMsgNums", 2);
        ctx.fact("03 again", shown(again) + bodies(again));
        Check.eq(2, messages(talk.pop("maxMsgNums", 2)).size(), "messages popped");
        RemotingCommand rest = talk.ask(RequestCode.PEEK_MESSAGE, "consumerGroup", talk.group, "topic", talk.topic, "queueId", 0, "maxMsgNums", 2);
        ctx.fact("04 behind a pop", shown(rest) + bodies(rest));
    }

    /** Who gets which queues. The group has one member, this scenario's consumer. */
    private static void assignment(Ctx ctx) throws Exception {
        Talk talk = new Talk(ctx, "t", 3);
        Inbox inbox = new Inbox();
        var consumer = ctx.push(talk.group);
        consumer.subscribe(talk.topic, "*");
        consumer.registerMessageListener(inbox.concurrently());
        consumer.start();
        ctx.settle(consumer, talk.topic);
        String id = consumer.getDefaultMQPushConsumerImpl().getmQClientFactory().getClientId();
        ctx.fact("01 pull, AVG", assigned(talk, talk.topic, id, "AVG", MessageModel.CLUSTERING));
        ctx.fact("02 pull, AVG_BY_CIRCLE", assigned(talk, talk.topic, id, "AVG_BY_CIRCLE", MessageModel.CLUSTERING));
        ctx.fact("03 no such strategy", assigned(talk, talk.topic, id, "BEST", MessageModel.CLUSTERING));
        ctx.fact("04 not a member", assigned(talk, talk.topic, "somebody", "AVG", MessageModel.CLUSTERING));
        ctx.fact("05 broadcasting", assigned(talk, talk.topic, id, "AVG", MessageModel.BROADCASTING));
        ctx.fact("06 no such topic", assigned(talk, ctx.name("none"), id, "AVG", MessageModel.CLUSTERING));
        PopScenarios.mode(ctx, talk.topic, talk.group, MessageRequestMode.POP, 0);
        ctx.fact("07 pop", assigned(talk, talk.topic, id, "AVG", MessageModel.CLUSTERING));
        PopScenarios.mode(ctx, talk.topic, talk.group, MessageRequestMode.POP, 1);
        ctx.fact("08 pop, one shares", assigned(talk, talk.topic, id, "AVG", MessageModel.CLUSTERING));
        PopScenarios.mode(ctx, talk.topic, talk.group, MessageRequestMode.PULL, 0);
        ctx.fact("09 pull again", assigned(talk, talk.topic, id, "AVG", MessageModel.CLUSTERING));
    }

    private static String assigned(Talk talk, String topic, String clientId, String strategy, MessageModel model) throws Exception {
        QueryAssignmentRequestBody body = new QueryAssignmentRequestBody();
        body.setTopic(topic);
        body.setConsumerGroup(talk.group);
        body.setClientId(clientId);
        body.setStrategyName(strategy);
        body.setMessageModel(model);
        RemotingCommand reply = talk.askWith(body.encode(), RequestCode.QUERY_ASSIGNMENT);
        QueryAssignmentResponseBody found = QueryAssignmentResponseBody.decode(reply.getBody(), QueryAssignmentResponseBody.class);
        if (found.getMessageQueueAssignments() == null) {
            return reply.getCode() + " none";
        }
        TreeMap<Integer, String> queues = new TreeMap<>();
        found.getMessageQueueAssignments().forEach(one -> queues.put(one.getMessageQueue().getQueueId(), one.getMode().name()));
        return reply.getCode() + " " + queues;
    }
}
