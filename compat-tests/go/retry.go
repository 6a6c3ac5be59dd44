package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// dead reads a group's dead letter queue.
func (c *ctx) dead(group string, count int) []*primitive.MessageExt {
	topic := "%DLQ%" + group
	c.awaitRoute(topic, 1)
	return c.drain(topic, count)
}

func retryProperties(c *ctx) {
	topic := c.topic("t", 1)
	group := c.group("c")
	c.makeRetryTopic(group, topic)
	p := c.producer()
	in := newInbox()
	c.started(group, topic, "*", func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		in.add(messages...)
		if messages[0].ReconsumeTimes < 2 {
			return consumer.ConsumeRetryLater, nil
		}
		return consumer.ConsumeSuccess, nil
	})
	m := message(topic, "m").WithTag("tag").WithKeys([]string{"key"})
	m.WithProperty("mine", "kept")
	m.Flag = 7
	sent := send(p, m)
	in.exactly(3, 45*time.Second)
	for i, got := range in.all() {
		eq(int32(i), in.tries[i], fmt.Sprintf("reconsume times of delivery %d", i))
		eq(topic, got.Topic, "topic shown to the listener")
		eq("tag", got.GetTags(), "tags")
		eq("kept", got.GetProperty("mine"), "user property")
		eq(int32(7), got.Flag, "flag")
		eq(sent.MsgID, got.MsgId, "msgId")
		eq("m", string(got.Body), "body")
		if i > 0 {
			eq(sent.OffsetMsgID, got.GetProperty("ORIGIN_MESSAGE_ID"), "ORIGIN_MESSAGE_ID")
			eq(topic, got.GetProperty("RETRY_TOPIC"), "RETRY_TOPIC")
		}
		c.fact(fmt.Sprintf("properties of delivery %d", i), shape(got))
	}
	// The store timestamp is the broker's own time for a retry; a busy client may see it later.
	between(2_900, 5_500, in.all()[1].StoreTimestamp-in.times[0].UnixMilli(), "ms before the first retry")
	between(900, 3_500, in.all()[2].StoreTimestamp-in.times[1].UnixMilli(), "ms before the second retry")
}

func retryToDlq(c *ctx) {
	topic := c.topic("t", 2)
	group := c.group("c")
	c.makeRetryTopic(group, topic)
	p := c.producer()
	in := newInbox()
	c.started(group, topic, "*", func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		in.add(messages...)
		if strings.HasPrefix(string(messages[0].Body), "bad") {
			return consumer.ConsumeRetryLater, nil
		}
		return consumer.ConsumeSuccess, nil
	}, consumer.WithMaxReconsumeTimes(2))
	bad := send(p, message(topic, "bad").WithTag("tag").WithKeys([]string{"bad-key"}))
	sendMany(p, topic, "good", 0, 5)
	letter := c.dead(group, 1)[0]
	eq(3, in.counts()["bad"], "deliveries of the failing message")
	eq(8, in.size(), "all deliveries")
	eq("bad", string(letter.Body), "body in the DLQ")
	eq(topic, letter.GetProperty("RETRY_TOPIC"), "RETRY_TOPIC")
	eq(bad.OffsetMsgID, letter.GetProperty("ORIGIN_MESSAGE_ID"), "ORIGIN_MESSAGE_ID")
	eq("tag", letter.GetTags(), "tags")
	c.fact("dead letter", shape(letter))
	c.fact("reconsume times", letter.ReconsumeTimes)
}

func retryDelayLevel(c *ctx) {
	topic := c.topic("t", 1)
	group := c.group("c")
	c.makeRetryTopic(group, topic)
	p := c.producer()
	in := newInbox()
	c.started(group, topic, "*", func(ctx context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		in.add(messages...)
		settings, _ := primitive.GetConcurrentlyCtx(ctx)
		if string(messages[0].Body) == "bury" {
			settings.DelayLevelWhenNextConsume = -1
			return consumer.ConsumeRetryLater, nil
		}
		if messages[0].ReconsumeTimes == 0 {
			settings.DelayLevelWhenNextConsume = 2
			return consumer.ConsumeRetryLater, nil
		}
		return consumer.ConsumeSuccess, nil
	})
	send(p, message(topic, "later"))
	send(p, message(topic, "bury"))
	in.exactly(3, 45*time.Second)
	var later []int
	for i, body := range in.bodies() {
		if body == "later" {
			later = append(later, i)
		}
	}
	eq(2, len(later), "deliveries of the retried message")
	between(1_900, 4_500, in.all()[later[1]].StoreTimestamp-in.times[later[0]].UnixMilli(), "ms before a retry at level 2")
	eq("bury", string(c.dead(group, 1)[0].Body), "message in the DLQ")
}

func delayLevels(c *ctx) {
	levels(c, map[int]int64{0: 0, 1: 1_000, 2: 2_000, 3: 3_000, 18: 4_000, 99: 4_000})
}

func delayLevelsDefault(c *ctx) {
	levels(c, map[int]int64{1: 1_000, 2: 5_000, 3: 10_000})
}

func levels(c *ctx, expected map[int]int64) {
	topic := c.topic("t", 1)
	group := strictGroup(c)
	p := c.producer()
	in := newInbox()
	c.started(group, topic, "*", in.keep)
	ids := map[string]string{}
	for level := range expected {
		body := fmt.Sprintf("level%d", level)
		m := message(topic, body).WithTag("tag")
		if level > 0 {
			m.WithDelayTimeLevel(level)
		}
		ids[body] = send(p, m).MsgID
	}
	in.exactly(len(expected), 45*time.Second)
	var offsets []int64
	for _, got := range in.all() {
		var level int
		_, err := fmt.Sscanf(string(got.Body), "level%d", &level)
		must(err, "body "+string(got.Body))
		// When the broker let it out; a busy client may see it later.
		between(expected[level], expected[level]+1_500, got.StoreTimestamp-got.BornTimestamp, fmt.Sprintf("ms until level %d", level))
		eq(topic, got.Topic, "topic")
		eq("tag", got.GetTags(), "tags")
		eq(ids[string(got.Body)], got.MsgId, "msgId")
		offsets = append(offsets, got.QueueOffset)
		c.fact("properties of "+string(got.Body), shape(got))
	}
	// Two that are due together may reach the listener in either order.
	dense(map[int][]int64{0: offsets})
}

// strictGroup: this client cannot create groups, so on the server without auto-creation its consumers use one that every broker has.
func strictGroup(c *ctx) string {
	if c.scenario == "delay-levels-default" {
		return "SELF_TEST_C_GROUP"
	}
	return c.group("c")
}
