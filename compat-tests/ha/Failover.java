import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * The clients' side of the fail-over tests, run as one source file. Prints one JSON line at its end.
 *
 * <pre>
 * send NAMESRV TOPIC FILE          sends until a line comes on stdin, one message at a time; FILE gets what was answered SEND_OK.
 *                                  Says "acked N" every 200 such messages
 * flood NAMESRV TOPIC COUNT BYTES  says "ready"; after a line on stdin, sends without waiting for answers
 * check NAMESRV TOPIC GROUP FILE   how many of FILE's messages a push consumer does not get, and how many it gets twice
 * </pre>
 */
public final class Failover {
    private static final long LIMIT_MS = 60_000;

    public static void main(String[] args) throws Exception {
        PrintStream out = System.out;
        System.setOut(System.err);
        String line;
        try {
            line = switch (args[0]) {
                case "send" -> send(out, args[1], args[2], Path.of(args[3]));
                case "flood" -> flood(out, args[1], args[2], Integer.parseInt(args[3]), Integer.parseInt(args[4]));
                case "check" -> check(args[1], args[2], args[3], Path.of(args[4]));
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

    private static String send(PrintStream out, String namesrv, String topic, Path file) throws Exception {
        DefaultMQProducer producer = new DefaultMQProducer("FailoverProducer");
        producer.setNamesrvAddr(namesrv);
        producer.setPollNameServerInterval(1_000);
        producer.setHeartbeatBrokerInterval(1_000);
        producer.setSendMsgTimeout(4_000);
        producer.start();
        List<String> acked = new ArrayList<>();
        Map<String, Integer> statuses = new TreeMap<>();
        long last = System.currentTimeMillis();
        long longestGapMs = 0;
        for (int i = 0; System.in.available() == 0; i++) {
            String body = i + "-" + "x".repeat(i * 37 % 2_000);
            String status;
            try {
                SendResult result = producer.send(new Message(topic, "tag", "key" + i, body.getBytes(StandardCharsets.UTF_8)));
                status = result.getSendStatus().name();
                if (result.getSendStatus() == SendStatus.SEND_OK) {
                    acked.add(body.substring(0, body.indexOf('-')));
                    long now = System.currentTimeMillis();
                    longestGapMs = Math.max(longestGapMs, now - last);
                    last = now;
                    if (acked.size() % 200 == 0) {
                        out.println("acked " + acked.size());
                        out.flush();
                    }
                }
            } catch (Exception e) {
                status = e.getClass().getSimpleName();
                Thread.sleep(100);
            }
            statuses.merge(status, 1, Integer::sum);
            Thread.sleep(2);
        }
        Files.writeString(file, String.join("\n", acked));
        StringBuilder told = new StringBuilder();
        statuses.forEach((status, times) -> told.append(told.length() == 0 ? "" : ",").append('"').append(status).append("\":").append(times));
        return "{\"acked\":" + acked.size() + ",\"longestGapMs\":" + longestGapMs + ",\"statuses\":{" + told + "}}";
    }

    private static String flood(PrintStream out, String namesrv, String topic, int count, int bytes) throws Exception {
        DefaultMQProducer producer = new DefaultMQProducer("FloodProducer");
        producer.setNamesrvAddr(namesrv);
        producer.setCompressMsgBodyOverHowmuch(Integer.MAX_VALUE);
        producer.start();
        producer.fetchPublishMessageQueues(topic);
        out.println("ready");
        out.flush();
        System.in.read();
        byte[] body = ("flood-" + "x".repeat(bytes)).getBytes(StandardCharsets.UTF_8);
        for (int i = 0; i < count; i++) {
            producer.sendOneway(new Message(topic, "tag", body));
        }
        // They leave in their own time.
        Thread.sleep(1_000);
        return "{\"flooded\":" + count + "}";
    }

    private static String check(String namesrv, String topic, String group, Path file) throws Exception {
        Set<String> missing = Collections.synchronizedSet(new HashSet<>(List.of(Files.readString(file).split("\n"))));
        int expected = missing.size();
        Map<String, Integer> seen = new ConcurrentHashMap<>();
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group);
        consumer.setNamesrvAddr(namesrv);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) {
                String body = new String(message.getBody(), StandardCharsets.UTF_8);
                String id = body.substring(0, body.indexOf('-'));
                seen.merge(message.getQueueId() + "/" + message.getQueueOffset(), 1, Integer::sum);
                missing.remove(id);
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        long began = System.currentTimeMillis();
        consumer.start();
        while (!missing.isEmpty() && System.currentTimeMillis() - began < LIMIT_MS) {
            Thread.sleep(50);
        }
        Thread.sleep(500);
        consumer.shutdown();
        return "{\"expected\":" + expected + ",\"missing\":" + missing.size() + ",\"places\":" + seen.size() + "}";
    }
}
