package main

import (
	"context"
	"fmt"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

func bySQL(expression string) consumer.MessageSelector {
	return consumer.MessageSelector{Type: consumer.SQL92, Expression: expression}
}

// sendNumbered: message i has the properties n = i, half = i + 0.5 and even = true or false; every fifth has none of them.
func sendNumbered(p rocketmq.Producer, topic string, from, to int) {
	for i := from; i < to; i++ {
		m := message(topic, fmt.Sprintf("m%d", i)).WithTag(fmt.Sprintf("tag%d", i%2))
		if i%5 != 4 {
			m.WithProperty("n", fmt.Sprint(i))
			m.WithProperty("half", fmt.Sprintf("%d.5", i))
			m.WithProperty("even", fmt.Sprint(i%2 == 0))
		}
		send(p, m)
	}
}

func wanted(from, to int, holds func(i int) bool) []string {
	var names []string
	for i := from; i < to; i++ {
		if holds(i) {
			names = append(names, fmt.Sprintf("m%d", i))
		}
	}
	return sorted(names)
}

// sqlPush: types, unknown and errors, one group for each expression.
func sqlPush(c *ctx) {
	topic := c.topic("t", 2)
	p := c.producer()
	sendNumbered(p, topic, 0, 20)
	set := func(i int) bool { return i%5 != 4 }
	cases := []struct {
		sql   string
		holds func(i int) bool
	}{
		{"n BETWEEN 5 AND 25 AND even = TRUE", func(i int) bool { return set(i) && i >= 5 && i <= 25 && i%2 == 0 }},
		{"half < 7.5 OR half > 30.5", func(i int) bool { return set(i) && (i < 7 || i > 30) }},
		{"n IS NULL OR even IN ('true')", func(i int) bool { return !set(i) || i%2 == 0 }},
		{"missing > 1 OR TAGS = 'tag1'", func(i int) bool { return i%2 == 1 }},
		{"half > 5 OR n = 3", func(i int) bool { return false }},
	}
	inboxes := make([]*inbox, len(cases))
	for i, one := range cases {
		inboxes[i] = newInbox()
		m := c.push(c.group(fmt.Sprintf("c%d", i)))
		must(m.Subscribe(topic, bySQL(one.sql), inboxes[i].keep), "subscribe")
		must(m.Start(), "start")
	}
	time.Sleep(time.Second)
	sendNumbered(p, topic, 20, 40)
	for i, one := range cases {
		want := wanted(0, 40, one.holds)
		inboxes[i].exactly(len(want), 45*time.Second)
		eq(fmt.Sprint(want), fmt.Sprint(sorted(inboxes[i].bodies())), "messages by "+one.sql)
	}
}

// sqlRetry: a message that failed comes back through the retry topic, which has no filter of its own.
func sqlRetry(c *ctx) {
	topic, group := c.topic("t", 1), c.group("c")
	c.makeRetryTopic(group, topic)
	p := c.producer()
	in := newInbox()
	m := c.push(group)
	must(m.Subscribe(topic, bySQL("n < 2"), func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		in.add(messages...)
		if messages[0].ReconsumeTimes == 0 {
			return consumer.ConsumeRetryLater, nil
		}
		return consumer.ConsumeSuccess, nil
	}), "subscribe")
	must(m.Start(), "start")
	sendNumbered(p, topic, 0, 10)
	in.exactly(4, 45*time.Second)
	eq("map[m0:2 m1:2]", fmt.Sprint(in.counts()), "deliveries")
}

// sqlWrong: this client asks no broker before it starts; with a wrong expression it never gets a message.
func sqlWrong(c *ctx) {
	topic := c.topic("t", 1)
	in, right := newInbox(), newInbox()
	m := c.push(c.group("wrong"))
	must(m.Subscribe(topic, bySQL("n > 5 AND ("), in.keep), "subscribe")
	must(m.Start(), "start")
	other := c.push(c.group("right"))
	must(other.Subscribe(topic, bySQL("n > 5"), right.keep), "subscribe")
	must(other.Start(), "start")
	sendNumbered(c.producer(), topic, 0, 10)
	right.exactly(3, 45*time.Second)
	time.Sleep(2 * time.Second)
	eq(0, in.size(), "messages by a wrong expression")
}
