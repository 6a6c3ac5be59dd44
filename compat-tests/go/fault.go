package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// load is a sender that never stops: what the broker acknowledged, by body.
type load struct {
	mutex        sync.Mutex
	acknowledged map[string]*primitive.SendResult
	stopped      chan struct{}
	stop         chan struct{}
}

func startLoad(p rocketmq.Producer, topic string) *load {
	l := &load{acknowledged: map[string]*primitive.SendResult{}, stop: make(chan struct{}), stopped: make(chan struct{})}
	go func() {
		defer close(l.stopped)
		for i := 0; ; i++ {
			select {
			case <-l.stop:
				return
			case <-time.After(10 * time.Millisecond):
			}
			body := fmt.Sprintf("m%d", i)
			sent, err := p.SendSync(context.Background(), message(topic, body).WithKeys([]string{fmt.Sprintf("key%d", i)}))
			if err == nil && sent.Status == primitive.SendOK {
				l.mutex.Lock()
				l.acknowledged[body] = sent
				l.mutex.Unlock()
			}
		}
	}()
	return l
}

func (l *load) size() int {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return len(l.acknowledged)
}

// brokerRestart: what was acknowledged stays, at its offset; consumers go on.
func brokerRestart(c *ctx, how string) {
	topic := c.topic("t", 4)
	p := c.producer()
	in := newInbox()
	c.started(c.group("c"), topic, "*", in.keep)
	l := startLoad(p, topic)
	await(delivery, "messages before the fault", func() bool { return in.size() > 50 })
	c.faults.order(how)
	c.awaitRoute(topic, 4)
	after := l.size()
	await(75*time.Second, "acknowledged sends after the fault", func() bool { return l.size() > after+50 })
	close(l.stop)
	<-l.stopped
	await(75*time.Second, "every acknowledged message at the consumer", func() bool {
		counts := in.counts()
		for body := range l.acknowledged {
			if counts[body] == 0 {
				return false
			}
		}
		return true
	})
	// Every acknowledged message was delivered from exactly the offset it was acknowledged at.
	at := map[string]string{}
	for _, got := range in.all() {
		at[fmt.Sprintf("%d/%d", got.Queue.QueueId, got.QueueOffset)] = string(got.Body)
	}
	for body, sent := range l.acknowledged {
		eq(body, at[fmt.Sprintf("%d/%d", sent.MessageQueue.QueueId, sent.QueueOffset)], "body at the acknowledged offset")
	}
}

func namesrvGone(c *ctx) {
	topic := c.topic("t", 4)
	p := c.producer()
	in := newInbox()
	c.started(c.group("c"), topic, "*", in.keep)
	sendMany(p, topic, "before", 0, 10)
	in.exactly(10, delivery)
	c.faults.order("stop-namesrv")
	for i := 0; i < 50; i++ {
		send(p, message(topic, fmt.Sprintf("during%d", i)))
		time.Sleep(50 * time.Millisecond)
	}
	in.exactly(60, delivery)
	c.faults.order("start-namesrv")
	c.awaitRoute(topic, 4)
	late := c.producer()
	send(late, message(topic, "late"))
	sendMany(p, topic, "after", 0, 10)
	in.exactly(71, delivery)
}
