package skylark.compat;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/**
 * The admin tools as a process of its own, which the runner starts when a client of another version or language orders "tool ...": so the
 * operator's side is always 5.5.0. Exits with 0 when everything was as it should be; what it prints last is handed to the scenario.
 */
public final class Tool {
    private Tool() {
    }

    public static void main(String[] args) throws Exception {
        java.io.PrintStream out = System.out;
        System.setOut(System.err);
        DefaultMQAdminExt admin = new DefaultMQAdminExt(10_000);
        admin.setInstanceName("tool" + System.nanoTime());
        admin.setNamesrvAddr(args[1]);
        admin.start();
        String said;
        try {
            said = switch (args[0]) {
                case "calls" -> calls(admin, args[3], args[4], args[5], args[6], Long.parseLong(args[7]));
                case "trace" -> trace(admin, args[3], args[4], Integer.parseInt(args[5]));
                case "reset" -> reset(admin, args[3], args[4], Long.parseLong(args[5]));
                default -> throw new IllegalArgumentException("no tool " + args[0]);
            };
        } catch (Exception e) {
            out.println("failed " + e.toString().replace('\n', ' '));
            Runtime.getRuntime().halt(1);
            return;
        }
        out.println("said " + said);
        out.flush();
        Runtime.getRuntime().halt(0);
    }

    /** Running info, one message by order, the offsets as the client tells them. */
    private static String calls(DefaultMQAdminExt admin, String group, String topic, String clientId, String msgId, long consumed) throws Exception {
        var info = admin.getConsumerRunningInfo(group, clientId, false);
        TreeSet<String> topics = new TreeSet<>();
        info.getSubscriptionSet().forEach(data -> topics.add(data.getTopic()));
        Check.that(topics.contains(topic), "subscriptions of the running info: " + topics);
        Check.that(info.getMqTable().keySet().stream().anyMatch(queue -> queue.getTopic().equals(topic)), "queues of the running info: " + info.getMqTable().keySet());
        String stacks = admin.getConsumerRunningInfo(group, clientId, true).getJstack();
        Check.that(stacks != null && !stacks.isEmpty(), "stacks of the running info");
        var result = admin.consumeMessageDirectly(group, clientId, topic, msgId);
        Check.eq("CR_SUCCESS", result.getConsumeResult().name(), "result of consuming by order");
        Map<String, Map<MessageQueue, Long>> status = admin.getConsumeStatus(topic, group, clientId);
        long sum = status.getOrDefault(clientId, Map.of()).values().stream().mapToLong(Long::longValue).sum();
        Check.eq(consumed, sum, "offsets that " + clientId + " told: " + status);
        return "ok";
    }

    /** The trace records of a message, decoded as `mqadmin queryMsgTraceById` does. */
    private static String trace(DefaultMQAdminExt admin, String traceTopic, String msgId, int count) throws Exception {
        List<String> rows = new ArrayList<>();
        Ctx.await(40_000, count + " trace records", () -> {
            rows.clear();
            rows.addAll(TraceScenarios.records(() -> admin.queryMessage(traceTopic, msgId, 64, 0, System.currentTimeMillis() + 60_000), msgId));
            return rows.size() >= count;
        });
        rows.sort(null);
        return rows.toString();
    }

    private static String reset(DefaultMQAdminExt admin, String group, String topic, long timestamp) throws Exception {
        return "queues " + admin.resetOffsetByTimestamp(topic, group, timestamp, true).size();
    }
}
