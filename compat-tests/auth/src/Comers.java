import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.acl.common.AclClientRPCHook;
import org.apache.rocketmq.acl.common.SessionCredentials;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.remoting.RPCHook;

/**
 * The official client with credentials of each kind: what it is answered when it sends, in every way that signs another body or other
 * fields, and which messages it receives. One line a step.
 *
 * <p>Arguments: NameServer, topic, group, then users and their passwords; the first one has the rights.
 */
public final class Comers {
    /** A first send of a cold client to a cold server, on a busy machine. */
    private static final int TIMEOUT_MS = 30_000;
    private static final int WAIT_SECONDS = 60;
    private static final int QUIET_SECONDS = 3;

    private static String namesrv;
    private static String topic;
    private static int instances;

    private interface Step {
        String run() throws Exception;
    }

    public static void main(String[] args) throws Exception {
        namesrv = args[0];
        topic = args[1];
        String group = args[2];
        for (int i = 3; i < args.length; i += 2) {
            String who = args[i] + "/" + args[i + 1];
            RPCHook hook = new AclClientRPCHook(new SessionCredentials(args[i], args[i + 1], i == 3 ? "token" : null));
            sends(who, hook);
            int seconds = i == 3 ? WAIT_SECONDS : QUIET_SECONDS;
            say(who + " receives", () -> consume(group, hook, seconds));
        }
        System.exit(0);
    }

    private static void sends(String who, RPCHook hook) throws Exception {
        DefaultMQProducer producer = new DefaultMQProducer("Producers", hook);
        producer.setNamesrvAddr(namesrv);
        producer.setInstanceName("p" + instances++);
        producer.setRetryTimesWhenSendFailed(0);
        producer.setSendMsgTimeout(TIMEOUT_MS);
        producer.setCompressMsgBodyOverHowmuch(2000);
        producer.start();
        say(who + " sends", () -> producer.send(message("one", 10)).getSendStatus().toString());
        say(who + " sends a compressed one", () -> producer.send(message("two \u00e4\u20ac\ud83d\ude00", 5000)).getSendStatus().toString());
        say(who + " sends a batch", () -> producer.send(Arrays.asList(message("three", 1), message("four", 2))).getSendStatus().toString());
        producer.shutdown();
        TransactionMQProducer transactional = new TransactionMQProducer("TxProducers", hook);
        transactional.setNamesrvAddr(namesrv);
        transactional.setInstanceName("t" + instances++);
        transactional.setRetryTimesWhenSendFailed(0);
        transactional.setSendMsgTimeout(TIMEOUT_MS);
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
        say(who + " commits", () -> transactional.sendMessageInTransaction(message("five", 20), null).getSendStatus().toString());
        transactional.shutdown();
    }

    private static Message message(String key, int size) {
        byte[] body = new byte[size];
        Arrays.fill(body, (byte) 'x');
        Message message = new Message(topic, "Tag", key, body);
        message.putUserProperty("property", key + "\u00df");
        return message;
    }

    /** How many messages come; those who may not receive are given a few seconds to be wrong in. */
    private static String consume(String group, RPCHook hook, int seconds) throws Exception {
        List<String> keys = new ArrayList<>();
        CountDownLatch five = new CountDownLatch(5);
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group, hook);
        consumer.setNamesrvAddr(namesrv);
        consumer.setInstanceName("c" + instances++);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(topic, "Tag");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) {
                synchronized (keys) {
                    keys.add(message.getKeys());
                }
                five.countDown();
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        five.await(seconds, TimeUnit.SECONDS);
        consumer.shutdown();
        synchronized (keys) {
            keys.sort(null);
            return keys.toString();
        }
    }

    private static void say(String what, Step step) {
        String outcome;
        try {
            outcome = step.run();
        } catch (Throwable error) {
            Throwable cause = error;
            while (cause != null && !(cause instanceof MQBrokerException)) {
                cause = cause.getCause();
            }
            outcome = cause == null ? error.toString() : "CODE " + ((MQBrokerException) cause).getResponseCode() + " " + ((MQBrokerException) cause).getErrorMessage();
        }
        System.out.println("> " + what + ": " + outcome);
    }
}
