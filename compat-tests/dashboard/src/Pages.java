import com.alibaba.fastjson2.JSON;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.client.trace.TraceContext;
import org.apache.rocketmq.client.trace.TraceDataEncoder;
import org.apache.rocketmq.common.MixAll;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageClientIDSetter;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.common.topic.TopicValidator;
import org.apache.rocketmq.remoting.RemotingClient;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;
import org.apache.rocketmq.remoting.protocol.RemotingSerializable;
import org.apache.rocketmq.remoting.protocol.RequestCode;
import org.apache.rocketmq.remoting.protocol.body.BrokerStatsData;
import org.apache.rocketmq.remoting.protocol.body.BrokerStatsItem;
import org.apache.rocketmq.remoting.protocol.body.ConsumerRunningInfo;
import org.apache.rocketmq.remoting.protocol.body.KVTable;
import org.apache.rocketmq.remoting.protocol.body.SubscriptionGroupWrapper;
import org.apache.rocketmq.remoting.protocol.subscription.SubscriptionGroupConfig;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;
import org.apache.rocketmq.tools.command.CommandUtil;

/**
 * What RocketMQ Dashboard and rocketmq-exporter ask the servers, page by page, through the same DefaultMQAdminExt 5.5.0.
 * Prints a line "call PAGE: NAME<TAB>JSON" for each call; a refusal is its exception, code and words. The runner compares
 * the lines of two servers.
 */
public final class Pages {
    private static final String TOPIC = "PageTopic";
    private static final String GROUP = "PageGroup";
    private static final String OFFLINE = "PageOffline";
    private static final String DLQ = MixAll.DLQ_GROUP_TOPIC_PREFIX + GROUP;
    private static final String CLUSTER = "DefaultCluster";
    private static final String BROKER_NAME = "broker-a";
    private static final long WAIT_MS = 60_000;
    private static final int MESSAGES = 12;
    private static final List<String> RATES = List.of("putTps", "getMissTps", "getTransferredTps", "getTotalTps", "getFoundTps");

    private final String namesrv;
    private final String broker;
    private final DefaultMQAdminExt admin = new DefaultMQAdminExt(20_000);
    private final List<SendResult> sent = new ArrayList<>();
    private DefaultMQProducer producer;
    private DefaultMQPushConsumer consumer;
    private DefaultMQPullConsumer puller;

    private Pages(String namesrv, String broker) {
        this.namesrv = namesrv;
        this.broker = broker;
    }

    public static void main(String[] args) throws Exception {
        Pages pages = new Pages(args[0], args[1]);
        try {
            if (args.length > 2 && args[2].equals("hold")) pages.hold();
            else pages.all();
            System.out.println("done");
            System.out.flush();
        } catch (Throwable e) {
            e.printStackTrace();
        }
        // The clients' threads must not keep the process.
        Runtime.getRuntime().halt(0);
    }

    /** The same topics, groups, messages, traces and online clients for somebody else who looks, until the standard input ends. */
    private void hold() throws Exception {
        prepare();
        awaitTraces();
        System.out.println("ready");
        System.out.flush();
        while (System.in.read() >= 0) {
            // Whatever is written is no matter.
        }
    }

    private void prepare() throws Exception {
        admin.setNamesrvAddr(namesrv);
        admin.setInstanceName("admin");
        admin.start();
        await("broker in the NameServer", () -> !admin.examineBrokerClusterInfo().getBrokerAddrTable().isEmpty());
        makeTopicsAndGroups();
        startClients();
        sendMessages();
    }

    private void all() throws Exception {
        prepare();
        clusterPage();
        topicPage();
        consumerPage();
        producerPage();
        messagePage();
        dlqPage();
        tracePage();
        aclPage();
        statistics();
        exporter();
        resets();
        deletions();
    }

    // ---- what the pages change

