package skylark.compat;

import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.protocol.body.ClusterInfo;
import org.apache.rocketmq.common.protocol.body.Connection;
import org.apache.rocketmq.common.protocol.body.ConsumerConnection;
import org.apache.rocketmq.common.protocol.heartbeat.MessageModel;
import org.apache.rocketmq.common.protocol.heartbeat.SubscriptionData;
import org.apache.rocketmq.common.protocol.route.BrokerData;
import org.apache.rocketmq.common.protocol.route.QueueData;
import org.apache.rocketmq.common.subscription.SubscriptionGroupConfig;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** Everything whose package or signature differs between the 4.x and the 5.x client. Its twin in the other folder has the same methods. */
final class Shim {
    /** A row of a topic's route. */
    record Queues(String broker, int read, int write, int perm, int sysFlag) {
    }

    private Shim() {
    }

    static void broadcasting(DefaultMQPushConsumer consumer) {
        consumer.setMessageModel(MessageModel.BROADCASTING);
    }

    /** The address of the cluster's only master; null when none is registered. */
    static String masterAddr(DefaultMQAdminExt admin) throws Exception {
        ClusterInfo cluster = admin.examineBrokerClusterInfo();
        for (BrokerData broker : cluster.getBrokerAddrTable().values()) {
            String master = broker.getBrokerAddrs().get(0L);
            if (master != null) {
                return master;
            }
        }
        return null;
    }

    static String clusterName(DefaultMQAdminExt admin) throws Exception {
        return admin.examineBrokerClusterInfo().getClusterAddrTable().keySet().iterator().next();
    }

    /** The two clients have topic and cluster in opposite order. */
    static void deleteTopicInNameServer(DefaultMQAdminExt admin, String namesrv, String topic) throws Exception {
        admin.deleteTopicInNameServer(java.util.Set.of(namesrv), topic, clusterName(admin));
    }

    static List<Queues> route(DefaultMQAdminExt admin, String topic) throws Exception {
        List<Queues> rows = new ArrayList<>();
        for (QueueData data : admin.examineTopicRouteInfo(topic).getQueueDatas()) {
            rows.add(new Queues(data.getBrokerName(), data.getReadQueueNums(), data.getWriteQueueNums(), data.getPerm(), data.getTopicSysFlag()));
        }
        return rows;
    }

    /** What the broker knows of a consumer group: clients, language, type, model, start, subscriptions; sorted, so that it compares. */
    static TreeMap<String, String> consumers(DefaultMQAdminExt admin, String group) throws Exception {
        ConsumerConnection found = admin.examineConsumerConnectionInfo(group);
        TreeSet<String> clients = new TreeSet<>();
        TreeSet<String> languages = new TreeSet<>();
        for (Connection connection : found.getConnectionSet()) {
            clients.add(connection.getClientId());
            languages.add(connection.getLanguage().name());
        }
        TreeSet<String> subscriptions = new TreeSet<>();
        for (SubscriptionData data : found.getSubscriptionTable().values()) {
            subscriptions.add(data.getTopic() + " " + data.getSubString() + " " + new TreeSet<>(data.getTagsSet()) + " " + data.getExpressionType());
        }
        TreeMap<String, String> facts = new TreeMap<>();
        facts.put("clients", clients.toString());
        facts.put("languages", languages.toString());
        facts.put("type", String.valueOf(found.getConsumeType()));
        facts.put("model", String.valueOf(found.getMessageModel()));
        facts.put("from", String.valueOf(found.getConsumeFromWhere()));
        facts.put("subscriptions", subscriptions.toString());
        return facts;
    }

    /** Whether the broker has a consumer's latest subscription to a topic. */
    static boolean knowsSubscription(DefaultMQAdminExt admin, DefaultMQPushConsumer consumer, String topic) throws Exception {
        SubscriptionData latest = consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl().getSubscriptionInner().get(topic);
        try {
            SubscriptionData known = admin.examineConsumerConnectionInfo(consumer.getConsumerGroup()).getSubscriptionTable().get(topic);
            return known != null && known.getSubVersion() >= latest.getSubVersion();
        } catch (MQClientException | MQBrokerException notYet) {
            return false;
        }
    }

    static TreeSet<String> producers(DefaultMQAdminExt admin, String group, String topic) throws Exception {
        TreeSet<String> clients = new TreeSet<>();
        for (Connection connection : admin.examineProducerConnectionInfo(group, topic).getConnectionSet()) {
            clients.add(connection.getClientId());
        }
        return clients;
    }

    static void createTopic(DefaultMQProducer producer, String key, String topic, int queues) throws Exception {
        producer.createTopic(key, topic, queues);
    }

    /** The 4.x client compresses with zlib only. */
    static List<String> compressions() {
        return List.of("ZLIB");
    }

    static void compressWith(DefaultMQProducer producer, String type) {
        Check.eq("ZLIB", type, "compression of a 4.x client");
    }

