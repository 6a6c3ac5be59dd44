package main

import (
	"fmt"
	"strings"
	"sync"
	"time"

	rmq "github.com/apache/rocketmq-clients/golang/v5"
)

// inbox collects what listeners see.
type inbox struct {
	mutex sync.Mutex
	seen  []string
}

func (i *inbox) add(text string) int {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	i.seen = append(i.seen, text)
	return len(i.seen)
}

func (i *inbox) all() []string {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	return append([]string{}, i.seen...)
}

func (i *inbox) distinct() map[string]int {
	counts := map[string]int{}
	for _, text := range i.all() {
		counts[text]++
	}
	return counts
}

// settle sends until the consumer has seen something, so that its group has a place in every queue.
func settle(producer rmq.Producer, topic string, probes *inbox, ordered bool) {
	begin := time.Now()
	for i := 0; len(probes.all()) == 0; i++ {
		check("the consumer sees nothing", time.Since(begin) < 2*delivery)
		msg := message(topic, fmt.Sprintf("probe %d", i))
		if ordered {
			msg.SetMessageGroup(fmt.Sprintf("probe %d", i))
		}
		sendOne(producer, msg)
		time.Sleep(500 * time.Millisecond)
	}
}

func isProbe(view *rmq.MessageView, probes *inbox) bool {
	body := string(view.GetBody())
	if !strings.HasPrefix(body, "probe") {
		return false
	}
	probes.add(body)
	return true
}

func push(c *ctx) {
	topic := c.name("normal")
	probes, got := &inbox{}, &inbox{}
	c.push(c.name("g"), topic, func(view *rmq.MessageView) rmq.ConsumerResult {
		if !isProbe(view, probes) {
			got.add(string(view.GetBody()))
		}
		return rmq.SUCCESS
	})
	producer := c.producer(topic)
	settle(producer, topic, probes, false)
	for i := 0; i < 200; i++ {
		sendOne(producer, message(topic, fmt.Sprintf("body %d", i)))
	}
	await("200 messages", delivery, func() bool { return len(got.distinct()) == 200 })
	time.Sleep(2 * time.Second)
	equal("deliveries", 200, len(got.all()))
}

// pushFirst says how long a message waits for a consumer that starts: one that is there already, the next one, one for a group that is new.
func pushFirst(c *ctx) {
	topic, group := c.name("normal"), c.name("g")
	settler := c.simple(group, topic, rmq.SUB_ALL, 5*time.Second)
	receiveNow(settler, 1, 10*time.Second)
	_ = settler.GracefulStop()
	producer := c.producer(topic)
	sendOne(producer, message(topic, "first"))
	first, next, fresh := make(chan time.Time, 64), make(chan time.Time, 64), make(chan time.Time, 4096)
	begin := time.Now()
	c.push(group, topic, func(view *rmq.MessageView) rmq.ConsumerResult {
		switch string(view.GetBody()) {
		case "first":
			first <- time.Now()
		case "next":
			next <- time.Now()
		}
		return rmq.SUCCESS
	})
	c.times["start"] = time.Since(begin).Milliseconds()
	c.times["first"] = within("the first message", first).Sub(begin).Milliseconds()
	sent := time.Now()
	sendOne(producer, message(topic, "next"))
	c.times["next"] = within("the next message", next).Sub(sent).Milliseconds()

	begin = time.Now()
	c.push(c.name("fresh"), topic, func(*rmq.MessageView) rmq.ConsumerResult {
		fresh <- time.Now()
		return rmq.SUCCESS
	})
	for i := 0; len(fresh) == 0; i++ {
		check("a new group sees nothing", i < 600)
		sendOne(producer, message(topic, fmt.Sprintf("probe %d", i)))
		time.Sleep(100 * time.Millisecond)
	}
	c.times["fresh"] = (<-fresh).Sub(begin).Milliseconds()
}

func within(what string, seen chan time.Time) time.Time {
	select {
	case at := <-seen:
		return at
	case <-time.After(60 * time.Second):
		panic("not within 60 s: " + what)
	}
}

func pushRetry(c *ctx) {
	topic := c.name("normal")
	probes, attempts := &inbox{}, &inbox{}
	c.push(c.name("g"), topic, func(view *rmq.MessageView) rmq.ConsumerResult {
		if isProbe(view, probes) || attempts.add(fmt.Sprint(view.GetDeliveryAttempt())) >= 3 {
			return rmq.SUCCESS
		}
		return rmq.FAILURE
	})
	producer := c.producer(topic)
	settle(producer, topic, probes, false)
	sendOne(producer, message(topic, "hard"))
	await("three attempts", 60*time.Second, func() bool { return len(attempts.all()) >= 3 })
	time.Sleep(3 * time.Second)
	equal("attempts", []string{"1", "2", "3"}, attempts.all())
}

