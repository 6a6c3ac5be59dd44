package skylark.compat;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.IntPredicate;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Light queues: a message is stored once and listed in every %LMQ% queue that it names. */
@SuppressWarnings("deprecation")
final class LmqScenarios {
    private static final String NAMES = "INNER_MULTI_DISPATCH";
    private static final String OFFSETS = "INNER_MULTI_QUEUE_OFFSET";

    private LmqScenarios() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("lmq", LmqScenarios::lmq);
        all.put("lmq-restart", ctx -> restart(ctx, "restart-broker"));
        all.put("lmq-kill9", ctx -> restart(ctx, "kill9-broker"));
    }

    /** Message i is for queue a, if even for b, and if divisible by three for c. */
    private static final class Fan {
        final Ctx ctx;
        final String topic;
        final DefaultMQProducer producer;
        final String a;
        final String b;
        final String c;

        Fan(Ctx ctx) throws Exception {
            this.ctx = ctx;
            topic = ctx.topic("t", 2);
            producer = ctx.producer();
            a = "%LMQ%" + ctx.name("a");
            b = "%LMQ%" + ctx.name("b");
            c = "%LMQ%" + ctx.name("c");
        }

        void send(int from, int to) throws Exception {
            for (int i = from; i < to; i++) {
                List<String> names = new ArrayList<>(List.of(a));
                if (i % 2 == 0) {
                    names.add(b);
                }
                if (i % 3 == 0) {
                    names.add(c);
                }
                send(i, String.join(",", names));
            }
        }

        void send(int i, String names) throws Exception {
            Message message = Ctx.message(topic, "tag" + i % 2, "key" + i, "m" + i);
            MessageAccessor.putProperty(message, NAMES, names);
            producer.send(message);
        }
    }

    /** No NameServer knows a light queue: the client must have learnt the broker's address for another topic. */
    private static String brokerOf(DefaultMQPullConsumer consumer, String topic) throws Exception {
        MessageQueue known = consumer.fetchSubscribeMessageQueues(topic).iterator().next();
        consumer.maxOffset(known);
        return known.getBrokerName();
    }

    private static List<MessageExt> pullAll(DefaultMQPullConsumer consumer, MessageQueue queue, String tags, long from) throws Exception {
        List<MessageExt> found = new ArrayList<>();
        long end = consumer.maxOffset(queue);
        long offset = from;
        while (offset < end) {
            PullResult got = consumer.pull(queue, tags, offset, 32);
            if (got.getPullStatus() == PullStatus.FOUND) {
                found.addAll(got.getMsgFoundList());
            }
            Check.that(got.getNextBeginOffset() > offset, "a pull of " + queue + " moves on from " + offset);
            offset = got.getNextBeginOffset();
        }
        return found;
    }

    /** The messages a light queue must hold, in their order, with the offset of each among its names. */
    private static void holds(DefaultMQPullConsumer consumer, MessageQueue queue, int from, int to, IntPredicate wanted) throws Exception {
        List<String> want = new ArrayList<>();
        for (int i = from; i < to; i++) {
            if (wanted.test(i)) {
                want.add("m" + i);
            }
        }
        Ctx.await(20_000, want.size() + " messages in " + queue.getTopic(), () -> consumer.maxOffset(queue) >= want.size());
        Check.eq((long) want.size(), consumer.maxOffset(queue), "max offset of " + queue.getTopic());
        Check.eq(0L, consumer.minOffset(queue), "min offset of " + queue.getTopic());
        List<MessageExt> found = pullAll(consumer, queue, "*", 0);
        List<String> bodies = new ArrayList<>();
        for (MessageExt message : found) {
            List<String> names = List.of(message.getProperty(NAMES).split(","));
            String offset = message.getProperty(OFFSETS).split(",")[names.indexOf(queue.getTopic())];
            Check.eq(String.valueOf(bodies.size()), offset, "offset of " + Inbox.text(message) + " in " + queue.getTopic());
            bodies.add(Inbox.text(message));
        }
        Check.eq(want, bodies, "messages of " + queue.getTopic());
    }

    private static void lmq(Ctx ctx) throws Exception {
        Fan fan = new Fan(ctx);
        fan.send(0, 30);
        DefaultMQPullConsumer consumer = ctx.pull(ctx.group("c"));
        String broker = brokerOf(consumer, fan.topic);
        MessageQueue a = new MessageQueue(fan.a, broker, 0);
        MessageQueue b = new MessageQueue(fan.b, broker, 0);
        MessageQueue c = new MessageQueue(fan.c, broker, 0);
        holds(consumer, a, 0, 30, i -> true);
        holds(consumer, b, 0, 30, i -> i % 2 == 0);
        holds(consumer, c, 0, 30, i -> i % 3 == 0);
        Check.eq(30, ctx.drain(consumer, fan.topic, 30).size(), "messages of the topic itself");
        Check.eq(5, pullAll(consumer, c, "tag1", 0).size(), "messages by a tag");
        MessageExt first = consumer.pull(b, "*", 4, 1).getMsgFoundList().get(0);
        Check.eq("m8", Inbox.text(first), "the message at offset 4 of b");
        Check.eq(fan.topic, first.getTopic(), "topic of a message of a light queue");
        // Its queue is the one that its producer happened to choose.
        ctx.fact("queue offset shown", first.getQueueOffset());
        Check.eq(4L, consumer.searchOffset(b, first.getStoreTimestamp()), "offset by time");
        PullResult end = consumer.pull(c, "*", 10, 32);
        ctx.fact("pull at the end", end.getPullStatus() + " " + end.getNextBeginOffset() + " " + end.getMinOffset() + " " + end.getMaxOffset());
        PullResult beyond = consumer.pull(c, "*", 50, 32);
        ctx.fact("pull beyond the end", beyond.getPullStatus() + " " + beyond.getNextBeginOffset());
        PullResult nowhere = consumer.pull(new MessageQueue("%LMQ%" + ctx.name("nowhere"), broker, 0), "*", 0, 32);
        ctx.fact("pull of a queue that nobody named", nowhere.getPullStatus() + " " + nowhere.getNextBeginOffset());
        Exception other = Check.refused("a pull from queue 1 of a light queue", () -> consumer.pull(new MessageQueue(fan.a, broker, 1), "*", 0, 32));
        ctx.refusal("queue 1", other);

        CompletableFuture<PullResult> held = new CompletableFuture<>();
        new Thread(() -> {
            try {
                held.complete(consumer.pullBlockIfNotFound(c, "*", 10, 32));
            } catch (Exception e) {
                held.completeExceptionally(e);
            }
        }).start();
        Thread.sleep(800);
        Check.that(!held.isDone(), "the pull of a light queue is held");
        fan.send(31, fan.a);
        fan.send(33, fan.c);
        // Sooner than the broker's look at held pulls every 5 s.
        PullResult woken = held.get(4, TimeUnit.SECONDS);
        Check.eq("m33", Inbox.text(woken.getMsgFoundList().get(0)), "what woke the held pull");

        // A name twice is one place; blanks around it make it another name, which is none.
        fan.send(34, fan.b + "," + fan.c);
        Ctx.await(10_000, "the next offsets", () -> consumer.maxOffset(b) == 16 && consumer.maxOffset(c) == 12 && consumer.maxOffset(a) == 31);

        DefaultMQPullConsumer light = ctx.pull("%LMQ%" + ctx.group("light"));
        brokerOf(light, fan.topic);
        ctx.fact("offset before the first commit", light.fetchConsumeOffset(b, true));
        light.updateConsumeOffset(b, 7);
        light.getDefaultMQPullConsumerImpl().getOffsetStore().updateConsumeOffsetToBroker(b, 7, false);
        Check.eq(7L, light.fetchConsumeOffset(b, true), "offset of a light group");
    }

    private static void restart(Ctx ctx, String fault) throws Exception {
        Fan fan = new Fan(ctx);
        fan.send(0, 40);
        DefaultMQPullConsumer consumer = ctx.pull(ctx.group("c"));
        String broker = brokerOf(consumer, fan.topic);
        MessageQueue a = new MessageQueue(fan.a, broker, 0);
        MessageQueue b = new MessageQueue(fan.b, broker, 0);
        MessageQueue c = new MessageQueue(fan.c, broker, 0);
        holds(consumer, c, 0, 40, i -> i % 3 == 0);
        DefaultMQPullConsumer light = ctx.pull("%LMQ%" + ctx.group("light"));
        brokerOf(light, fan.topic);
        light.getDefaultMQPullConsumerImpl().getOffsetStore().updateConsumeOffsetToBroker(b, 9, false);
        consumer.getDefaultMQPullConsumerImpl().getOffsetStore().updateConsumeOffsetToBroker(b, 11, false);
        // The broker writes offsets every 5 s.
        Thread.sleep(7_000);
        ctx.fault(fault);
        Ctx.await(60_000, "a send behind the fault", () -> {
            try {
                fan.producer.send(Ctx.message(fan.topic, "probe"));
                return true;
            } catch (Exception notYet) {
                return false;
            }
        });
        Ctx.await(60_000, "the broker at the consumers", () -> {
            try {
                consumer.maxOffset(a);
                return light.fetchConsumeOffset(b, true) != Long.MIN_VALUE;
            } catch (Exception notYet) {
                return false;
            }
        });
        holds(consumer, a, 0, 40, i -> true);
        fan.send(40, 60);
        holds(consumer, a, 0, 60, i -> true);
        holds(consumer, b, 0, 60, i -> i % 2 == 0);
        holds(consumer, c, 0, 60, i -> i % 3 == 0);
        Check.eq(9L, light.fetchConsumeOffset(b, true), "offset of a light group");
        Check.eq(11L, consumer.fetchConsumeOffset(b, true), "offset of an ordinary group in a light queue");
    }
}