    static void createGroup(DefaultMQAdminExt admin, String broker, String group) throws Exception {
        createGroup(admin, broker, group, 16, 1);
    }

    static void createGroup(DefaultMQAdminExt admin, String broker, String group, int retryMaxTimes, int retryQueues) throws Exception {
        SubscriptionGroupConfig config = new SubscriptionGroupConfig();
        config.setGroupName(group);
        config.setRetryMaxTimes(retryMaxTimes);
        config.setRetryQueueNums(retryQueues);
        admin.createAndUpdateSubscriptionGroupConfig(broker, config);
    }

    static String groupConfig(DefaultMQAdminExt admin, String broker, String group) throws Exception {
        SubscriptionGroupConfig config = admin.examineSubscriptionGroupConfig(broker, group);
        return config.getGroupName() + " " + config.isConsumeEnable() + " " + config.isConsumeBroadcastEnable() + " " + config.getRetryMaxTimes() + " "
            + config.getRetryQueueNums() + " " + config.getBrokerId() + " " + config.getWhichBrokerWhenConsumeSlowly();
    }

    /** A group with one of its flags off: consumeEnable, consumeBroadcastEnable or notifyConsumerIdsChangedEnable. */
    static void groupWith(DefaultMQAdminExt admin, String broker, String group, String flagOff) throws Exception {
        SubscriptionGroupConfig config = new SubscriptionGroupConfig();
        config.setGroupName(group);
        config.setConsumeEnable(!flagOff.equals("consumeEnable"));
        config.setConsumeBroadcastEnable(!flagOff.equals("consumeBroadcastEnable"));
        config.setNotifyConsumerIdsChangedEnable(!flagOff.equals("notifyConsumerIdsChangedEnable"));
        admin.createAndUpdateSubscriptionGroupConfig(broker, config);
    }

    /** A group whose slow readers go to another broker id. */
    static void slowTo(DefaultMQAdminExt admin, String broker, String group, long brokerId) throws Exception {
        SubscriptionGroupConfig config = new SubscriptionGroupConfig();
        config.setGroupName(group);
        config.setWhichBrokerWhenConsumeSlowly(brokerId);
        admin.createAndUpdateSubscriptionGroupConfig(broker, config);
    }

    static void deleteGroup(DefaultMQAdminExt admin, String broker, String group) throws Exception {
        admin.deleteSubscriptionGroup(broker, group, true);
    }

    /** The tools' old way of a reset; what they say of each queue. */
    static TreeMap<Long, String> rollback(DefaultMQAdminExt admin, String group, String topic, long timestamp, boolean force) throws Exception {
        TreeMap<Long, String> rows = new TreeMap<>();
        admin.resetOffsetByTimestampOld(group, topic, timestamp, force).forEach(row -> rows.put(row.getQueueId(),
            row.getBrokerName() + " end " + row.getBrokerOffset() + " was " + row.getConsumerOffset() + " at time " + row.getTimestampOffset() + " now " + row.getRollbackOffset()));
        return rows;
    }

    static List<String> groupKinds() {
        return List.of("numbers");
    }

    static void richGroup(DefaultMQAdminExt admin, String broker, String group, String kind) throws Exception {
        SubscriptionGroupConfig config = new SubscriptionGroupConfig();
        config.setGroupName(group);
        config.setRetryMaxTimes(3);
        config.setRetryQueueNums(2);
        config.setBrokerId(1);
        config.setWhichBrokerWhenConsumeSlowly(2);
        config.setConsumeFromMinEnable(false);
        config.setNotifyConsumerIdsChangedEnable(false);
        admin.createAndUpdateSubscriptionGroupConfig(broker, config);
    }

    /** The tools of 4.9.8 have no reset of a queue; they set its offset. */
    static boolean resetsQueues() {
        return false;
    }

    static void resetQueue(DefaultMQAdminExt admin, String broker, String group, String topic, int queueId, long offset) throws Exception {
        admin.updateConsumeOffset(broker, group, new org.apache.rocketmq.common.message.MessageQueue(topic, "broker-a", queueId), offset);
    }

    static void detector(DefaultMQProducer producer) {
        // This client has none.
    }

    static boolean autoBatch(DefaultMQProducer producer) {
        return false;
    }

    static boolean hasAttributes() {
        return false;
    }

    static void createTopicOf(DefaultMQAdminExt admin, String broker, String topic, java.util.Map<String, String> attributes) {
        throw new UnsupportedOperationException("topics of 4.9.8 have no attributes");
    }

    static String attributes(org.apache.rocketmq.common.TopicConfig config) {
        return "";
    }

    static boolean forbids() {
        return false;
    }

    static String readable(DefaultMQAdminExt admin, String broker, String group, String topic, Boolean readable) {
        throw new UnsupportedOperationException("the tools of 4.9.8 cannot forbid");
    }
}
