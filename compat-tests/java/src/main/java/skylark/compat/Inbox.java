package skylark.compat;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.function.Function;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.common.message.MessageExt;

/** What one consumer received, in the order of its listener's calls. */
final class Inbox {
    private final List<MessageExt> messages = new ArrayList<>();
    private final List<Long> times = new ArrayList<>();
    private int largestCall;

    synchronized void add(List<MessageExt> received) {
        largestCall = Math.max(largestCall, received.size());
        for (MessageExt message : received) {
            messages.add(message);
            times.add(System.currentTimeMillis());
        }
    }

    /** A listener that keeps everything and succeeds. */
    MessageListenerConcurrently concurrently() {
        return concurrently(message -> ConsumeConcurrentlyStatus.CONSUME_SUCCESS);
    }

    /** A listener that keeps everything and answers by the first message of the call. */
    MessageListenerConcurrently concurrently(Function<MessageExt, ConsumeConcurrentlyStatus> verdict) {
        return (received, context) -> {
            add(received);
            return verdict.apply(received.get(0));
        };
    }

    MessageListenerOrderly orderly() {
        return (received, context) -> {
            add(received);
            return ConsumeOrderlyStatus.SUCCESS;
        };
    }

    synchronized int size() {
        return messages.size();
    }

    synchronized int largestCall() {
        return largestCall;
    }

    synchronized List<MessageExt> all() {
        return new ArrayList<>(messages);
    }

    synchronized MessageExt get(int index) {
        return messages.get(index);
    }

    synchronized long timeOf(int index) {
        return times.get(index);
    }

    synchronized List<String> bodies() {
        List<String> bodies = new ArrayList<>();
        for (MessageExt message : messages) {
            bodies.add(text(message));
        }
        return bodies;
    }

    TreeSet<String> distinctBodies() {
        return new TreeSet<>(bodies());
    }

    /** How often each body came. */
    Map<String, Integer> counts() {
        Map<String, Integer> counts = new HashMap<>();
        for (String body : bodies()) {
            counts.merge(body, 1, Integer::sum);
        }
        return counts;
    }

    static String text(MessageExt message) {
        return new String(message.getBody(), StandardCharsets.UTF_8);
    }
}