    private void makeTopicsAndGroups() throws Exception {
        topic(TOPIC, "NORMAL", 4);
        topic("PageFifo", "FIFO", 2);
        topic("PageDelay", "DELAY", 2);
        topic("PageTransaction", "TRANSACTION", 2);
        topic("PageOther", "NORMAL", 2);
        call("topic", "change the queues of PageOther", () -> {
            admin.createAndUpdateTopicConfig(broker, config("PageOther", null, 3));
            return admin.examineTopicConfig(broker, "PageOther");
        });
        call("topic", "change the type of PageOther", () -> {
            TopicConfig config = config("PageOther", "FIFO", 3);
            admin.createAndUpdateTopicConfig(broker, config);
            return admin.examineTopicConfig(broker, "PageOther");
        });
        call("topic", "make a topic of no such type", () -> {
            admin.createAndUpdateTopicConfig(broker, config("PageWrong", "SQUARE", 1));
            return "made";
        });
        call("topic", "make a topic with a bad name", () -> {
            admin.createAndUpdateTopicConfig(broker, config("Page Wrong!", "NORMAL", 1));
            return "made";
        });
        call("topic", "make a system's topic", () -> {
            admin.createAndUpdateTopicConfig(broker, config(TopicValidator.RMQ_SYS_SCHEDULE_TOPIC, "NORMAL", 1));
            return "made";
        });
        for (String group : List.of(GROUP, OFFLINE, "PageOrderly")) {
            call("consumer", "make " + group, () -> {
                SubscriptionGroupConfig config = new SubscriptionGroupConfig();
                config.setGroupName(group);
                config.setConsumeMessageOrderly(group.equals("PageOrderly"));
                config.setRetryMaxTimes(3);
                admin.createAndUpdateSubscriptionGroupConfig(broker, config);
                return rawGroups().getSubscriptionGroupTable().get(group);
            });
        }
        call("consumer", "make a group with a bad name", () -> {
            SubscriptionGroupConfig config = new SubscriptionGroupConfig();
            config.setGroupName("Page Wrong!");
            admin.createAndUpdateSubscriptionGroupConfig(broker, config);
            return "made";
        });
        for (String topic : List.of(TOPIC, "PageFifo", "PageDelay", "PageTransaction", "PageOther")) {
            await("route of " + topic, () -> admin.examineTopicRouteInfo(topic) != null);
        }
    }

    private void topic(String name, String type, int queues) {
        call("topic", "make " + name, () -> {
            admin.createAndUpdateTopicConfig(broker, config(name, type, queues));
            return admin.examineTopicConfig(broker, name);
        });
    }

    private static TopicConfig config(String name, String type, int queues) {
        TopicConfig config = new TopicConfig(name);
        config.setReadQueueNums(queues);
        config.setWriteQueueNums(queues);
        config.setPerm(6);
        if (type != null) config.setAttributes(Map.of("+message.type", type));
        return config;
    }

    /** As the Dashboard asks: without any header, all groups at once. */
    private SubscriptionGroupWrapper rawGroups() throws Exception {
        RemotingClient client =
            admin.getDefaultMQAdminExtImpl().getMqClientInstance().getMQClientAPIImpl().getRemotingClient();
        RemotingCommand request = RemotingCommand.createRequestCommand(RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG, null);
        RemotingCommand response = client.invokeSync(broker, request, 8_000);
        if (response.getCode() != 0) throw new MQBrokerException(response.getCode(), response.getRemark());
        return RemotingSerializable.decode(response.getBody(), SubscriptionGroupWrapper.class);
    }

