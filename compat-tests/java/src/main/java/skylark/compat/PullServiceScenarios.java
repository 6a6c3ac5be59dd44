package skylark.compat;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.MQPullConsumerScheduleService;
import org.apache.rocketmq.client.consumer.MessageQueueListener;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.UtilAll;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Consumers that pull: by a schedule, in a balance with others, and the lite consumer's commits and listeners. */
@SuppressWarnings("deprecation")
final class PullServiceScenarios {
    private PullServiceScenarios() {
    }

    static void register(Map<String, Scenario> all) {
        all.put("pull-schedule", PullServiceScenarios::schedule);
        all.put("pull-balance", PullServiceScenarios::balance);
        all.put("lite-auto-commit", PullServiceScenarios::autoCommit);
        all.put("lite-commit-offsets", PullServiceScenarios::commitOffsets);
        all.put("lite-queue-change", PullServiceScenarios::queueChange);
        all.put("lite-from-where", PullServiceScenarios::fromWhere);
    }

    private static void send(DefaultMQProducer producer, String topic, String prefix, int count) throws Exception {
        for (int i = 0; i < count; i++) {
            producer.send(Ctx.message(topic, prefix + i));
        }
    }

    /** MQPullConsumerScheduleService: a task for each queue that the balance gives this member. */
    private static void schedule(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 3);
        String group = ctx.group("c");
        send(ctx.producer(), topic, "m", 30);
        Inbox inbox = new Inbox();
        MQPullConsumerScheduleService service = new MQPullConsumerScheduleService(group);
        service.getDefaultMQPullConsumer().setNamesrvAddr(ctx.namesrv);
        service.getDefaultMQPullConsumer().setInstanceName(ctx.instance());
        service.setPullThreadNums(3);
        service.registerPullTaskCallback(topic, (queue, context) -> {
            context.setPullNextDelayTimeMillis(200);
            try {
                long offset = Math.max(0, context.getPullConsumer().fetchConsumeOffset(queue, false));
                PullResult result = context.getPullConsumer().pull(queue, "*", offset, 8);
                if (result.getPullStatus() == PullStatus.FOUND) {
                    inbox.add(result.getMsgFoundList());
                }
                context.getPullConsumer().updateConsumeOffset(queue, result.getNextBeginOffset());
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        });
        ctx.onClose(service::shutdown);
        service.start();
        Ctx.awaitExactly(inbox, 30, Ctx.DELIVERY_MS);
        Check.eq(Ctx.numbered("m", 0, 30), inbox.distinctBodies(), "messages");
        service.shutdown();
        DefaultMQPullConsumer reader = ctx.pull(ctx.group("c"));
        long committed = 0;
        for (MessageQueue queue : reader.fetchSubscribeMessageQueues(topic)) {
            committed += reader.fetchConsumeOffset(queue, true);
        }
        Check.eq(30L, committed, "offsets committed by the schedule");
    }

