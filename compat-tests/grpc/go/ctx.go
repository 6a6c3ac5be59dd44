package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"time"

	rmq "github.com/apache/rocketmq-clients/golang/v5"
	"github.com/apache/rocketmq-clients/golang/v5/credentials"
)

const delivery = 45 * time.Second

// ctx is what a scenario works with: the names the runner made for it, and clients that are closed afterwards.
type ctx struct {
	endpoints string
	prefix    string
	facts     map[string]string
	times     map[string]int64 // milliseconds
	mutex     sync.Mutex
	closers   []func() error
}

func (c *ctx) name(suffix string) string { return c.prefix + suffix }

func (c *ctx) config(group string) *rmq.Config {
	return &rmq.Config{Endpoint: c.endpoints, ConsumerGroup: group, Credentials: &credentials.SessionCredentials{
		AccessKey:    os.Getenv("ROCKETMQ_ACCESS_KEY"),
		AccessSecret: os.Getenv("ROCKETMQ_SECRET_KEY"),
	}}
}

func (c *ctx) own(stop func() error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.closers = append(c.closers, stop)
}

func (c *ctx) close() {
	for _, stop := range c.closers {
		_ = stop()
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func check(what string, holds bool) {
	if !holds {
		panic(what)
	}
}

func equal(what string, wanted, got any) {
	if !reflect.DeepEqual(wanted, got) {
		panic(fmt.Sprintf("%s: wanted %v, got %v", what, wanted, got))
	}
}

func await(what string, limit time.Duration, condition func() bool) {
	end := time.Now().Add(limit)
	for !condition() {
		check(fmt.Sprintf("not within %v: %s", limit, what), time.Now().Before(end))
		time.Sleep(20 * time.Millisecond)
	}
}

// large sends more than the client's own default of 2 MiB.
func (c *ctx) producer(topic string, options ...rmq.ProducerOption) rmq.Producer {
	options = append(options, rmq.WithTopics(topic))
	producer := must(rmq.NewProducer(c.config(""), options...))
	if err := producer.Start(); err != nil {
		panic(err)
	}
	c.own(producer.GracefulStop)
	return producer
}

func (c *ctx) simple(group, topic string, filter *rmq.FilterExpression, wait time.Duration) rmq.SimpleConsumer {
	consumer := must(rmq.NewSimpleConsumer(c.config(group),
		rmq.WithSimpleAwaitDuration(wait),
		rmq.WithSimpleSubscriptionExpressions(map[string]*rmq.FilterExpression{topic: filter})))
	if err := consumer.Start(); err != nil {
		panic(err)
	}
	c.own(consumer.GracefulStop)
	return consumer
}

func (c *ctx) push(group, topic string, listener func(*rmq.MessageView) rmq.ConsumerResult) {
	consumer := must(rmq.NewPushConsumer(c.config(group),
		rmq.WithPushAwaitDuration(5*time.Second),
		rmq.WithPushSubscriptionExpressions(map[string]*rmq.FilterExpression{topic: rmq.SUB_ALL}),
		rmq.WithPushMessageListener(&rmq.FuncMessageListener{Consume: listener})))
	if err := consumer.Start(); err != nil {
		panic(err)
	}
	c.own(consumer.GracefulStop)
}

func message(topic, body string) *rmq.Message {
	return &rmq.Message{Topic: topic, Body: []byte(body)}
}

func sendOne(producer rmq.Producer, msg *rmq.Message) string {
	receipts := must(producer.Send(context.Background(), msg))
	equal("receipts", 1, len(receipts))
	return receipts[0].MessageID
}

// receiveNow asks once; this client turns "no message" into an error.
func receiveNow(consumer rmq.SimpleConsumer, count int32, invisible time.Duration) []*rmq.MessageView {
	views, err := consumer.Receive(context.Background(), count, invisible)
	if err != nil && !strings.Contains(err.Error(), "MESSAGE_NOT_FOUND") && !strings.Contains(err.Error(), "40401") {
		panic(err)
	}
	return views
}

// receive takes and acknowledges until there are so many.
func receive(consumer rmq.SimpleConsumer, count int) []*rmq.MessageView {
	var got []*rmq.MessageView
	for end := time.Now().Add(delivery); len(got) < count && time.Now().Before(end); {
		for _, view := range receiveNow(consumer, 16, 20*time.Second) {
			got = append(got, view)
			if err := consumer.Ack(context.Background(), view); err != nil {
				panic(err)
			}
		}
	}
	return got
}

// first is the next message, which is not acknowledged.
func first(consumer rmq.SimpleConsumer, invisible time.Duration) *rmq.MessageView {
	for end := time.Now().Add(delivery); time.Now().Before(end); {
		if views := receiveNow(consumer, 1, invisible); len(views) > 0 {
			return views[0]
		}
	}
	panic("no message")
}

func bodies(views []*rmq.MessageView) []string {
	texts := []string{}
	for _, view := range views {
		texts = append(texts, string(view.GetBody()))
	}
	return texts
}

func text(value *string) string {
	if value == nil {
		return ""
	}
	return *value
}

// refusal is the code of an error; no error is a failure.
func refusal(err error) string {
	if err == nil {
		panic("not refused")
	}
	var status *rmq.ErrRpcStatus
	if errors.As(err, &status) {
		return fmt.Sprint(status.GetCode())
	}
	return "error"
}