    private void startClients() throws Exception {
        producer = new DefaultMQProducer("PageProducer", null, true, TopicValidator.RMQ_SYS_TRACE_TOPIC);
        producer.setNamesrvAddr(namesrv);
        producer.setInstanceName("producer");
        producer.setSendMsgTimeout(10_000);
        producer.start();
        consumer = new DefaultMQPushConsumer(GROUP, null, new org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragely(),
            true, TopicValidator.RMQ_SYS_TRACE_TOPIC);
        consumer.setNamesrvAddr(namesrv);
        consumer.setInstanceName("consumer");
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setPersistConsumerOffsetInterval(500);
        consumer.subscribe(TOPIC, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            if (!"TagBad".equals(messages.get(0).getTags())) return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
            // At once into the dead-letter topic.
            context.setDelayLevelWhenNextConsume(-1);
            return ConsumeConcurrentlyStatus.RECONSUME_LATER;
        });
        consumer.start();
        puller = new DefaultMQPullConsumer(MixAll.TOOLS_CONSUMER_GROUP);
        puller.setNamesrvAddr(namesrv);
        puller.setInstanceName("puller");
        puller.start();
    }

    private void sendMessages() throws Exception {
        for (int i = 0; i < MESSAGES; i++) {
            byte[] body = ("body " + i).getBytes(StandardCharsets.UTF_8);
            Message message = new Message(TOPIC, i == 5 ? "TagBad" : "TagGood", "key-" + i % 3, body);
            sent.add(producer.send(message, new MessageQueue(TOPIC, BROKER_NAME, i % 4)));
        }
        call("topic", "send to PageFifo", () -> producer.send(new Message("PageFifo", "t", "k", new byte[] {1}), (queues, m, arg) -> queues.get(1), null));
        call("topic", "send to PageDelay", () -> {
            Message message = new Message("PageDelay", "t", "k", new byte[] {1});
            message.setDelayTimeLevel(1);
            return producer.send(message, (queues, m, arg) -> queues.get(0), null);
        });
        call("topic", "send to a missing topic", () -> producer.send(new Message("PageMissing", "t", "k", new byte[] {1})));
        call("topic", "send to PageTransaction", () -> {
            TransactionMQProducer transactional = new TransactionMQProducer("PageTransactions");
            transactional.setNamesrvAddr(namesrv);
            transactional.setInstanceName("transactional");
            transactional.setTransactionListener(new TransactionListener() {
                @Override
                public LocalTransactionState executeLocalTransaction(Message message, Object argument) {
                    return LocalTransactionState.COMMIT_MESSAGE;
                }

                @Override
                public LocalTransactionState checkLocalTransaction(MessageExt message) {
                    return LocalTransactionState.COMMIT_MESSAGE;
                }
            });
            transactional.start();
            SendResult result = transactional.sendMessageInTransaction(new Message("PageTransaction", "t", "k", new byte[] {1}), null);
            await("committed message", () -> total("PageTransaction") == 1);
            transactional.shutdown();
            return result.getSendStatus();
        });
        await("delayed message", () -> total("PageDelay") == 1);
        AtomicInteger beats = new AtomicInteger();
        await("consumed messages", () -> {
            // A first rebalance during a heartbeat would else be told 30 s later.
            if (beats.incrementAndGet() % 20 == 0) {
                consumer.getDefaultMQPushConsumerImpl().getmQClientFactory().sendHeartbeatToAllBrokerWithLock();
            }
            consumer.getDefaultMQPushConsumerImpl().persistConsumerOffset();
            return admin.examineConsumeStats(GROUP, TOPIC).computeTotalDiff() == 0 && dead() == 1;
        });
    }

    private long total(String topic) throws Exception {
        return admin.examineTopicStats(topic).getOffsetTable().values().stream().mapToLong(offset -> offset.getMaxOffset()).sum();
    }

    private long dead() throws Exception {
        try {
            return total(DLQ);
        } catch (MQClientException | MQBrokerException e) {
            return 0;
        }
    }

    // ---- the pages

    private void clusterPage() {
        call("cluster", "examineBrokerClusterInfo", () -> admin.examineBrokerClusterInfo());
        call("cluster", "fetchBrokerRuntimeStats: names and kinds of values", () -> {
            Map<String, String> kinds = new TreeMap<>();
            for (Map.Entry<String, String> entry : admin.fetchBrokerRuntimeStats(broker).getTable().entrySet()) {
                kinds.put(entry.getKey().replaceAll("_/.*", "_<path>"), entry.getValue()
                    .replaceAll("\\d+(\\.\\d+)? ([KMGT]i)?B\\b", "<bytes>")
                    // Windows of ten seconds, a minute and ten, as far as they have passed.
                    .replaceAll("^([\\d.E-]+)?( [\\d.E-]*){2}$|^[\\d.E-]+ $", "<rates>")
                    .replaceAll("\\d+\\.\\d+(E-?\\d+)?", "0.0")
                    .replaceAll("\\b[1-9]\\d*\\b", "0"));
            }
            return kinds;
        });
        call("cluster", "getBrokerConfig: keys", () -> new TreeSet<>(admin.getBrokerConfig(broker).stringPropertyNames()));
        call("ops", "getNameServerAddressList", () -> admin.getNameServerAddressList().size());
        call("ops", "cleanExpiredConsumerQueue", () -> admin.cleanExpiredConsumerQueue(CLUSTER));
        call("ops", "cleanUnusedTopic", () -> admin.cleanUnusedTopic(CLUSTER));
        call("ops", "deleteExpiredCommitLog", () -> admin.deleteExpiredCommitLog(CLUSTER));
        call("cluster", "getBrokerHAStatus", () -> admin.getBrokerHAStatus(broker).getHaConnectionInfo());
    }

    private void topicPage() {
        call("topic", "fetchAllTopicList", () -> new TreeSet<>(admin.fetchAllTopicList().getTopicList()));
        call("topic", "getSystemTopicList", () -> new TreeSet<>(
            producer.getDefaultMQProducerImpl().getMqClientFactory().getMQClientAPIImpl().getSystemTopicList(20_000).getTopicList()));
        call("topic", "getAllTopicConfig: types", () -> {
            Map<String, Object> types = new TreeMap<>();
            admin.getAllTopicConfig(broker, 10_000).getTopicConfigTable().forEach((name, config) -> types.put(name, config.getAttributes()));
            return types;
        });
        call("topic", "getUserTopicConfig", () -> new TreeSet<>(admin.getUserTopicConfig(broker, true, 10_000).getTopicConfigTable().keySet()));
        call("topic", "fetchTopicsByCLuster", () -> new TreeSet<>(admin.fetchTopicsByCLuster(CLUSTER).getTopicList()));
        // To a queue of the client's choice.
        call("topic", "messages of PageTransaction", () -> total("PageTransaction"));
        for (String topic : List.of(TOPIC, "PageFifo", "PageDelay", DLQ, MixAll.getRetryTopic(GROUP),
            TopicValidator.RMQ_SYS_SCHEDULE_TOPIC, "PageMissing")) {
            call("topic", "examineTopicStats " + topic, () -> admin.examineTopicStats(topic).getOffsetTable());
            call("topic", "examineTopicRouteInfo " + topic, () -> admin.examineTopicRouteInfo(topic));
            call("topic", "examineTopicConfig " + topic, () -> admin.examineTopicConfig(broker, topic));
            call("topic", "queryTopicConsumeByWho " + topic, () -> new TreeSet<>(admin.queryTopicConsumeByWho(topic).getGroupList()));
        }
        call("topic", "consumers of " + TOPIC, () -> admin.examineConsumeStats(GROUP, TOPIC).getOffsetTable());
        call("topic", "getTopicClusterList", () -> admin.getTopicClusterList(TOPIC));
    }

    private void consumerPage() {
        call("consumer", "getAllSubscriptionGroup", () -> new TreeMap<>(admin.getAllSubscriptionGroup(broker, 3_000).getSubscriptionGroupTable()));
        call("consumer", "examineSubscriptionGroupConfig as the Dashboard asks", () -> rawGroups().getSubscriptionGroupTable().get(GROUP));
        call("consumer", "examineSubscriptionGroupConfig of none", () -> admin.examineSubscriptionGroupConfig(broker, "PageMissing"));
        for (String group : List.of(GROUP, OFFLINE, "PageMissing")) {
            call("consumer", "examineConsumeStats " + group, () -> admin.examineConsumeStats(group).getOffsetTable());
            call("consumer", "examineConsumeStats by address " + group, () -> admin.examineConsumeStats(broker, group, null, 3_000).getOffsetTable());
            call("consumer", "examineConsumerConnectionInfo " + group, () -> admin.examineConsumerConnectionInfo(group));
            call("consumer", "examineConsumerConnectionInfo by address " + group, () -> admin.examineConsumerConnectionInfo(group, broker));
            call("consumer", "queryTopicsByConsumer " + group, () -> new TreeSet<>(admin.queryTopicsByConsumer(group).getTopicList()));
        }
        for (boolean jstack : new boolean[] {false, true}) {
            call("consumer", "getConsumerRunningInfo, jstack " + jstack, () -> {
                ConsumerRunningInfo info = admin.getConsumerRunningInfo(GROUP, clientId(), jstack);
                Map<String, Object> shown = new TreeMap<>();
                shown.put("queues", new ArrayList<>(info.getMqTable().keySet()));
                shown.put("subscriptions", new ArrayList<>(info.getSubscriptionSet()));
                shown.put("topics", new ArrayList<>(info.getStatusTable().keySet()));
                shown.put("jstack", info.getJstack() != null && info.getJstack().contains("tid"));
                return shown;
            });
        }
        call("consumer", "getConsumerRunningInfo of nobody", () -> admin.getConsumerRunningInfo(GROUP, "nobody", false));
        call("consumer", "getConsumeStatus", () -> admin.getConsumeStatus(TOPIC, GROUP, "").size());
        call("consumer", "queryConsumeTimeSpan", () -> admin.queryConsumeTimeSpan(TOPIC, GROUP).size());
        call("consumer", "querySubscription", () -> admin.querySubscription(GROUP, TOPIC));
    }

    private void producerPage() {
        call("producer", "examineProducerConnectionInfo", () -> admin.examineProducerConnectionInfo("PageProducer", TOPIC));
        call("producer", "examineProducerConnectionInfo of none", () -> admin.examineProducerConnectionInfo("PageMissing", TOPIC));
        call("producer", "examineProducerConnectionInfo without topic", () -> admin.examineProducerConnectionInfo("PageProducer", "PageMissing"));
    }

    private void messagePage() throws Exception {
        long now = System.currentTimeMillis();
        for (int i : new int[] {0, 5}) {
            call("message", "viewMessage " + i + " by unique id", () -> admin.viewMessage(TOPIC, sent.get(i).getMsgId()));
            call("message", "viewMessage " + i + " by offset id", () -> admin.viewMessage(TOPIC, sent.get(i).getOffsetMsgId()));
            call("message", "messageTrackDetail " + i, () -> admin.messageTrackDetail(admin.viewMessage(TOPIC, sent.get(i).getMsgId())));
        }
        call("message", "viewMessage of none", () -> admin.viewMessage(TOPIC, "AC11000100002A9F0000000000FFFFFF"));
        for (String key : List.of("key-0", "key-1", "no-such-key")) {
            call("message", "queryMessage " + key, () -> admin.queryMessage(TOPIC, key, 64, 0, now).getMessageList());
        }
        call("message", "queryMessage key-0 before there was any", () -> admin.queryMessage(TOPIC, "key-0", 64, 0, now - 3_600_000).getMessageList());
        for (MessageQueue queue : new TreeSet<>(puller.fetchSubscribeMessageQueues(TOPIC))) {
            call("message", "browse queue " + queue.getQueueId(), () -> {
                List<Object> seen = new ArrayList<>();
                long from = puller.searchOffset(queue, now - 600_000);
                long to = puller.searchOffset(queue, now + 600_000);
                PullResult result = puller.pull(queue, "*", from, 32);
                seen.add(List.of(from, to, puller.searchOffset(queue, now - 86_400_000L)));
                seen.add(result);
                // The Dashboard goes on until it is told that there is no more.
                seen.add(puller.pull(queue, "*", result.getNextBeginOffset(), 32).getPullStatus());
                return seen;
            });
        }
        call("message", "browse a missing topic", () -> puller.fetchSubscribeMessageQueues("PageMissing"));
        call("message", "consumeMessageDirectly", () -> admin.consumeMessageDirectly(GROUP, clientId(), TOPIC, sent.get(0).getOffsetMsgId()));
        call("message", "consumeMessageDirectly by unique id", () -> admin.consumeMessageDirectly(GROUP, clientId(), TOPIC, sent.get(1).getMsgId()));
        call("message", "consumeMessageDirectly at nobody", () -> admin.consumeMessageDirectly(GROUP, "nobody", TOPIC, sent.get(0).getOffsetMsgId()));
    }

    private void dlqPage() throws Exception {
        MessageQueue queue = new MessageQueue(DLQ, BROKER_NAME, 0);
        call("dlq", "route", () -> admin.examineTopicRouteInfo(DLQ).getQueueDatas());
        call("dlq", "route of a group without one", () -> admin.examineTopicRouteInfo(MixAll.DLQ_GROUP_TOPIC_PREFIX + OFFLINE));
        call("dlq", "browse", () -> {
            long from = puller.searchOffset(queue, 0);
            return List.of(from, puller.pull(queue, "*", from, 32));
        });
        call("dlq", "queryMessage", () -> admin.queryMessage(DLQ, "key-2", 64, 0, System.currentTimeMillis()).getMessageList());
        call("dlq", "resend", () -> {
            MessageExt message = puller.pull(queue, "*", 0, 1).getMsgFoundList().get(0);
            return admin.consumeMessageDirectly(GROUP, clientId(), DLQ, message.getMsgId());
        });
        call("dlq", "viewMessage", () -> admin.viewMessage(DLQ, sent.get(5).getMsgId()));
    }

    private void awaitTraces() throws Exception {
        await("traces", () -> {
            try {
                return traces(0).size() >= 3 && traces(5).size() >= 3;
            } catch (MQClientException e) {
                return false;
            }
        });
    }

    private void tracePage() throws Exception {
        awaitTraces();
        for (int i : new int[] {0, 5}) call("trace", "of message " + i, () -> traces(i));
        call("trace", "of no message", () -> admin.queryMessage(TopicValidator.RMQ_SYS_TRACE_TOPIC, "no-such-id", 64, 0, System.currentTimeMillis()));
    }

    private List<String> traces(int i) throws Exception {
        String id = sent.get(i).getMsgId();
        List<String> found = new ArrayList<>();
        for (MessageExt message : admin.queryMessage(TopicValidator.RMQ_SYS_TRACE_TOPIC, id, 64, 0, System.currentTimeMillis() + 10_000).getMessageList()) {
            for (TraceContext context : TraceDataEncoder.decoderFromTraceDataString(new String(message.getBody(), StandardCharsets.UTF_8))) {
                if (!context.getTraceBeans().get(0).getMsgId().equals(id)) continue;
                // Consuming it directly at an operator's command leaves no trace.
                found.add(context.getTraceType() + " " + context.getGroupName() + " " + context.isSuccess() + " " + context.getTraceBeans().get(0).getKeys());
            }
        }
        Collections.sort(found);
        return found;
    }

    private void aclPage() {
        call("acl", "listUser", () -> admin.listUser(broker, ""));
        call("acl", "getUser", () -> admin.getUser(broker, "nobody"));
        call("acl", "listAcl", () -> admin.listAcl(broker, "", ""));
        call("acl", "createUser", () -> {
            admin.createUser(broker, "someone", "secret", "Normal");
            return "made";
        });
    }

    // ---- statistics

    private void statistics() throws Exception {
        String read = TOPIC + "@" + GROUP;
        await("first samples", () -> {
            try {
                return admin.viewBrokerStatsData(broker, "TOPIC_PUT_NUMS", TOPIC).getStatsMinute().getSum() == MESSAGES
                    && admin.viewBrokerStatsData(broker, "GROUP_GET_NUMS", read).getStatsMinute().getSum() == MESSAGES
                    && admin.viewBrokerStatsData(broker, "SNDBCK_PUT_NUMS", read).getStatsMinute().getSum() == 1;
            } catch (MQClientException e) {
                return false;
            }
        });
        for (String[] each : new String[][] {
            {"TOPIC_PUT_NUMS", TOPIC}, {"TOPIC_PUT_SIZE", TOPIC}, {"GROUP_GET_NUMS", read}, {"GROUP_GET_SIZE", read},
            {"QUEUE_PUT_NUMS", "SCHEDULE_TOPIC_XXXX@0"}, {"SNDBCK_PUT_NUMS", read},
            {"SNDBCK2DLQ_TIMES", "null@" + TOPIC + "@" + GROUP + "@SEND_BACK_TO_DLQ"},
            {"BROKER_PUT_NUMS", CLUSTER}, {"BROKER_GET_NUMS", CLUSTER}, {"BROKER_PUT_NUMS_WITHOUT_SYSTEM_TOPIC", CLUSTER},
            {"BROKER_GET_NUMS_WITHOUT_SYSTEM_TOPIC", CLUSTER}, {"TOPIC_PUT_LATENCY", "0@" + TOPIC},
            {"GROUP_GET_LATENCY", "0@" + read}, {"GROUP_GET_FROM_DISK_NUMS", read}, {"DLQ_PUT_NUMS", read},
            {"TOPIC_PUT_NUMS", "PageMissing"}, {"GROUP_GET_NUMS", TOPIC + "@" + OFFLINE}, {"NO_SUCH_STATS", TOPIC},
        }) {
            call("statistics", String.join(" ", each), () -> figures(admin.viewBrokerStatsData(broker, each[0], each[1]), each[0]));
        }
    }

    /** Sums as they are where both servers count the same; whether rate and mean fit to them. */
    private static Object figures(BrokerStatsData data, String name) {
        BrokerStatsItem minute = data.getStatsMinute();
        Map<String, Object> shown = new TreeMap<>();
        boolean exact = !name.startsWith("BROKER") && !name.endsWith("LATENCY");
        shown.put("sum", exact ? minute.getSum() : minute.getSum() > 0 || name.endsWith("LATENCY"));
        // Between ten seconds and a minute and a half passed between the first sample and the last.
        double seconds = minute.getTps() == 0 ? 0 : minute.getSum() / minute.getTps();
        shown.put("rate", minute.getSum() == 0 || seconds > 5 && seconds < 90);
        boolean counted = !name.startsWith("BROKER");
        shown.put("mean", counted && exact && !name.startsWith("GROUP_GET") ? minute.getAvgpt() : minute.getAvgpt() >= 0);
        shown.put("hour", data.getStatsHour().getSum());
        shown.put("day", data.getStatsDay().getSum());
        return shown;
    }

    /** rocketmq-exporter reads all of these without a guard. */
    private void exporter() throws Exception {
        call("exporter", "getAllProducerInfo", () -> new TreeSet<>(admin.getAllProducerInfo(broker).getData().keySet()));
        call("exporter", "figures of the running broker", () -> {
            // Apache says nothing of its rates before it has taken samples of them for ten seconds.
            await("rates of the running broker", () -> {
                Map<String, String> now = admin.fetchBrokerRuntimeStats(broker).getTable();
                return RATES.stream().allMatch(key -> now.get(key).matches("\\d.*"));
            });
            Map<String, String> table = admin.fetchBrokerRuntimeStats(broker).getTable();
            List<String> broken = new ArrayList<>();
            for (String key : List.of("msgPutTotalTodayNow", "sendThreadPoolQueueHeadWaitTimeMills", "queryThreadPoolQueueHeadWaitTimeMills",
                "msgGetTotalTodayNow", "queryThreadPoolQueueSize", "bootTimestamp", "msgPutTotalYesterdayMorning", "msgGetTotalYesterdayMorning",
                "pullThreadPoolQueueSize", "commitLogMinOffset", "pullThreadPoolQueueHeadWaitTimeMills", "dispatchMaxBuffer", "brokerVersion",
                "pageCacheLockTimeMills", "commitLogMaxOffset", "getMessageEntireTimeMax", "msgPutTotalTodayMorning", "putMessageTimesTotal",
                "msgGetTotalTodayMorning", "sendThreadPoolQueueSize", "startAcceptSendRequestTimeStamp", "putMessageEntireTimeMax",
                "earliestMessageTimeStamp", "remainTransientStoreBufferNumbs", "queryThreadPoolQueueCapacity", "dispatchBehindBytes",
                "putMessageSizeTotal", "sendThreadPoolQueueCapacity", "pullThreadPoolQueueCapacity")) {
                check(broken, key, () -> Long.parseLong(table.get(key)));
            }
            for (String key : List.of("consumeQueueDiskRatio", "commitLogDiskRatio", "putMessageAverageSize", "putLatency99", "putLatency999")) {
                check(broken, key, () -> Double.parseDouble(table.get(key)));
            }
            for (String key : RATES) {
                check(broken, key, () -> Double.parseDouble(table.get(key).split(" ")[0]));
            }
            check(broken, "remainHowManyDataToFlush", () -> Double.parseDouble(table.get("remainHowManyDataToFlush").split(" ")[0]));
            check(broken, "commitLogDirCapacity", () -> Double.parseDouble(table.get("commitLogDirCapacity").split(" ")[6]));
            return broken;
        });
        call("exporter", "totals of the day", () -> {
            Map<String, String> table = admin.fetchBrokerRuntimeStats(broker).getTable();
            long put = Long.parseLong(table.get("msgPutTotalTodayNow"));
            long got = Long.parseLong(table.get("msgGetTotalTodayNow"));
            return List.of(put >= MESSAGES && put < 100, got >= MESSAGES && got < 100,
                Long.parseLong(table.get("putMessageSizeTotal")) > 1_000, Double.parseDouble(table.get("putMessageAverageSize")) > 100);
        });
        for (long offset : new long[] {0, 2, 3, 100}) {
            call("exporter", "message at offset " + offset, () -> puller.pull(new MessageQueue(TOPIC, BROKER_NAME, 0), "*", offset, 1));
        }
        call("dashboard", "24 hours of " + TOPIC, () -> org.apache.rocketmq.tools.command.stats.StatsAllSubCommand.compute24HourSum(
            admin.viewBrokerStatsData(broker, "TOPIC_PUT_NUMS", TOPIC)));
    }

    private static void check(List<String> broken, String key, Callable<Object> parse) {
        try {
            parse.call();
        } catch (Exception e) {
            broken.add(key);
        }
    }

    // ---- what must not disturb the others

    private void resets() throws Exception {
        call("consumer", "resetOffsetByTimestamp of an offline group", () -> admin.resetOffsetByTimestamp(TOPIC, OFFLINE, 0, true));
        call("consumer", "offsets of that group", () -> admin.examineConsumeStats(OFFLINE, TOPIC).getOffsetTable());
        call("consumer", "resetOffsetByTimestampOld of an offline group", () -> admin.resetOffsetByTimestampOld(OFFLINE, TOPIC, System.currentTimeMillis() + 60_000, true));
        call("consumer", "its offsets then", () -> admin.examineConsumeStats(OFFLINE, TOPIC).getOffsetTable());
        call("consumer", "resetOffsetByTimestamp of an online group", () -> admin.resetOffsetByTimestamp(TOPIC, GROUP, -1, true));
        call("consumer", "resetOffsetByTimestamp of a missing topic", () -> admin.resetOffsetByTimestamp("PageMissing", GROUP, 0, true));
        call("consumer", "resetOffsetByTimestamp of a missing group", () -> admin.resetOffsetByTimestamp(TOPIC, "PageMissing", 0, true));
    }

    private void deletions() throws Exception {
        call("topic", "delete PageOther", () -> {
            Set<String> masters = CommandUtil.fetchMasterAddrByClusterName(admin, CLUSTER);
            admin.deleteTopicInBroker(masters, "PageOther");
            admin.deleteTopicInNameServer(new HashSet<>(List.of(namesrv)), "PageOther");
            return admin.fetchAllTopicList().getTopicList().contains("PageOther");
        });
        call("topic", "route of PageOther then", () -> admin.examineTopicRouteInfo("PageOther"));
        call("topic", "delete a missing topic", () -> {
            admin.deleteTopicInBroker(Set.of(broker), "PageMissing");
            return "done";
        });
        call("consumer", "delete " + OFFLINE, () -> {
            admin.deleteSubscriptionGroup(broker, OFFLINE, true);
            return rawGroups().getSubscriptionGroupTable().containsKey(OFFLINE);
        });
        call("consumer", "delete a missing group", () -> {
            admin.deleteSubscriptionGroup(broker, "PageMissing", true);
            return "done";
        });
        Properties wrong = new Properties();
        wrong.setProperty("brokerConfigPath", "elsewhere");
        call("cluster", "updateBrokerConfig of a forbidden key", () -> {
            admin.updateBrokerConfig(broker, wrong);
            return "done";
        });
    }

    // ---- tools

    private String clientId() {
        return consumer.getDefaultMQPushConsumerImpl().getmQClientFactory().getClientId();
    }

    private static void await(String what, Callable<Boolean> holds) throws Exception {
        long limit = System.currentTimeMillis() + WAIT_MS;
        Exception last = null;
        while (System.currentTimeMillis() < limit) {
            try {
                if (holds.call()) return;
                last = null;
            } catch (Exception e) {
                last = e;
            }
            Thread.sleep(100);
        }
        throw new IllegalStateException("no " + what + " within " + WAIT_MS + " ms", last);
    }

    private static void call(String page, String name, Callable<Object> call) {
        Object shown;
        try {
            shown = show(call.call(), 0);
        } catch (MQClientException e) {
            shown = Map.of("refused", "MQClientException", "code", e.getResponseCode(), "words", String.valueOf(e.getErrorMessage()));
        } catch (MQBrokerException e) {
            shown = Map.of("refused", "MQBrokerException", "code", e.getResponseCode(), "words", String.valueOf(e.getErrorMessage()));
        } catch (Exception e) {
            shown = Map.of("refused", String.valueOf(e));
        }
        if (shown instanceof Map) shown = new TreeMap<>((Map<?, ?>) shown);
        System.out.println("call " + page + ": " + name + "\t" + JSON.toJSONString(shown));
    }

    /** Plain values in a fixed order, whatever class they came in; no rates. */
    private static Object show(Object value, int depth) throws Exception {
        if (value == null || value instanceof String || value instanceof Number || value instanceof Boolean) return value;
        if (value instanceof Enum) return value.toString();
        if (depth > 6) return "...";
        if (value instanceof MessageQueue) {
            MessageQueue queue = (MessageQueue) value;
            return queue.getTopic() + "/" + queue.getBrokerName() + "/" + queue.getQueueId();
        }
        if (value instanceof SendResult) {
            SendResult result = (SendResult) value;
            return List.of(result.getSendStatus().name(), show(result.getMessageQueue(), depth + 1), result.getQueueOffset());
        }
        if (value instanceof MessageExt) return showMessage((MessageExt) value);
        if (value instanceof KVTable) return show(((KVTable) value).getTable(), depth + 1);
        if (value instanceof byte[]) return new String((byte[]) value, StandardCharsets.UTF_8);
        if (value instanceof Map) {
            Map<String, Object> shown = new TreeMap<>();
            for (Map.Entry<?, ?> entry : ((Map<?, ?>) value).entrySet()) {
                shown.put(String.valueOf(show(entry.getKey(), depth + 1)), show(entry.getValue(), depth + 1));
            }
            return shown;
        }
        if (value instanceof Collection) {
            List<Object> shown = new ArrayList<>();
            for (Object each : (Collection<?>) value) shown.add(show(each, depth + 1));
            // Sets come in the order of the moment, and so do lists made of them.
            boolean inOrder = shown.stream().anyMatch(each -> each instanceof Number);
            if (!inOrder) shown.sort((a, b) -> JSON.toJSONString(a).compareTo(JSON.toJSONString(b)));
            return shown;
        }
        Map<String, Object> shown = new TreeMap<>();
        for (Method method : value.getClass().getMethods()) {
            String name = method.getName();
            if (method.getParameterCount() > 0 || Modifier.isStatic(method.getModifiers()) || name.equals("getClass")) continue;
            if (!name.matches("(get|is)[A-Z].*") || name.matches(".*(Tps|TPS|Rt|RT|spentTimeMills|SpentTimeMills|getSubVersion)")) continue;
            shown.put(name.replaceFirst("get|is", ""), show(method.invoke(value), depth + 1));
        }
        return shown;
    }

    private static Object showMessage(MessageExt message) {
        Map<String, Object> shown = new TreeMap<>();
        shown.put("topic", message.getTopic());
        shown.put("queueId", message.getQueueId());
        shown.put("queueOffset", message.getQueueOffset());
        shown.put("body", message.getBody() == null ? null : new String(message.getBody(), StandardCharsets.UTF_8));
        shown.put("reconsumeTimes", message.getReconsumeTimes());
        shown.put("sysFlag", message.getSysFlag());
        shown.put("storeSize", message.getStoreSize());
        shown.put("properties", new TreeMap<>(new HashMap<>(message.getProperties())));
        shown.put("uniqueId", MessageClientIDSetter.getUniqID(message) != null);
        return shown;
    }
}