func pushDlq(c *ctx) {
	topic, group := c.name("normal"), c.name("once")
	probes, attempts := &inbox{}, &inbox{}
	c.push(group, topic, func(view *rmq.MessageView) rmq.ConsumerResult {
		if isProbe(view, probes) {
			return rmq.SUCCESS
		}
		attempts.add(fmt.Sprint(view.GetDeliveryAttempt()))
		return rmq.FAILURE
	})
	producer := c.producer(topic)
	settle(producer, topic, probes, false)
	sendOne(producer, message(topic, "hopeless"))
	await("two attempts", 60*time.Second, func() bool { return len(attempts.all()) >= 2 })
	equal("dead letters", []string{"hopeless"}, deadLetters(c, group, 1))
	equal("attempts", []string{"1", "2"}, attempts.all())
}

// deadLetters reads a group's dead letters; their topic comes into being with the first.
func deadLetters(c *ctx, group string, count int) []string {
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(500 * time.Millisecond) {
		if letters := tryDeadLetters(c, group, count); letters != nil || time.Now().After(end) {
			return letters
		}
	}
}

func tryDeadLetters(c *ctx, group string, count int) (letters []string) {
	defer func() {
		if recover() != nil {
			letters = nil
		}
	}()
	return bodies(receive(c.simple(c.name("reader"), "%DLQ%"+group, rmq.SUB_ALL, 5*time.Second), count))
}

func pushSlow(c *ctx) {
	topic := c.name("normal")
	probes, attempts := &inbox{}, &inbox{}
	c.push(c.name("g"), topic, func(view *rmq.MessageView) rmq.ConsumerResult {
		if !isProbe(view, probes) {
			attempts.add(fmt.Sprint(view.GetDeliveryAttempt()))
			time.Sleep(75 * time.Second)
		}
		return rmq.SUCCESS
	})
	producer := c.producer(topic)
	settle(producer, topic, probes, false)
	sendOne(producer, message(topic, "slow"))
	await("delivery", delivery, func() bool { return len(attempts.all()) == 1 })
	time.Sleep(90 * time.Second)
	equal("deliveries", []string{"1"}, attempts.all())
}

func fifo(c *ctx) {
	topic := c.name("fifo")
	probes := &inbox{}
	got := map[string]*inbox{}
	for i := 0; i < 7; i++ {
		got[fmt.Sprintf("group-%d", i)] = &inbox{}
	}
	c.push(c.name("order"), topic, func(view *rmq.MessageView) rmq.ConsumerResult {
		if !isProbe(view, probes) {
			got[text(view.GetMessageGroup())].add(string(view.GetBody()))
		}
		return rmq.SUCCESS
	})
	producer := c.producer(topic)
	settle(producer, topic, probes, true)
	sent := map[string][]string{}
	for i := 0; i < 70; i++ {
		group, body := fmt.Sprintf("group-%d", i%7), fmt.Sprintf("body %d", i)
		msg := message(topic, body)
		msg.SetMessageGroup(group)
		sendOne(producer, msg)
		sent[group] = append(sent[group], body)
	}
	await("70 messages", 60*time.Second, func() bool {
		sum := 0
		for _, box := range got {
			sum += len(box.all())
		}
		return sum >= 70
	})
	for group, box := range got {
		equal("order of "+group, sent[group], box.all())
	}
}

func fifoRetry(c *ctx) {
	topic := c.name("fifo")
	probes, got := &inbox{}, &inbox{}
	var failed sync.Once
	c.push(c.name("order"), topic, func(view *rmq.MessageView) rmq.ConsumerResult {
		if isProbe(view, probes) {
			return rmq.SUCCESS
		}
		got.add(string(view.GetBody()))
		outcome := rmq.SUCCESS
		if string(view.GetBody()) == "b" {
			failed.Do(func() { outcome = rmq.FAILURE })
		}
		return outcome
	})
	producer := c.producer(topic)
	settle(producer, topic, probes, true)
	for _, body := range []string{"a", "b", "c", "d"} {
		msg := message(topic, body)
		msg.SetMessageGroup("one")
		sendOne(producer, msg)
	}
	await("five deliveries", 60*time.Second, func() bool { return len(got.all()) >= 5 })
	equal("order", []string{"a", "b", "b", "c", "d"}, got.all())
}
