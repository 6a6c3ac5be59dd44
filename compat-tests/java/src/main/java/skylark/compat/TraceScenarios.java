package skylark.compat;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import org.apache.rocketmq.client.QueryResult;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.trace.TraceBean;
import org.apache.rocketmq.client.trace.TraceContext;
import org.apache.rocketmq.client.trace.TraceDataEncoder;
import org.apache.rocketmq.client.trace.TraceType;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;

/** Message traces: what traced clients write about a message is found under its id, the way the admin tools look for it. */
final class TraceScenarios {
    private static final String SYSTEM_TOPIC = "RMQ_SYS_TRACE_TOPIC";

    private TraceScenarios() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("trace", ctx -> traced(ctx, null));
        all.put("trace-own-topic", ctx -> traced(ctx, ctx.topic("trace", 1)));
        all.put("trace-off", TraceScenarios::off);
    }

    private static DefaultMQProducer producer(Ctx ctx, String traceTopic) throws Exception {
        DefaultMQProducer producer = new DefaultMQProducer(ctx.group("p"), true, traceTopic);
        producer.setNamesrvAddr(ctx.namesrv);
        producer.setInstanceName(ctx.instance());
        producer.setSendMsgTimeout(10_000);
        ctx.onClose(producer::shutdown);
        producer.start();
        return producer;
    }

    private static void traced(Ctx ctx, String customized) throws Exception {
        String topic = ctx.topic("t", 1);
        String group = ctx.group("c");
        String traceTopic = customized == null ? SYSTEM_TOPIC : customized;
        DefaultMQProducer producer = producer(ctx, customized);
        SendResult sent = producer.send(Ctx.message(topic, "tag", "key-" + ctx.name("k"), "body"));
        Check.that(sent.isTraceOn(), "trace switch in the answer to the send");
        Check.eq("DefaultRegion", sent.getRegionId(), "region in the answer to the send");

        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group, true, customized);
        consumer.setNamesrvAddr(ctx.namesrv);
        consumer.setInstanceName(ctx.instance());
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(topic, "*");
        // Fails once, so that the retry is traced, too.
        consumer.registerMessageListener(inbox.concurrently(message -> message.getReconsumeTimes() == 0
            ? ConsumeConcurrentlyStatus.RECONSUME_LATER : ConsumeConcurrentlyStatus.CONSUME_SUCCESS));
        ctx.onClose(consumer::shutdown);
        consumer.start();
        ctx.holdRetryTopic(consumer);
        Ctx.awaitExactly(inbox, 2, Ctx.DELIVERY_MS);

        DefaultMQProducer asker = ctx.producer();
        List<String> rows = new ArrayList<>();
        // Pub, and before and after of both consumptions.
        Ctx.await(40_000, "five trace records of " + sent.getMsgId(), () -> {
            rows.clear();
            rows.addAll(records(() -> asker.queryMessage(traceTopic, sent.getMsgId(), 64, 0, System.currentTimeMillis() + 60_000), sent.getMsgId()));
            return rows.size() >= 5;
        });
        Check.eq(5, rows.size(), "trace records " + rows);
        rows.sort(null);
        for (int i = 0; i < rows.size(); i++) {
            ctx.fact("record " + i, rows.get(i));
        }
        // By the message's own key as well.
        Check.that(!asker.queryMessage(traceTopic, "key-" + ctx.name("k"), 32, 0, System.currentTimeMillis() + 60_000).getMessageList().isEmpty(), "traces by the message's key");
    }

    /** The trace records of a message, as the tools decode them, without what differs from run to run. */
    static List<String> records(Callable<QueryResult> query, String msgId) throws Exception {
        List<String> rows = new ArrayList<>();
        List<MessageExt> found;
        try {
            found = query.call().getMessageList();
        } catch (MQClientException nothingYet) {
            return rows;
        }
        for (MessageExt message : found) {
            for (TraceContext context : TraceDataEncoder.decoderFromTraceDataString(new String(message.getBody(), StandardCharsets.UTF_8))) {
                for (TraceBean bean : context.getTraceBeans()) {
                    if (!bean.getMsgId().equals(msgId)) {
                        continue;
                    }
                    TreeMap<String, Object> row = new TreeMap<>();
                    row.put("success", context.isSuccess());
                    row.put("keys", bean.getKeys());
                    if (context.getTraceType() != TraceType.SubAfter) {
                        row.put("group", context.getGroupName());
                        row.put("region", context.getRegionId());
                    }
                    if (context.getTraceType() == TraceType.Pub) {
                        row.put("topic", bean.getTopic());
                        row.put("tags", bean.getTags());
                        row.put("bytes", bean.getBodyLength());
                        row.put("store host", bean.getStoreHost());
                        row.put("offset id given", bean.getOffsetMsgId() != null && bean.getOffsetMsgId().length() == 32);
                    }
                    if (context.getTraceType() == TraceType.SubBefore) {
                        row.put("retries", bean.getRetryTimes());
                    }
                    rows.add(context.getTraceType() + " " + row);
                }
            }
        }
        return rows;
    }

    /** traceOn=false: the broker's answers tell the clients not to trace. */
    private static void off(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        String traceTopic = ctx.topic("trace", 1);
        DefaultMQProducer producer = producer(ctx, traceTopic);
        SendResult sent = producer.send(Ctx.message(topic, "m"));
        Check.that(!sent.isTraceOn(), "trace switch in the answer to the send");
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(ctx.group("c"), true, traceTopic);
        consumer.setNamesrvAddr(ctx.namesrv);
        consumer.setInstanceName(ctx.instance());
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(inbox.concurrently());
        ctx.onClose(consumer::shutdown);
        consumer.start();
        Ctx.awaitExactly(inbox, 1, Ctx.DELIVERY_MS);
        Check.eq("false", inbox.get(0).getProperty("TRACE_ON"), "trace switch of the message");
        producer.shutdown();
        consumer.shutdown();
        Thread.sleep(2_000);
        Check.eq(0, ctx.drain(ctx.pull(ctx.group("d")), traceTopic).size(), "traces although they are off");
        // traceTopicEnable=true: the system topic is there without any client having asked for it.
        ctx.fact("system topic", Shim.route(ctx.admin(), SYSTEM_TOPIC));
    }
}
