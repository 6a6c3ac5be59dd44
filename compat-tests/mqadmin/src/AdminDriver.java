import com.alibaba.fastjson2.JSON;
import com.alibaba.fastjson2.JSONArray;
import com.alibaba.fastjson2.JSONObject;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.impl.MQClientAPIImpl;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.logging.org.slf4j.LoggerFactory;

/**
 * Many commands of the official, unchanged mqadmin in one JVM, because starting one costs more than the command. Each
 * command sees what a process of its own would see: its classes are loaded anew, System.exit ends only it, and the
 * system properties it sets are taken back. Besides it keeps the clients that the commands are to find online.
 *
 * Speaks JSON, one request per line, one line "answer {...}" for each: {"op": "commands" | "run" | "send" | "consume" | "reset" | "stop", ...}.
 */
public final class AdminDriver {
    private static final PrintStream ANSWERS = System.out;
    private static final PrintStream ERRORS = System.err;
    private static final Map<String, DefaultMQPushConsumer> CONSUMERS = new HashMap<>();
    private static final Map<String, DefaultMQProducer> PRODUCERS = new HashMap<>();

    private AdminDriver() {
    }

    /** Thrown instead of the end of the JVM; an Error, because commands catch Exception. */
    private static final class Exit extends Error {
        final int status;

        Exit(int status) {
            super("exit " + status, null, false, false);
            this.status = status;
        }
    }

    @SuppressWarnings("removal")
    private static final class NoExit extends SecurityManager {
        @Override
        public void checkExit(int status) {
            throw new Exit(status);
        }

        @Override
        public void checkPermission(java.security.Permission permission) {
        }

        @Override
        public void checkPermission(java.security.Permission permission, Object context) {
        }
    }

