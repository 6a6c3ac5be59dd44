import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentSkipListMap;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.tools.command.MQAdminStartup;

/**
 * The clients' side of tests with several brokers, run as one source file.
 *
 * <pre>
 * traffic NAMESRV TOPIC GROUP MEMBERS QUEUES   waits until the group has all queues, says "ready", sends one message after the other until a
 *                                              line comes on stdin, and consumes meanwhile; says "acked BROKER=N BROKER=N" every 100
 *                                              answers. At the end one JSON line: what was answered, and what of it was not consumed
 * admin COMMAND [COMMAND ...]                  one JSON line: the output of each command of mqadmin
 * </pre>
 */
public final class Cluster {
    private static final long LIMIT_MS = 120_000;
    private static final int SAY_EVERY = 100;

    public static void main(String[] args) throws Exception {
        PrintStream out = System.out;
        System.setOut(System.err);
        String line;
        try {
            line = switch (args[0]) {
                case "traffic" -> new Traffic(out, args[1], args[2], args[3], Integer.parseInt(args[4]), Integer.parseInt(args[5])).run();
                case "admin" -> admin(List.of(args).subList(1, args.length));
                default -> throw new IllegalArgumentException(args[0]);
            };
        } catch (Throwable e) {
            e.printStackTrace();
            line = "{\"error\":" + quoted(e.toString()) + "}";
        }
        out.println(line);
        out.flush();
        Runtime.getRuntime().halt(0);
    }

    private static String admin(List<String> commands) {
        List<String> outputs = new ArrayList<>();
        for (String command : commands) {
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            System.setOut(new PrintStream(bytes, true, StandardCharsets.UTF_8));
            MQAdminStartup.main0(command.split(" "), null);
            outputs.add(quoted(bytes.toString(StandardCharsets.UTF_8)));
        }
        return "{\"outputs\":[" + String.join(",", outputs) + "]}";
    }