    /** Pull consumers that registered a topic are balanced as push consumers are, and hear of it. */
    private static void balance(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 4);
        String group = ctx.group("c");
        DefaultMQPullConsumer[] members = new DefaultMQPullConsumer[2];
        AtomicInteger changes = new AtomicInteger();
        for (int i = 0; i < 2; i++) {
            DefaultMQPullConsumer member = new DefaultMQPullConsumer(group);
            member.setNamesrvAddr(ctx.namesrv);
            member.setInstanceName(ctx.instance());
            member.registerMessageQueueListener(topic, new MessageQueueListener() {
                @Override
                public void messageQueueChanged(String changed, Set<MessageQueue> all, Set<MessageQueue> mine) {
                    changes.incrementAndGet();
                }
            });
            ctx.onClose(member::shutdown);
            member.start();
            members[i] = member;
            int want = 4 / (i + 1);
            Ctx.await(90_000, want + " queues for each of " + (i + 1), () -> {
                for (DefaultMQPullConsumer one : members) {
                    if (one != null && one.fetchMessageQueuesInBalance(topic).size() != want) {
                        return false;
                    }
                }
                return true;
            });
        }
        Check.that(changes.get() >= 2, "changes heard of: " + changes.get());
        members[1].shutdown();
        Ctx.await(90_000, "all queues for the member that stayed", () -> members[0].fetchMessageQueuesInBalance(topic).size() == 4);
    }

    private static long atBroker(Ctx ctx, String group, String topic) throws Exception {
        long sum = 0;
        for (var row : ctx.admin().examineConsumeStats(group, topic).getOffsetTable().values()) {
            sum += row.getConsumerOffset();
        }
        return sum;
    }

    /** Without a word of the application: polls commit what the polls before them gave. */
    private static void autoCommit(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 2);
        String group = ctx.group("c");
        send(ctx.producer(), topic, "m", 20);
        DefaultLitePullConsumer consumer = ctx.lite(group);
        consumer.setAutoCommit(true);
        consumer.setAutoCommitIntervalMillis(1_000);
        consumer.subscribe(topic, "*");
        consumer.start();
        AtomicInteger polled = new AtomicInteger();
        Ctx.await(Ctx.DELIVERY_MS, "20 messages", () -> polled.addAndGet(consumer.poll(200).size()) >= 20);
        Ctx.await(30_000, "the commit at the broker", () -> {
            polled.addAndGet(consumer.poll(200).size());
            try {
                return atBroker(ctx, group, topic) == 20;
            } catch (org.apache.rocketmq.client.exception.MQClientException notYet) {
                return false;
            }
        });
        Check.eq(20, polled.get(), "messages polled in all");
    }

    /** Offsets that the application commits, other than those it polled. */
    private static void commitOffsets(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        String group = ctx.group("c");
        send(ctx.producer(), topic, "m", 20);
        DefaultLitePullConsumer consumer = ctx.lite(group);
        consumer.start();
        DefaultMQPullConsumer reader = ctx.pull(ctx.group("c"));
        MessageQueue queue = consumer.fetchMessageQueues(topic).iterator().next();
        consumer.assign(List.of(queue));
        AtomicInteger polled = new AtomicInteger();
        Ctx.await(Ctx.DELIVERY_MS, "20 messages", () -> polled.addAndGet(consumer.poll(200).size()) >= 20);
        consumer.commitSync(Map.of(queue, 12L), true);
        Ctx.await(15_000, "offset 12 at the broker", () -> reader.fetchConsumeOffset(queue, true) == 12);
        Check.eq(12L, (long) consumer.committed(queue), "committed");
        consumer.shutdown();
        reader.shutdown();
        DefaultLitePullConsumer next = ctx.lite(group);
        next.subscribe(topic, "*");
        next.start();
        TreeSet<String> bodies = new TreeSet<>();
        Ctx.await(Ctx.DELIVERY_MS, "8 messages", () -> {
            for (MessageExt message : next.poll(200)) {
                bodies.add(Inbox.text(message));
            }
            return bodies.size() >= 8;
        });
        Check.eq(Ctx.numbered("m", 12, 20), bodies, "messages from the committed offset on");
    }

    /** A listener hears of queues that a topic gets. */
    private static void queueChange(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 2);
        DefaultLitePullConsumer consumer = ctx.lite(ctx.group("c"));
        consumer.setTopicMetadataCheckIntervalMillis(1_000);
        consumer.start();
        AtomicReference<Set<MessageQueue>> heard = new AtomicReference<>(Set.of());
        consumer.registerTopicMessageQueueChangeListener(topic, (changed, queues) -> heard.set(queues));
        consumer.assign(consumer.fetchMessageQueues(topic));
        ctx.admin().createAndUpdateTopicConfig(ctx.brokerAddr(), new TopicConfig(topic, 5, 5, 6));
        ctx.awaitRoute(topic, 5, 6);
        Ctx.await(45_000, "word of five queues", () -> heard.get().size() == 5);
        // The application takes them over.
        consumer.assign(heard.get());
        send(ctx.producer(), topic, "m", 20);
        TreeSet<Integer> queues = new TreeSet<>();
        AtomicInteger polled = new AtomicInteger();
        Ctx.await(Ctx.DELIVERY_MS, "20 messages", () -> {
            for (MessageExt message : consumer.poll(200)) {
                queues.add(message.getQueueId());
                polled.incrementAndGet();
            }
            return polled.get() >= 20;
        });
        Check.eq(5, queues.size(), "queues read");
    }

    /** Where a lite consumer without offsets starts: first, last and by time, on a young topic. */
    private static void fromWhere(Ctx ctx) throws Exception {
        String topic = ctx.topic("t", 1);
        DefaultMQProducer producer = ctx.producer();
        send(producer, topic, "old", 5);
        Thread.sleep(1_200);
        String between = UtilAll.timeMillisToHumanString3(System.currentTimeMillis());
        Thread.sleep(1_200);
        send(producer, topic, "new", 5);
        Map<String, Integer> got = new ConcurrentHashMap<>();
        for (ConsumeFromWhere where : List.of(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET, ConsumeFromWhere.CONSUME_FROM_LAST_OFFSET, ConsumeFromWhere.CONSUME_FROM_TIMESTAMP)) {
            DefaultLitePullConsumer consumer = ctx.lite(ctx.group(where.name().replace("_", "")));
            consumer.setConsumeFromWhere(where);
            consumer.setConsumeTimestamp(between);
            consumer.subscribe(topic, "*");
            consumer.start();
            AtomicInteger polled = new AtomicInteger();
            long deadline = System.currentTimeMillis() + 12_000;
            while (System.currentTimeMillis() < deadline && polled.get() < 10) {
                polled.addAndGet(consumer.poll(200).size());
            }
            ctx.fact(where.name(), polled.get() + " of 10");
        }
    }
}
