package example;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

class OrdersTest {
    @RegisterExtension
    static final SkylarkExtension SKYLARK = new SkylarkExtension("orders");

    @Test
    void everyOrderArrivesOnce() throws Exception {
        int count = 20;
        DefaultMQProducer producer = new DefaultMQProducer("shop");
        producer.setNamesrvAddr(SKYLARK.namesrvAddr());
        producer.start();
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer("warehouse");
        try {
            Set<String> received = ConcurrentHashMap.newKeySet();
            CountDownLatch arrivals = new CountDownLatch(count);
            consumer.setNamesrvAddr(SKYLARK.namesrvAddr());
            consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
            consumer.subscribe("orders", "paid");
            consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
                messages.forEach(message -> {
                    assertTrue(received.add(new String(message.getBody(), StandardCharsets.UTF_8)));
                    arrivals.countDown();
                });
                return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
            });
            consumer.start();
            for (int i = 0; i < count; i++) {
                byte[] body = ("order " + i).getBytes(StandardCharsets.UTF_8);
                assertEquals(SendStatus.SEND_OK, producer.send(new Message("orders", "paid", body)).getSendStatus());
                producer.send(new Message("orders", "cancelled", body));
            }
            assertTrue(arrivals.await(30, TimeUnit.SECONDS), "received only " + received);
            assertEquals(count, received.size());
        } finally {
            consumer.shutdown();
            producer.shutdown();
        }
    }
}
