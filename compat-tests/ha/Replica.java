import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentSkipListMap;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/**
 * The clients' side of the replication tests, run as one source file. Prints one JSON line.
 *
 * <pre>
 * send NAMESRV BROKER TOPIC QUEUES COUNT BYTES   statuses, and a digest of queue, offset, message id and body of every message
 * read NAMESRV TOPIC GROUP COUNT                 the same digest of what a push consumer gets from the first offset on
 * offset NAMESRV TOPIC GROUP                     how far the group is, summed over the queues
 * </pre>
 */
public final class Replica {
    private static final long LIMIT_MS = 120_000;

    public static void main(String[] args) throws Exception {
        PrintStream out = System.out;
        System.setOut(System.err);
        String line;
        try {
            line = switch (args[0]) {
                case "send" -> send(args[1], args[2], args[3], Integer.parseInt(args[4]), Integer.parseInt(args[5]), Integer.parseInt(args[6]));
                case "read" -> read(args[1], args[2], args[3], Integer.parseInt(args[4]));
                default -> throw new IllegalArgumentException(args[0]);
            };
        } catch (Throwable e) {
            e.printStackTrace();
            line = "{\"error\":\"" + e.toString().replace('\\', '/').replace('"', '\'').replace('\n', ' ') + "\"}";
        }
        out.println(line);
        out.flush();
        Runtime.getRuntime().halt(0);
    }

    private static String send(String namesrv, String broker, String topic, int queues, int count, int bytes) throws Exception {
        DefaultMQAdminExt admin = new DefaultMQAdminExt(10_000);
        admin.setInstanceName("admin" + System.nanoTime());
        admin.setNamesrvAddr(namesrv);
        admin.start();
        admin.createAndUpdateTopicConfig(broker, new TopicConfig(topic, queues, queues));
        DefaultMQProducer producer = new DefaultMQProducer("ReplicaProducer");
        producer.setNamesrvAddr(namesrv);
        producer.setInstanceName("producer" + System.nanoTime());
        producer.setSendMsgTimeout(20_000);
        producer.setRetryTimesWhenSendFailed(0);
        producer.start();
        List<MessageQueue> targets = queuesOf(producer, topic);
        TreeMap<String, Integer> statuses = new TreeMap<>();
        ConcurrentSkipListMap<String, String> seen = new ConcurrentSkipListMap<>();
        long slowest = 0;
        for (int i = 0; i < count; i++) {
            byte[] body = (i + "-" + "x".repeat(Math.max(0, i * 37 % (2 * bytes)))).getBytes(StandardCharsets.UTF_8);
            Message message = new Message(topic, "tag" + i % 3, "key" + i, body);
            long began = System.currentTimeMillis();
            String status;
            try {
                SendResult result = producer.send(message, targets.get(i % targets.size()));
                status = result.getSendStatus().name();
                note(seen, result.getMessageQueue().getQueueId(), result.getQueueOffset(), result.getOffsetMsgId(), body);
            } catch (Exception e) {
                status = e.getClass().getSimpleName() + ": " + String.valueOf(e.getMessage()).replace('"', '\'').replace('\n', ' ');
                if (status.length() > 160) {
                    status = status.substring(0, 160);
                }
            }
            slowest = Math.max(slowest, System.currentTimeMillis() - began);
            statuses.merge(status, 1, Integer::sum);
        }
        StringBuilder told = new StringBuilder();
        statuses.forEach((status, times) -> told.append(told.length() == 0 ? "" : ",").append('"').append(status).append("\":").append(times));
        return "{\"statuses\":{" + told + "},\"slowestMs\":" + slowest + ",\"count\":" + seen.size() + ",\"digest\":\"" + digest(seen) + "\"}";
    }

    /** A broker may answer who makes a topic before the NameServer knows of it. */
    private static List<MessageQueue> queuesOf(DefaultMQProducer producer, String topic) throws Exception {
        long limit = System.currentTimeMillis() + LIMIT_MS;
        while (true) {
            try {
                return producer.fetchPublishMessageQueues(topic);
            } catch (MQClientException e) {
                if (System.currentTimeMillis() > limit) {
                    throw e;
                }
                Thread.sleep(200);
            }
        }
    }

    private static String read(String namesrv, String topic, String group, int count) throws Exception {
        ConcurrentSkipListMap<String, String> seen = new ConcurrentSkipListMap<>();
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group);
        consumer.setNamesrvAddr(namesrv);
        consumer.setInstanceName("consumer" + System.nanoTime());
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) {
                note(seen, message.getQueueId(), message.getQueueOffset(), offsetIdOf(message), message.getBody());
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        long began = System.currentTimeMillis();
        consumer.start();
        while (seen.size() < count && System.currentTimeMillis() - began < LIMIT_MS) {
            Thread.sleep(50);
        }
        long ms = System.currentTimeMillis() - began;
        // More than was asked for would be messages that nobody sent.
        Thread.sleep(500);
        consumer.shutdown();
        return "{\"count\":" + seen.size() + ",\"ms\":" + ms + ",\"digest\":\"" + digest(seen) + "\"}";
    }

    private static String offsetIdOf(MessageExt message) {
        return message instanceof org.apache.rocketmq.common.message.MessageClientExt client ? client.getOffsetMsgId() : message.getMsgId();
    }

    private static void note(ConcurrentSkipListMap<String, String> seen, int queueId, long offset, String id, byte[] body) {
        seen.put(String.format("%d/%012d", queueId, offset), id + " " + hash(body));
    }

    private static String hash(byte[] body) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(body));
        } catch (java.security.NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    private static String digest(ConcurrentSkipListMap<String, String> seen) {
        List<String> lines = new ArrayList<>();
        seen.forEach((place, content) -> lines.add(place + " " + content));
        return hash(String.join("\n", lines).getBytes(StandardCharsets.UTF_8));
    }
}
