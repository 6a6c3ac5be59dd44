package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// answerer answers each request with a text made from its body; an empty one keeps silent.
type answerer struct {
	mutex    sync.Mutex
	asked    map[string]*primitive.MessageExt
	failures []error
}

func (a *answerer) request(body string) *primitive.MessageExt {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	return a.asked[body]
}

func replyTo(m *primitive.MessageExt, text string) *primitive.Message {
	reply, err := consumer.CreateReplyMessage(m, nil)
	must(err, "reply message")
	// This client forgets to set the body it is given.
	reply.Body = []byte(text)
	return reply
}

func (c *ctx) answerer(topic string, answer func(string) string) *answerer {
	a := &answerer{asked: map[string]*primitive.MessageExt{}}
	p := c.producer(producer.WithGroupName(c.group("replier")))
	m := c.started(c.group("answerer"), topic, "*", func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		for _, m := range messages {
			a.mutex.Lock()
			a.asked[string(m.Body)] = m
			a.mutex.Unlock()
			text := answer(string(m.Body))
			if text == "" {
				continue
			}
			if _, err := p.SendSync(context.Background(), replyTo(m, text)); err != nil {
				a.mutex.Lock()
				a.failures = append(a.failures, err)
				a.mutex.Unlock()
			}
		}
		return consumer.ConsumeSuccess, nil
	})
	await(delivery, "the answerer's queues", func() bool { return m.holds(topic) > 0 })
	return a
}

// asking is a producer that the broker knows: this client's first heartbeat comes late, and a reply finds its way by it.
func (c *ctx) asking(topic string) rocketmq.Producer {
	p := c.producer(producer.WithGroupName(c.group("asker")))
	send(p, message(topic, "warm"))
	time.Sleep(1500 * time.Millisecond)
	return p
}

func requestReply(c *ctx) {
	topic := c.topic("t", 2)
	a := c.answerer(topic, func(body string) string {
		if body == "warm" {
			return ""
		}
		return "answer to " + body
	})
	p := c.asking(topic)
	for i := 0; i < 20; i++ {
		body := fmt.Sprintf("q%d", i)
		reply, err := p.Request(context.Background(), 30*time.Second, message(topic, body).WithTag("tag"))
		must(err, "request "+body)
		eq("answer to "+body, string(reply.Body), "reply")
		asked := a.request(body)
		eq(asked.GetProperty("CORRELATION_ID"), reply.GetProperty("CORRELATION_ID"), "correlation id")
		that(strings.HasSuffix(reply.Topic, "_REPLY_TOPIC"), "topic of the reply %s", reply.Topic)
		eq("30", asked.GetProperty("TTL"), "time to live")
	}
	eq(0, len(a.failures), fmt.Sprintf("replies that failed: %v", a.failures))
}

func requestAsync(c *ctx) {
	topic := c.topic("t", 4)
	a := c.answerer(topic, func(body string) string {
		if body == "warm" {
			return ""
		}
		return "answer to " + body
	})
	p := c.asking(topic)
	var mutex sync.Mutex
	answers := map[string]string{}
	var failures []error
	for i := 0; i < 30; i++ {
		body := fmt.Sprintf("q%d", i)
		err := p.RequestAsync(context.Background(), 30*time.Second, func(_ context.Context, reply *primitive.Message, err error) {
			mutex.Lock()
			defer mutex.Unlock()
			if err != nil {
				failures = append(failures, err)
				return
			}
			answers[body] = string(reply.Body)
		}, message(topic, body))
		must(err, "request")
	}
	await(60*time.Second, "thirty answers", func() bool {
		mutex.Lock()
		defer mutex.Unlock()
		return len(answers) == 30 || len(failures) > 0
	})
	eq(0, len(failures), fmt.Sprintf("failed requests: %v", failures))
	for body, answer := range answers {
		eq("answer to "+body, answer, "answer")
	}
	eq(0, len(a.failures), fmt.Sprintf("replies that failed: %v", a.failures))
}

func requestRefused(c *ctx) {
	topic := c.topic("t", 1)
	a := c.answerer(topic, func(string) string { return "" })
	p := c.asking(topic)
	_, err := p.Request(context.Background(), 2*time.Second, message(topic, "silence"))
	that(err != nil, "a request nobody answers did not time out")
	await(delivery, "the request at the answerer", func() bool { return a.request("silence") != nil })
	asked := a.request("silence")
	replier := c.producer(producer.WithGroupName(c.group("late")), producer.WithRetry(0))
	sent, err := replier.SendSync(context.Background(), replyTo(asked, "too late"))
	must(err, "late reply")
	eq(primitive.SendOK, sent.Status, "status of a late reply")
	must(p.Shutdown(), "shutdown of the asker")
	time.Sleep(time.Second)
	_, err = replier.SendSync(context.Background(), replyTo(asked, "x"))
	that(err != nil, "a reply to a client that left was not refused")
	c.fact("reply to a client that left", strings.ReplaceAll(err.Error(), asked.GetProperty("REPLY_TO_CLIENT"), "<client>"))
}