    @SuppressWarnings("removal")
    public static void main(String[] args) throws Exception {
        System.setSecurityManager(new NoExit());
        // The loggers of the jars report on their own start; that is no command's output.
        LoggerFactory.getLogger("mqadmin").info("the driver begins");
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = requests.readLine(); line != null; line = requests.readLine()) {
            JSONObject answer;
            try {
                answer = answer(JSON.parseObject(line));
            } catch (Throwable e) {
                answer = new JSONObject();
                answer.put("error", e.toString());
                e.printStackTrace(ERRORS);
            }
            ANSWERS.println("answer " + JSON.toJSONString(answer));
            ANSWERS.flush();
        }
        // Clients and what commands left running must not keep the process.
        Runtime.getRuntime().halt(0);
    }

    private static JSONObject answer(JSONObject request) throws Exception {
        switch (request.getString("op")) {
            case "commands":
                return commands();
            case "run":
                return run(request.getJSONArray("args").toArray(String.class), request.getLongValue("timeoutMs"));
            case "send":
                return send(request);
            case "consume":
                return consume(request);
            case "reset":
                return reset(request);
            case "stop":
                CONSUMERS.remove(request.getString("group")).shutdown();
                return new JSONObject();
            default:
                throw new IllegalArgumentException("no such op: " + request);
        }
    }

    /** Loads mqadmin's own classes as if for the first time; everything below them is shared. */
    private static ClassLoader freshTools() throws Exception {
        URL tools = Path.of(System.getProperty("tools.jar")).toUri().toURL();
        return new URLClassLoader(new URL[] {tools}, AdminDriver.class.getClassLoader());
    }

    private static JSONObject commands() throws Exception {
        Class<?> startup = freshTools().loadClass("org.apache.rocketmq.tools.command.MQAdminStartup");
        startup.getMethod("initCommand").invoke(null);
        java.lang.reflect.Field field = startup.getDeclaredField("SUB_COMMANDS");
        field.setAccessible(true);
        List<String> names = new ArrayList<>();
        for (Object command : (List<?>) field.get(null)) {
            Method name = command.getClass().getMethod("commandName");
            name.setAccessible(true);
            names.add((String) name.invoke(command));
        }
        JSONObject answer = new JSONObject();
        answer.put("commands", names);
        return answer;
    }

    private static JSONObject run(String[] args, long timeoutMs) throws Exception {
        Properties before = (Properties) System.getProperties().clone();
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        AtomicInteger status = new AtomicInteger(0);
        long began = System.currentTimeMillis();
        ClassLoader tools = freshTools();
        Thread command = new Thread(() -> {
            try {
                tools.loadClass("org.apache.rocketmq.tools.command.MQAdminStartup")
                    .getMethod("main", String[].class).invoke(null, (Object) args);
            } catch (InvocationTargetException e) {
                if (e.getCause() instanceof Exit) {
                    status.set(((Exit) e.getCause()).status);
                } else {
                    // What ends main with an error ends its JVM with 1.
                    status.set(1);
                    e.getCause().printStackTrace();
                }
            } catch (ReflectiveOperationException e) {
                throw new IllegalStateException(e);
            }
        }, "main");
        command.setDaemon(true);
        command.setContextClassLoader(tools);
        System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(err, true, StandardCharsets.UTF_8));
        command.start();
        while (command.isAlive() && System.currentTimeMillis() - began < timeoutMs) {
            command.join(20);
            hurryShutdown(command);
        }
        boolean ended = !command.isAlive();
        System.setOut(ERRORS);
        System.setErr(ERRORS);
        System.setProperties(before);
        JSONObject answer = new JSONObject();
        answer.put("status", ended ? status.get() : null);
        answer.put("out", out.toString(StandardCharsets.UTF_8));
        answer.put("err", err.toString(StandardCharsets.UTF_8));
        answer.put("ms", System.currentTimeMillis() - began);
        return answer;
    }

    /**
     * A client's shutdown joins a thread that looks up every three seconds only. In a process of its own that is a wait
     * at the end of each command; here, hundreds of times over, the thread is woken.
     */
    private static void hurryShutdown(Thread command) {
        boolean shuttingDown = false;
        for (StackTraceElement frame : command.getStackTrace()) {
            shuttingDown |= frame.getClassName().endsWith(".ServiceThread") && frame.getMethodName().equals("shutdown");
        }
        if (!shuttingDown) return;
        Thread[] threads = new Thread[Thread.activeCount() + 16];
        int count = Thread.enumerate(threads);
        for (int i = 0; i < count; i++) {
            if (threads[i].getName().startsWith("NettyEventExecutor")) threads[i].interrupt();
        }
    }

    /** Sends each message to the queue it names; the producer stays online. */
    private static JSONObject send(JSONObject request) throws Exception {
        String group = request.getString("group");
        DefaultMQProducer producer = PRODUCERS.get(group);
        if (producer == null) {
            producer = new DefaultMQProducer(group);
            producer.setNamesrvAddr(request.getString("namesrv"));
            producer.setInstanceName(group);
            producer.setSendMsgTimeout(10_000);
            producer.start();
            PRODUCERS.put(group, producer);
        }
        JSONArray sent = new JSONArray();
        for (Object each : request.getJSONArray("messages")) {
            JSONObject m = (JSONObject) each;
            byte[] body = m.getString("body").getBytes(StandardCharsets.UTF_8);
            Message message = new Message(m.getString("topic"), m.getString("tags"), m.getString("keys"), body);
            if (m.containsKey("delayLevel")) message.setDelayTimeLevel(m.getIntValue("delayLevel"));
            MessageQueue queue = new MessageQueue(m.getString("topic"), request.getString("broker"), m.getIntValue("queueId"));
            SendResult result = producer.send(message, queue);
            JSONObject one = new JSONObject();
            one.put("status", result.getSendStatus().name());
            one.put("msgId", result.getMsgId());
            one.put("offsetMsgId", result.getOffsetMsgId());
            one.put("queueId", result.getMessageQueue().getQueueId());
            one.put("queueOffset", result.getQueueOffset());
            sent.add(one);
        }
        JSONObject answer = new JSONObject();
        answer.put("sent", sent);
        return answer;
    }

    /** Resets groups to a time: pairs of group and topic, asked for through the connection of a producer that is online. */
    private static JSONObject reset(JSONObject request) throws Exception {
        MQClientAPIImpl api = PRODUCERS.get(request.getString("producer")).getDefaultMQProducerImpl().getMqClientFactory().getMQClientAPIImpl();
        for (Object each : request.getJSONArray("pairs")) {
            JSONArray pair = (JSONArray) each;
            api.invokeBrokerToResetOffset(request.getString("broker"), pair.getString(1), pair.getString(0),
                request.getLongValue("timestamp"), true, 10_000);
        }
        return new JSONObject();
    }

    private static long consumedTo(DefaultMQPushConsumer consumer, String topic) {
        return consumer.getDefaultMQPushConsumerImpl().getOffsetStore().cloneOffsetTable(topic).values().stream()
            .mapToLong(Long::longValue).sum();
    }

    /** A push consumer from the first offset; answers when its offsets add up to `wait` and stays online until stopped. */
    private static JSONObject consume(JSONObject request) throws Exception {
        String group = request.getString("group");
        int wait = request.getIntValue("wait");
        AtomicInteger count = new AtomicInteger();
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group);
        consumer.setNamesrvAddr(request.getString("namesrv"));
        consumer.setInstanceName(group);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setPersistConsumerOffsetInterval(500);
        consumer.subscribe(request.getString("topic"), request.getString("expression"));
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            count.addAndGet(messages.size());
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        CONSUMERS.put(group, consumer);
        long limit = System.currentTimeMillis() + request.getLongValue("timeoutMs");
        long nextBeat = System.currentTimeMillis() + 2_000;
        while (consumedTo(consumer, request.getString("topic")) < wait && System.currentTimeMillis() < limit) {
            Thread.sleep(20);
            if (System.currentTimeMillis() < nextBeat) continue;
            // Its first rebalance may fall into its second heartbeat: then it would tell its new subscription 30 s later.
            consumer.getDefaultMQPushConsumerImpl().getmQClientFactory().sendHeartbeatToAllBrokerWithLock();
            nextBeat += 1_000;
        }
        // By itself it tells the broker no earlier than ten seconds after its start.
        consumer.getDefaultMQPushConsumerImpl().persistConsumerOffset();
        JSONObject answer = new JSONObject();
        answer.put("consumed", count.get());
        answer.put("clientId", consumer.getDefaultMQPushConsumerImpl().getmQClientFactory().getClientId());
        return answer;
    }
}
