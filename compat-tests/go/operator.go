package main

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// clientID of a push consumer, which this client does not show: the instance is its last part, so the broker's list could tell it as well.
func clientID(m *member) string {
	client := reflect.Indirect(reflect.ValueOf(m.PushConsumer)).FieldByName("defaultConsumer").Elem().FieldByName("client")
	return client.Elem().Elem().FieldByName("option").FieldByName("ClientIP").String() + "@" +
		client.Elem().Elem().FieldByName("option").FieldByName("InstanceName").String()
}

// adminCalls: the admin tools of 5.5.0 ask this client by way of the broker, and reset it.
func adminCalls(c *ctx) {
	topic := c.topic("t", 2)
	group := c.group("c")
	c.makeRetryTopic(group, topic)
	p := c.producer()
	in := newInbox()
	m := c.started(group, topic, "*", in.keep)
	await(delivery, "two queues", func() bool { return m.holds(topic) == 2 })
	var ids []string
	for i := 0; i < 10; i++ {
		ids = append(ids, send(p, message(topic, fmt.Sprintf("m%d", i))).OffsetMsgID)
	}
	in.exactly(10, delivery)
	c.tool("calls", c.namesrv, c.broker, group, topic, clientID(m), ids[3], "10")
	eq(11, in.size(), "deliveries after one message was consumed by order")
	eq("m3", string(in.all()[10].Body), "message consumed by order")
	c.tool("reset", c.namesrv, c.broker, group, topic, "0")
	await(90*time.Second, "all messages again after the reset", func() bool { return in.size() >= 21 })
	time.Sleep(time.Second)
	again := map[string]bool{}
	for _, body := range in.bodies()[11:] {
		again[body] = true
	}
	eq(10, len(again), "messages after the reset")
}

// resetByClients: the broker tells this client its new offsets.
func resetByClients(c *ctx) {
	topic := c.topic("t", 2)
	group := c.group("c")
	c.makeRetryTopic(group, topic)
	p := c.producer()
	in := newInbox()
	m := c.started(group, topic, "*", in.keep)
	await(delivery, "two queues", func() bool { return m.holds(topic) == 2 })
	sendMany(p, topic, "m", 0, 10)
	in.exactly(10, delivery)
	// The client carries its offsets to the broker every 5 s; without one the broker does not know the group.
	time.Sleep(6 * time.Second)
	eq("queues 2", c.tool("reset", c.namesrv, c.broker, group, topic, "0"), "answer to the reset")
	await(90*time.Second, "all messages again after the reset", func() bool { return in.size() >= 20 })
}

// traceOwnTopic: what traced clients of this kind write is found and decoded by the Java tools.
func traceOwnTopic(c *ctx) {
	topic, traceTopic := c.topic("t", 1), c.topic("trace", 1)
	config := &primitive.TraceConfig{TraceTopic: traceTopic, Access: primitive.Local, Resolver: c.resolver()}
	p := c.producer(producer.WithTrace(config))
	in := newInbox()
	c.started(c.group("c"), topic, "*", in.keep, consumer.WithTrace(config))
	sent, err := p.SendSync(context.Background(), message(topic, "body").WithTag("tag").WithKeys([]string{"key"}))
	must(err, "send")
	that(sent.TraceOn, "trace switch in the answer to the send")
	in.exactly(1, 45*time.Second)
	rows := c.tool("trace", c.namesrv, c.broker, traceTopic, sent.MsgID, "3")
	c.fact("records", strings.TrimSpace(rows))
}
