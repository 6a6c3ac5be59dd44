package skylark.grpc;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.apis.consumer.SimpleConsumer;
import org.apache.rocketmq.client.apis.message.MessageView;
import org.apache.rocketmq.client.apis.producer.Producer;
import org.apache.rocketmq.client.apis.producer.SendReceipt;
import org.apache.rocketmq.client.apis.producer.Transaction;
import org.apache.rocketmq.client.apis.producer.TransactionResolution;

/** Sending: every kind of message, and what is refused. */
final class ProducerScenarios {
    private ProducerScenarios() {
    }

    static void register(Map<String, Scenarios.Scenario> all) {
        all.put("send", ProducerScenarios::send);
        all.put("send-async", ProducerScenarios::sendAsync);
        all.put("send-properties", ProducerScenarios::properties);
        all.put("send-large", ProducerScenarios::large);
        all.put("send-refused", ProducerScenarios::refused);
        all.put("delay", ProducerScenarios::delay);
        all.put("transaction", ProducerScenarios::transaction);
        all.put("transaction-check", ProducerScenarios::transactionCheck);
    }

    static void send(Ctx ctx) throws Exception {
        String topic = ctx.name("normal");
        SimpleConsumer consumer = ctx.simple(ctx.name("g"), topic);
        Ctx.settle(consumer);
        Producer producer = ctx.producer(topic);
        Set<String> ids = new HashSet<>();
        for (int i = 0; i < 20; i++) {
            SendReceipt receipt = producer.send(Ctx.plain(topic, "body " + i));
            ids.add(receipt.getMessageId().toString());
        }
        Ctx.equal("distinct ids", 20, ids.size());
        Set<String> got = new HashSet<>();
        Set<String> gotIds = new HashSet<>();
        for (MessageView view : Ctx.receive(consumer, 20)) {
            got.add(Ctx.text(view));
            gotIds.add(view.getMessageId().toString());
            Ctx.equal("topic", topic, view.getTopic());
            Ctx.equal("attempt", 1, view.getDeliveryAttempt());
        }
        Ctx.equal("bodies", 20, got.size());
        Ctx.equal("ids", ids, gotIds);
        Ctx.equal("after the acknowledgements", List.of(), consumer.receive(16, Duration.ofSeconds(10)));
    }

    static void sendAsync(Ctx ctx) throws Exception {
        String topic = ctx.name("normal");
        Producer producer = ctx.producer(topic);
        List<CompletableFuture<SendReceipt>> futures = new ArrayList<>();
        for (int i = 0; i < 300; i++) {
            futures.add(producer.sendAsync(Ctx.plain(topic, "body " + i)));
        }
        Set<String> ids = new HashSet<>();
        for (CompletableFuture<SendReceipt> future : futures) {
            ids.add(future.get(20, TimeUnit.SECONDS).getMessageId().toString());
        }
        Ctx.equal("distinct ids", 300, ids.size());
    }

    static void properties(Ctx ctx) throws Exception {
        String topic = ctx.name("normal");
        SimpleConsumer consumer = ctx.simple(ctx.name("g"), topic);
        Ctx.settle(consumer);
        Producer producer = ctx.producer(topic);
        long before = System.currentTimeMillis();
        producer.send(Ctx.message(topic, "Grüße, 世界").setTag("täg").setKeys("k1", "schlüssel-2").addProperty("a", "1")
            .addProperty("ключ", "значение = x;y").build());
        List<MessageView> views = Ctx.receive(consumer, 1);
        Ctx.equal("messages", 1, views.size());
        MessageView view = views.get(0);
        Ctx.equal("body", "Grüße, 世界", Ctx.text(view));
        Ctx.equal("tag", "täg", view.getTag().orElse(""));
        Ctx.equal("keys", List.of("k1", "schlüssel-2"), List.copyOf(view.getKeys()));
        Ctx.equal("properties", Map.of("a", "1", "ключ", "значение = x;y"), view.getProperties());
        Ctx.equal("message group", false, view.getMessageGroup().isPresent());
        Ctx.equal("delivery timestamp", false, view.getDeliveryTimestamp().isPresent());
        Ctx.check("born timestamp " + view.getBornTimestamp(), Math.abs(view.getBornTimestamp() - before) < 20_000);
        Ctx.check("born host " + view.getBornHost(), !view.getBornHost().isEmpty());
    }

    static void large(Ctx ctx) throws Exception {
        String topic = ctx.name("normal");
        SimpleConsumer consumer = ctx.simple(ctx.name("g"), topic);
        Ctx.settle(consumer);
        Producer producer = ctx.producer(topic);
        byte[] body = new byte[4 * 1024 * 1024];
        for (int i = 0; i < body.length; i++) {
            body[i] = (byte) (i * 31 >> 3);
        }
        producer.send(Ctx.PROVIDER.newMessageBuilder().setTopic(topic).setBody(body).build());
        List<MessageView> views = Ctx.receive(consumer, 1);
        Ctx.equal("messages", 1, views.size());
        byte[] got = new byte[views.get(0).getBody().remaining()];
        views.get(0).getBody().get(got);
        Ctx.check("the body came as it was", java.util.Arrays.equals(body, got));
        byte[] more = new byte[body.length + 1];
        ctx.facts.put("one byte more", Ctx.refusal(() -> producer.send(Ctx.PROVIDER.newMessageBuilder().setTopic(topic).setBody(more).build())));
    }

