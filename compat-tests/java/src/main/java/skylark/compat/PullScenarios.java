package skylark.compat;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullCallback;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** The old pull consumer: it shows the pull reply as it is. */
@SuppressWarnings("deprecation")
final class PullScenarios {
    private PullScenarios() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("pull-status", PullScenarios::status);
        all.put("pull-tags", PullScenarios::tags);
        all.put("pull-long-polling", PullScenarios::longPolling);
        all.put("pull-many-waiters", PullScenarios::manyWaiters);
        all.put("pull-offsets", PullScenarios::offsets);
    }

    private static MessageQueue onlyQueue(DefaultMQPullConsumer consumer, String topic) throws Exception {
        return consumer.fetchSubscribeMessageQueues(topic).iterator().next();
    }

    private static void shape(PullResult got, PullStatus status, long next, long min, long max, String what) {
        Check.eq(status, got.getPullStatus(), what + ": status");
        Check.eq(next, got.getNextBeginOffset(), what + ": next offset");
        Check.eq(min, got.getMinOffset(), what + ": min offset");
        Check.eq(max, got.getMaxOffset(), what + ": max offset");
    }

    /** Every status a pull can have. */
    private static void status(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        DefaultMQPullConsumer consumer = ctx.pull(ctx.group("c"));
        MessageQueue queue = onlyQueue(consumer, topic);
        // An empty queue. Offset 0 is right where the next message will be; anything else is off.
        shape(consumer.pull(queue, "*", 0, 32), PullStatus.NO_NEW_MSG, 0, 0, 0, "empty queue at 0");
        shape(consumer.pull(queue, "*", 5, 32), PullStatus.OFFSET_ILLEGAL, 0, 0, 0, "empty queue at 5");
        DefaultMQProducer producer = ctx.producer();
        for (int i = 0; i < 50; i++) {
            producer.send(Ctx.message(topic, "m" + i));
        }
        Ctx.awaitVisible(consumer, queue, 50);
        PullResult got = consumer.pull(queue, "*", 0, 10);
        shape(got, PullStatus.FOUND, 10, 0, 50, "pull of 10 at 0");
        Check.eq(10, got.getMsgFoundList().size(), "messages");
        got = consumer.pull(queue, "*", 45, 10);
        shape(got, PullStatus.FOUND, 50, 0, 50, "pull of 10 at 45");
        Check.eq(5, got.getMsgFoundList().size(), "messages at the end");
        for (int i = 0; i < 5; i++) {
            MessageExt message = got.getMsgFoundList().get(i);
            Check.eq("m" + (45 + i), Inbox.text(message), "body");
            Check.eq(45L + i, message.getQueueOffset(), "queue offset");
            Check.eq(0, message.getQueueId(), "queue id");
            Check.eq("0", message.getProperty("MIN_OFFSET"), "MIN_OFFSET");
            Check.eq("50", message.getProperty("MAX_OFFSET"), "MAX_OFFSET");
        }
        shape(consumer.pull(queue, "*", 50, 10), PullStatus.NO_NEW_MSG, 50, 0, 50, "pull at the end");
        // One past the end is an overflow "by one": corrected to the end, and so is one far beyond.
        shape(consumer.pull(queue, "*", 51, 10), PullStatus.OFFSET_ILLEGAL, 50, 0, 50, "pull one past the end");
        shape(consumer.pull(queue, "*", 1_000_000, 10), PullStatus.OFFSET_ILLEGAL, 50, 0, 50, "pull far past the end");
        Check.refused("a pull at -1", () -> consumer.pull(queue, "*", -1, 10));
        Check.refused("a pull of 0 messages", () -> consumer.pull(queue, "*", 0, 0));
        // A queue the topic does not have.
        Exception refused = Check.refused("a pull from queue 7", () -> consumer.pull(new MessageQueue(topic, queue.getBrokerName(), 7), "*", 0, 10));
        Check.eq(29, ctx.refusal("queue 7", refused), "code for a queue that is not there");
    }

    /** A filtered pull skips: nothing that matches gives NO_MATCHED_MSG and an offset further on. */
    private static void tags(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        DefaultMQProducer producer = ctx.producer();
        for (int i = 0; i < 40; i++) {
            producer.send(Ctx.message(topic, i < 20 ? "early" : "late", "", "m" + i));
        }
        DefaultMQPullConsumer consumer = ctx.pull(ctx.group("c"));
        MessageQueue queue = onlyQueue(consumer, topic);
        Ctx.awaitVisible(consumer, queue, 40);
        PullResult got = consumer.pull(queue, "early", 0, 32);
        Check.eq(PullStatus.FOUND, got.getPullStatus(), "status");
        Check.eq(20, got.getMsgFoundList().size(), "messages tagged early");
        Check.eq(40L, got.getNextBeginOffset(), "next offset after the scan");
        got = consumer.pull(queue, "late", 0, 5);
        Check.eq(5, got.getMsgFoundList().size(), "messages tagged late");
        Check.eq("m20", Inbox.text(got.getMsgFoundList().get(0)), "first message tagged late");
        Check.eq(25L, got.getNextBeginOffset(), "next offset after five");
        shape(consumer.pull(queue, "never", 0, 32), PullStatus.NO_MATCHED_MSG, 40, 0, 40, "a tag that nobody sent");
        shape(consumer.pull(queue, "early", 20, 32), PullStatus.NO_MATCHED_MSG, 40, 0, 40, "a tag that is over");
    }

    private static void longPolling(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        DefaultMQProducer producer = ctx.producer();
        producer.send(Ctx.message(topic, "first"));
        DefaultMQPullConsumer consumer = new DefaultMQPullConsumer(ctx.group("c"));
        consumer.setNamesrvAddr(ctx.namesrv);
        consumer.setInstanceName(ctx.instance());
        consumer.setBrokerSuspendMaxTimeMillis(3_000);
        ctx.onClose(consumer::shutdown);
        consumer.start();
        MessageQueue queue = onlyQueue(consumer, topic);
        long start = System.currentTimeMillis();
        shape(consumer.pullBlockIfNotFound(queue, "*", 1, 10), PullStatus.NO_NEW_MSG, 1, 0, 1, "a wait in vain");
        long waited = System.currentTimeMillis() - start;
        // The broker looks at held pulls every 5 s, so 3 s of patience end between 3 and 8 s.
        Check.between(2_900, 9_000, waited, "ms of a wait in vain");

        // The arrival answers a held pull, not one of those looks. A busy machine may hold up one of three answers, but not all of them.
        long fastest = Long.MAX_VALUE;
        for (int i = 1; i <= 3; i++) {
            long offset = i;
            CompletableFuture<PullResult> held = meanwhile(() -> consumer.pullBlockIfNotFound(queue, "*", offset, 10));
            Thread.sleep(500);
            Check.that(!held.isDone(), "pull " + i + " is held");
            long sent = System.currentTimeMillis();
            producer.send(Ctx.message(topic, "held" + i));
            PullResult got = held.get(5, TimeUnit.SECONDS);
            fastest = Math.min(fastest, System.currentTimeMillis() - sent);
            shape(got, PullStatus.FOUND, i + 1, 0, i + 1, "held pull " + i);
            Check.eq("held" + i, Inbox.text(got.getMsgFoundList().get(0)), "message of held pull " + i);
        }
        Check.between(0, 500, fastest, "ms from send to the held pull's answer, the fastest of three");

        // A held pull with a tag is not woken by other tags; it has the patience of a busy machine.
        consumer.setBrokerSuspendMaxTimeMillis(15_000);
        CompletableFuture<PullResult> filtered = meanwhile(() -> consumer.pullBlockIfNotFound(queue, "wanted", 4, 10));
        Thread.sleep(500);
        producer.send(Ctx.message(topic, "other", "", "third"));
        Thread.sleep(400);
        Check.that(!filtered.isDone(), "a pull for another tag stays held");
        producer.send(Ctx.message(topic, "wanted", "", "fourth"));
        PullResult got = filtered.get(10, TimeUnit.SECONDS);
        Check.eq(PullStatus.FOUND, got.getPullStatus(), "status of the filtered pull");
        Check.eq(1, got.getMsgFoundList().size(), "messages of the filtered pull");
        Check.eq("fourth", Inbox.text(got.getMsgFoundList().get(0)), "message of the filtered pull");
        Check.eq(6L, got.getNextBeginOffset(), "next offset of the filtered pull");
    }

    /** Does something in a thread of its own. */
    private static <T> CompletableFuture<T> meanwhile(Callable<T> work) {
        CompletableFuture<T> result = new CompletableFuture<>();
        new Thread(() -> {
            try {
                result.complete(work.call());
            } catch (Exception e) {
                result.completeExceptionally(e);
            }
        }).start();
        return result;
    }

    /** Twenty pulls held on one queue are all answered by one arrival. */
    private static void manyWaiters(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        DefaultMQProducer producer = ctx.producer();
        List<CompletableFuture<PullResult>> held = new ArrayList<>();
        DefaultMQPullConsumer consumer = ctx.pull(ctx.group("c"));
        MessageQueue queue = onlyQueue(consumer, topic);
        for (int i = 0; i < 20; i++) {
            CompletableFuture<PullResult> one = new CompletableFuture<>();
            consumer.pullBlockIfNotFound(queue, "*", 0, 10, new PullCallback() {
                @Override
                public void onSuccess(PullResult result) {
                    one.complete(result);
                }

                @Override
                public void onException(Throwable failure) {
                    one.completeExceptionally(failure);
                }
            });
            held.add(one);
        }
        Thread.sleep(1_000);
        producer.send(Ctx.message(topic, "m"));
        for (CompletableFuture<PullResult> one : held) {
            PullResult got = one.get(10, TimeUnit.SECONDS);
            Check.eq(PullStatus.FOUND, got.getPullStatus(), "status");
            Check.eq("m", Inbox.text(got.getMsgFoundList().get(0)), "message");
        }
    }

    /** Offsets kept by hand; what a group without an offset gets. */
    private static void offsets(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 4);
        DefaultMQProducer producer = ctx.producer();
        for (int i = 0; i < 20; i++) {
            producer.send(Ctx.message(topic, "m" + i));
        }
        DefaultMQPullConsumer consumer = ctx.pull(ctx.group("c"));
        TreeSet<MessageQueue> queues = new TreeSet<>(consumer.fetchSubscribeMessageQueues(topic));
        Check.eq(4, queues.size(), "queues");
        // The first pull creates the group; before that an offset is refused with 26.
        consumer.pull(queues.first(), "*", 0, 1);
        for (MessageQueue queue : queues) {
            // No offset yet and the first message still in memory: the broker answers 0. See "consume-from-where".
            Check.eq(0L, consumer.fetchConsumeOffset(queue, true), "offset of a new group");
            consumer.getOffsetStore().updateConsumeOffsetToBroker(queue, queue.getQueueId() + 1, false);
        }
        for (MessageQueue queue : queues) {
            Check.eq(queue.getQueueId() + 1L, consumer.fetchConsumeOffset(queue, true), "offset of queue " + queue.getQueueId());
        }
        // An offset is a number the group keeps: going back and going beyond the end are both taken as given.
        MessageQueue first = queues.first();
        for (long offset : new long[] {0, 4_000_000_000L, 2}) {
            consumer.getOffsetStore().updateConsumeOffsetToBroker(first, offset, false);
            Check.eq(offset, consumer.fetchConsumeOffset(first, true), "offset set by hand");
        }
        consumer.shutdown();
        DefaultMQPullConsumer later = ctx.pull(ctx.group("c"));
        Check.eq(2L, later.fetchConsumeOffset(first, true), "offset after the client came back");
    }
}
