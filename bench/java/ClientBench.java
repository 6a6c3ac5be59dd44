// The official Apache RocketMQ Java client as a load generator, nothing but its public API.
//   java -cp <client jars> ClientBench.java <namesrvAddr> <mode> <topic> <bodyBytes> <warmupSeconds> <seconds> <n>
// mode "sync":  n threads, each sending synchronously.
// mode "async": n sends in flight from one thread.
// mode "e2e":   n messages per second, producer to push consumer in this process; latency runs from the send call to the listener.
// Prints "begin" and "end <json>" around the measured window, so that the caller can sample the server's CPU at both edges.
import java.util.Arrays;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;

public final class ClientBench {
    /** Latencies in nanoseconds, kept whole: a measured window holds a few hundred thousand of them. */
    private static final class Latencies {
        private final long[] nanos = new long[8_000_000];
        private final AtomicInteger size = new AtomicInteger();

        void add(long value) {
            int at = size.getAndIncrement();
            if (at < nanos.length) {
                nanos[at] = value;
            }
        }

        String json(double seconds, long errors, String firstError) {
            int n = Math.min(size.get(), nanos.length);
            Arrays.sort(nanos, 0, n);
            String error = firstError == null ? "null" : "\"" + firstError.replaceAll("[^ -!#-\\[\\]-~]", " ") + "\"";
            return String.format("{\"messages\":%d,\"seconds\":%.3f,\"p50Ms\":%.3f,\"p99Ms\":%.3f,\"errors\":%d,\"firstError\":%s}",
                n, seconds, at(n, 0.50), at(n, 0.99), errors, error);
        }

        private double at(int n, double quantile) {
            return n == 0 ? 0 : nanos[(int) Math.min(n - 1L, (long) (n * quantile))] / 1e6;
        }
    }

    private static final Latencies LATENCIES = new Latencies();
    private static final AtomicLong ERRORS = new AtomicLong();
    private static volatile String firstError;
    private static volatile boolean measuring;
    private static volatile boolean stopped;

    public static void main(String[] args) throws Exception {
        String namesrvAddr = args[0];
        String mode = args[1];
        String topic = args[2];
        byte[] body = new byte[Integer.parseInt(args[3])];
        Arrays.fill(body, (byte) 'x');
        long warmupMs = (long) (Double.parseDouble(args[4]) * 1000);
        long measureMs = (long) (Double.parseDouble(args[5]) * 1000);
        int n = Integer.parseInt(args[6]);

        DefaultMQProducer producer = new DefaultMQProducer("bench_producer");
        producer.setNamesrvAddr(namesrvAddr);
        producer.setRetryTimesWhenSendFailed(0);
        producer.setRetryTimesWhenSendAsyncFailed(0);
        producer.start();

        DefaultMQPushConsumer consumer = null;
        Runnable load;
        switch (mode) {
            case "sync":
                load = () -> sendSync(producer, topic, body, n);
                break;
            case "async":
                load = () -> sendAsync(producer, topic, body, n);
                break;
            case "e2e":
                consumer = startConsumer(namesrvAddr, topic);
                load = () -> sendAtRate(producer, topic, body, n);
                break;
            default:
                throw new IllegalArgumentException(mode);
        }
        Thread loader = new Thread(load);
        loader.start();
        Thread.sleep(warmupMs);
        measuring = true;
        System.out.println("begin");
        long begin = System.nanoTime();
        Thread.sleep(measureMs);
        System.out.println("measured");
        measuring = false;
        double seconds = (System.nanoTime() - begin) / 1e9;
        System.out.println("end " + LATENCIES.json(seconds, ERRORS.get(), firstError));
        stopped = true;
        loader.join(10_000);
        if (consumer != null) {
            consumer.shutdown();
        }
        producer.shutdown();
        System.exit(0);
    }

    private static void sendSync(DefaultMQProducer producer, String topic, byte[] body, int threads) {
        Thread[] senders = new Thread[threads];
        for (int i = 0; i < threads; i++) {
            senders[i] = new Thread(() -> {
                while (!stopped) {
                    long sentAt = System.nanoTime();
                    try {
                        done(producer.send(new Message(topic, "bench", body)), sentAt);
                    } catch (Exception e) {
                        failed(e);
                    }
                }
            });
            senders[i].start();
        }
        for (Thread sender : senders) {
            try {
                sender.join();
            } catch (InterruptedException e) {
                return;
            }
        }
    }

    private static void sendAsync(DefaultMQProducer producer, String topic, byte[] body, int inFlight) {
        Semaphore free = new Semaphore(inFlight);
        while (!stopped) {
            free.acquireUninterruptibly();
            long sentAt = System.nanoTime();
            send(producer, new Message(topic, "bench", body), free, result -> done(result, sentAt));
        }
    }

    /** Open loop: sends every millisecond what is due by now, however many answers are outstanding. */
    private static void sendAtRate(DefaultMQProducer producer, String topic, byte[] body, int perSecond) {
        long nanosPerMessage = 1_000_000_000L / perSecond;
        long next = System.nanoTime();
        while (!stopped) {
            long now = System.nanoTime();
            for (; next <= now && !stopped; next += nanosPerMessage) {
                long calledAt = System.nanoTime();
                byte[] stamped = body.clone();
                for (int i = 0; i < 8; i++) {
                    stamped[i] = (byte) (calledAt >>> (56 - 8 * i));
                }
                send(producer, new Message(topic, "bench", stamped), null, result -> check(result));
            }
            LockSupport.parkNanos(1_000_000);
        }
    }

    private interface OnResult {
        void accept(SendResult result);
    }

    private static void send(DefaultMQProducer producer, Message message, Semaphore free, OnResult onResult) {
        try {
            producer.send(message, new SendCallback() {
                @Override
                public void onSuccess(SendResult result) {
                    onResult.accept(result);
                    if (free != null) {
                        free.release();
                    }
                }

                @Override
                public void onException(Throwable e) {
                    failed(e);
                    if (free != null) {
                        free.release();
                    }
                }
            });
        } catch (Exception e) {
            failed(e);
            if (free != null) {
                free.release();
            }
        }
    }

    private static DefaultMQPushConsumer startConsumer(String namesrvAddr, String topic) throws Exception {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer("bench_consumer_" + topic);
        consumer.setNamesrvAddr(namesrvAddr);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_LAST_OFFSET);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            long now = System.nanoTime();
            if (measuring) {
                messages.forEach(message -> LATENCIES.add(now - stampOf(message.getBody())));
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        // The first rebalance happens within moments of start; the warm-up covers it.
        return consumer;
    }

    private static long stampOf(byte[] body) {
        long value = 0;
        for (int i = 0; i < 8; i++) {
            value = value << 8 | body[i] & 0xff;
        }
        return value;
    }

    private static void done(SendResult result, long sentAt) {
        check(result);
        if (measuring) {
            LATENCIES.add(System.nanoTime() - sentAt);
        }
    }

    private static void check(SendResult result) {
        if (result.getSendStatus() != SendStatus.SEND_OK) {
            failed(new IllegalStateException(result.getSendStatus().name()));
        }
    }

    private static void failed(Throwable e) {
        if (stopped) {
            return;
        }
        ERRORS.incrementAndGet();
        if (firstError == null) {
            firstError = String.valueOf(e);
        }
    }
}