    private static String quoted(String text) {
        StringBuilder json = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') {
                json.append('\\').append(c);
            } else if (c < ' ') {
                json.append(String.format("\\u%04x", (int) c));
            } else {
                json.append(c);
            }
        }
        return json.append('"').toString();
    }

    /** One producer and one group, at the same time. */
    private static final class Traffic {
        private final PrintStream out;
        private final String namesrv;
        private final String topic;
        private final String group;
        private final int memberCount;
        private final int queueCount;
        /** Ids of messages that were answered SEND_OK, by broker. */
        private final Map<String, Set<String>> acked = new ConcurrentSkipListMap<>();
        private final Map<String, Integer> statuses = new TreeMap<>();
        /** Places of the messages that were consumed, and how often; and their ids. */
        private final Map<String, Integer> places = new ConcurrentHashMap<>();
        private final Set<String> consumed = ConcurrentHashMap.newKeySet();
        private int sent;

        Traffic(PrintStream out, String namesrv, String topic, String group, int memberCount, int queueCount) {
            this.out = out;
            this.namesrv = namesrv;
            this.topic = topic;
            this.group = group;
            this.memberCount = memberCount;
            this.queueCount = queueCount;
        }

        String run() throws Exception {
            DefaultMQProducer producer = new DefaultMQProducer("ClusterProducer");
            producer.setNamesrvAddr(namesrv);
            producer.setPollNameServerInterval(1_000);
            producer.setHeartbeatBrokerInterval(1_000);
            producer.setSendMsgTimeout(10_000);
            producer.start();
            await("all queues are known", () -> queuesOf(producer) == queueCount);
            List<DefaultMQPushConsumer> members = new ArrayList<>();
            for (int i = 0; i < memberCount; i++) {
                members.add(member("member" + i));
            }
            await("every queue has its consumer, and every consumer queues", () -> isShared(members));
            say("ready");
            while (System.in.available() == 0) {
                send(producer);
                Thread.sleep(2);
            }
            await("what was answered is consumed", () -> missing() == 0);
            // More than was sent would be messages that nobody sent.
            Thread.sleep(500);
            members.forEach(DefaultMQPushConsumer::shutdown);
            producer.shutdown();
            return report();
        }

        private void send(DefaultMQProducer producer) throws InterruptedException {
            String id = sent++ + "-" + "x".repeat(sent * 37 % 1_000);
            String status;
            try {
                SendResult result = producer.send(new Message(topic, "tag", "key" + sent, id.getBytes(StandardCharsets.UTF_8)));
                status = result.getSendStatus().name();
                if (result.getSendStatus() == SendStatus.SEND_OK) {
                    acked.computeIfAbsent(result.getMessageQueue().getBrokerName(), name -> new HashSet<>()).add(id);
                    if (acked.values().stream().mapToInt(Set::size).sum() % SAY_EVERY == 0) {
                        StringBuilder counts = new StringBuilder("acked");
                        acked.forEach((broker, ids) -> counts.append(' ').append(broker).append('=').append(ids.size()));
                        say(counts.toString());
                    }
                }
            } catch (Exception e) {
                status = e.getClass().getSimpleName();
                Thread.sleep(100);
            }
            statuses.merge(status, 1, Integer::sum);
        }

        private DefaultMQPushConsumer member(String name) throws MQClientException {
            DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group);
            consumer.setNamesrvAddr(namesrv);
            consumer.setInstanceName(name);
            consumer.setPollNameServerInterval(1_000);
            consumer.setHeartbeatBrokerInterval(1_000);
            consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
            consumer.subscribe(topic, "*");
            consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
                for (MessageExt message : messages) {
                    consumed.add(new String(message.getBody(), StandardCharsets.UTF_8));
                    places.merge(message.getBrokerName() + "/" + message.getQueueId() + "/" + message.getQueueOffset(), 1, Integer::sum);
                }
                return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
            });
            consumer.start();
            return consumer;
        }

        /** A broker may answer who makes a topic before the NameServers know of it. */
        private int queuesOf(DefaultMQProducer producer) {
            try {
                return producer.fetchPublishMessageQueues(topic).size();
            } catch (MQClientException e) {
                return 0;
            }
        }

        private boolean isShared(List<DefaultMQPushConsumer> members) {
            Set<MessageQueue> all = new HashSet<>();
            int sum = 0;
            for (DefaultMQPushConsumer one : members) {
                List<MessageQueue> own = one.getDefaultMQPushConsumerImpl().getRebalanceImpl().getProcessQueueTable().keySet().stream()
                    .filter(queue -> queue.getTopic().equals(topic)).toList();
                if (own.isEmpty()) {
                    return false;
                }
                all.addAll(own);
                sum += own.size();
            }
            return all.size() == queueCount && sum == queueCount;
        }

        private long missing() {
            return acked.values().stream().flatMap(Set::stream).filter(id -> !consumed.contains(id)).count();
        }

        private String report() {
            List<String> brokers = new ArrayList<>();
            acked.forEach((broker, ids) -> brokers.add(quoted(broker) + ":" + ids.size()));
            List<String> told = new ArrayList<>();
            statuses.forEach((status, times) -> told.add(quoted(status) + ":" + times));
            long unknown = consumed.stream().filter(id -> Integer.parseInt(id.substring(0, id.indexOf('-'))) >= sent).count();
            long again = places.values().stream().filter(times -> times > 1).count();
            return "{\"acked\":{" + String.join(",", brokers) + "},\"statuses\":{" + String.join(",", told) + "},\"sent\":" + sent + ",\"consumed\":"
                + consumed.size() + ",\"missing\":" + missing() + ",\"unknown\":" + unknown + ",\"again\":" + again + "}";
        }

        private interface Condition {
            boolean holds();
        }

        /** Says when it takes too long, and goes on: the report shows what is missing. */
        private void await(String what, Condition condition) throws InterruptedException {
            long end = System.currentTimeMillis() + LIMIT_MS;
            while (!condition.holds()) {
                if (System.currentTimeMillis() > end) {
                    say("late: " + what);
                    return;
                }
                Thread.sleep(50);
            }
        }

        private void say(String line) {
            out.println(line);
            out.flush();
        }
    }
}
