package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
)

func pulled(p interface {
	PullFrom(context.Context, *primitive.MessageQueue, int64, int) (*primitive.PullResult, error)
}, queue *primitive.MessageQueue, offset int64, count int) *primitive.PullResult {
	got, err := p.PullFrom(context.Background(), queue, offset, count)
	must(err, "pull")
	return got
}

func pullShape(got *primitive.PullResult, status primitive.PullStatus, next, low, high int64, what string) {
	eq(status, got.Status, what+": status")
	eq(next, got.NextBeginOffset, what+": next offset")
	eq(low, got.MinOffset, what+": min offset")
	eq(high, got.MaxOffset, what+": max offset")
}

func pullStatus(c *ctx) {
	topic := c.topic("t", 1)
	queue := c.queues(topic)[0]
	p := c.puller(c.group("c"), topic, "*")
	pullShape(pulled(p, queue, 5, 32), primitive.PullOffsetIllegal, 0, 0, 0, "empty queue at 5")
	sendMany(c.producer(), topic, "m", 0, 50)
	await(5*time.Second, "50 messages", func() bool { return pulled(p, queue, 0, 1).MaxOffset == 50 })
	got := pulled(p, queue, 0, 10)
	pullShape(got, primitive.PullFound, 10, 0, 50, "pull of 10 at 0")
	eq(10, len(got.GetMessageExts()), "messages")
	got = pulled(p, queue, 45, 10)
	pullShape(got, primitive.PullFound, 50, 0, 50, "pull of 10 at 45")
	for i, m := range got.GetMessageExts() {
		eq(fmt.Sprintf("m%d", 45+i), string(m.Body), "body")
		eq(int64(45+i), m.QueueOffset, "queue offset")
	}
	pullShape(pulled(p, queue, 51, 10), primitive.PullOffsetIllegal, 50, 0, 50, "pull one past the end")
	pullShape(pulled(p, queue, 1_000_000, 10), primitive.PullOffsetIllegal, 50, 0, 50, "pull far past the end")
	_, err := p.PullFrom(context.Background(), &primitive.MessageQueue{Topic: topic, BrokerName: queue.BrokerName, QueueId: 7}, 0, 10)
	that(err != nil, "a pull from queue 7 was not refused")
	c.fact("queue 7", err)
}

func pullTags(c *ctx) {
	topic := c.topic("t", 1)
	queue := c.queues(topic)[0]
	p := c.producer()
	for i := 0; i < 40; i++ {
		tag := "early"
		if i >= 20 {
			tag = "late"
		}
		send(p, message(topic, fmt.Sprintf("m%d", i)).WithTag(tag))
	}
	early, late, never := c.puller(c.group("a"), topic, "early"), c.puller(c.group("b"), topic, "late"), c.puller(c.group("n"), topic, "never")
	await(5*time.Second, "40 messages", func() bool { return pulled(early, queue, 0, 1).MaxOffset == 40 })
	got := pulled(early, queue, 0, 32)
	eq(20, len(got.GetMessageExts()), "messages tagged early")
	eq(int64(40), got.NextBeginOffset, "next offset after the scan")
	got = pulled(late, queue, 0, 5)
	eq(5, len(got.GetMessageExts()), "messages tagged late")
	eq("m20", string(got.GetMessageExts()[0].Body), "first message tagged late")
	eq(int64(25), got.NextBeginOffset, "next offset after five")
	pullShape(pulled(never, queue, 0, 32), primitive.PullNoMsgMatched, 40, 0, 40, "a tag that nobody sent")
}

func pullLongPolling(c *ctx) {
	topic := c.topic("t", 1)
	queue := c.queues(topic)[0]
	producer := c.producer()
	send(producer, message(topic, "first"))
	p := c.puller(c.group("c"), topic, "*")
	// The arrival answers a held pull. A busy machine may hold up one of three answers, but not all of them.
	fastest := int64(math.MaxInt64)
	for i := int64(1); i <= 3; i++ {
		held := make(chan *primitive.PullResult, 1)
		go func() {
			got, err := p.PullFrom(context.Background(), queue, i, 10)
			if err == nil {
				held <- got
			}
		}()
		time.Sleep(500 * time.Millisecond)
		that(len(held) == 0, "the pull is held")
		sent := time.Now()
		send(producer, message(topic, fmt.Sprint("held", i)))
		select {
		case got := <-held:
			fastest = min(fastest, time.Since(sent).Milliseconds())
			pullShape(got, primitive.PullFound, i+1, 0, i+1, "the held pull")
			eq(fmt.Sprint("held", i), string(got.GetMessageExts()[0].Body), "message of the held pull")
		case <-time.After(5 * time.Second):
			fail("the held pull was not answered")
		}
	}
	between(0, 500, fastest, "ms from send to the held pull's answer, the fastest of three")
}

func pullOffsets(c *ctx) {
	topic := c.topic("t", 4)
	sendMany(c.producer(), topic, "m", 0, 20)
	p := c.puller(c.group("c"), topic, "*")
	queues := c.queues(topic)
	// The client forgets the offset of a queue when it is given to it, so that has to be over.
	time.Sleep(2 * time.Second)
	for _, queue := range queues {
		must(p.UpdateOffset(queue, int64(queue.QueueId+1)), "offset")
	}
	must(p.PersistOffset(context.Background(), topic), "persist")
	// The commits are oneway.
	time.Sleep(time.Second)
	must(p.Shutdown(), "shutdown")
	later := c.puller(c.group("c"), topic, "*")
	for _, queue := range queues {
		offset, err := later.CurrentOffset(queue)
		must(err, "offset")
		eq(int64(queue.QueueId+1), offset, fmt.Sprintf("offset of queue %d", queue.QueueId))
	}
}