    static void refused(Ctx ctx) throws Exception {
        String topic = ctx.name("normal");
        Producer producer = ctx.producer(topic);
        ctx.facts.put("group on a normal topic", Ctx.refusal(() -> producer.send(Ctx.message(topic, "x").setMessageGroup("g").build())));
        ctx.facts.put("delay on a normal topic", Ctx.refusal(() ->
            producer.send(Ctx.message(topic, "x").setDeliveryTimestamp(System.currentTimeMillis() + 1000).build())));
        ctx.facts.put("unknown topic", Ctx.refusal(() -> producer.send(Ctx.plain(ctx.name("missing"), "x"))));
        ctx.facts.put("unknown topic at start", Ctx.refusal(() -> ctx.producer(ctx.name("missing"))));
        ctx.facts.put("properties too large", Ctx.refusal(() -> producer.send(Ctx.message(topic, "x").addProperty("p", "v".repeat(17_000)).build())));
        ctx.facts.put("property of the system", Ctx.refusal(() -> producer.send(Ctx.message(topic, "x").addProperty("POP_CK", "v").build())));
        ctx.facts.put("empty body", Ctx.refusal(() -> producer.send(Ctx.plain(topic, ""))));
        String delay = ctx.name("delay");
        ctx.facts.put("too long a delay", Ctx.refusal(() ->
            producer.send(Ctx.message(delay, "x").setDeliveryTimestamp(System.currentTimeMillis() + 3 * 86_400_000L).build())));
        String fifo = ctx.name("fifo");
        ctx.facts.put("long message group", Ctx.refusal(() -> producer.send(Ctx.message(fifo, "x").setMessageGroup("g".repeat(64)).build())));
        producer.send(Ctx.plain(topic, "still alive"));
    }

    static void delay(Ctx ctx) throws Exception {
        String topic = ctx.name("delay");
        SimpleConsumer consumer = ctx.simple(ctx.name("g"), topic);
        Ctx.settle(consumer);
        Producer producer = ctx.producer(topic);
        long due = System.currentTimeMillis() + 4_000;
        producer.send(Ctx.message(topic, "later").setDeliveryTimestamp(due).build());
        producer.send(Ctx.message(topic, "past").setDeliveryTimestamp(System.currentTimeMillis() - 5_000).build());
        List<MessageView> views = Ctx.receive(consumer, 2);
        long now = System.currentTimeMillis();
        Ctx.equal("messages", List.of("past", "later"), views.stream().map(Ctx::text).toList());
        Ctx.check("came at " + (now - due) + " ms from its time", now >= due - 500 && now < due + 8_000);
        Ctx.equal("delivery timestamp", due, views.get(1).getDeliveryTimestamp().orElse(0L));
    }

    static void transaction(Ctx ctx) throws Exception {
        String topic = ctx.name("tx");
        SimpleConsumer consumer = ctx.simple(ctx.name("g"), topic);
        Ctx.settle(consumer);
        Producer producer = ctx.producer(view -> TransactionResolution.UNKNOWN, topic);
        Transaction commit = producer.beginTransaction();
        producer.send(Ctx.message(topic, "committed").setTag("t").setKeys("k").addProperty("p", "q").build(), commit);
        Transaction rollback = producer.beginTransaction();
        producer.send(Ctx.plain(topic, "rolled back"), rollback);
        Ctx.equal("before the verdict", List.of(), consumer.receive(16, Duration.ofSeconds(10)));
        rollback.rollback();
        commit.commit();
        List<MessageView> views = Ctx.receive(consumer, 1);
        Ctx.equal("messages", List.of("committed"), views.stream().map(Ctx::text).toList());
        Ctx.equal("tag", "t", views.get(0).getTag().orElse(""));
        Ctx.equal("property", "q", views.get(0).getProperties().get("p"));
        ctx.facts.put("properties of a message that was asked about", new java.util.TreeSet<>(views.get(0).getProperties().keySet()).toString());
        Ctx.equal("nothing more", List.of(), consumer.receive(16, Duration.ofSeconds(10)));
    }

    static void transactionCheck(Ctx ctx) throws Exception {
        String topic = ctx.name("tx");
        SimpleConsumer consumer = ctx.simple(ctx.name("g"), topic);
        Ctx.settle(consumer);
        Map<String, Integer> checked = new ConcurrentHashMap<>();
        Producer producer = ctx.producer(view -> {
            String body = StandardCharsets.UTF_8.decode(view.getBody()).toString();
            checked.merge(body, 1, Integer::sum);
            return body.equals("commit me") ? TransactionResolution.COMMIT : TransactionResolution.ROLLBACK;
        }, topic);
        for (String body : List.of("commit me", "roll me back")) {
            producer.send(Ctx.plain(topic, body), producer.beginTransaction());
        }
        Ctx.await("both are checked", 60_000, () -> checked.size() == 2);
        Ctx.equal("messages", List.of("commit me"), Ctx.receive(consumer, 1).stream().map(Ctx::text).toList());
        Ctx.equal("nothing more", List.of(), consumer.receive(16, Duration.ofSeconds(10)));
    }
}
