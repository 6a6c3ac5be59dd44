package main

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// delivery is how long a message may take to a consumer that has just started: this client balances once at its start and then every 20 s, and when
// the first time came before the broker knew it, its queues wait for the second, against either server.
const delivery = 45 * time.Second

// inbox is what one consumer received, in the order of its listener's calls.
type inbox struct {
	mutex    sync.Mutex
	messages []*primitive.MessageExt
	// Copied at arrival: the client goes on changing a message it delivers again.
	tries   []int32
	times   []time.Time
	largest int
}

func newInbox() *inbox { return &inbox{} }

func (in *inbox) add(messages ...*primitive.MessageExt) {
	in.mutex.Lock()
	defer in.mutex.Unlock()
	in.largest = max(in.largest, len(messages))
	for _, message := range messages {
		in.messages = append(in.messages, message)
		in.tries = append(in.tries, message.ReconsumeTimes)
		in.times = append(in.times, time.Now())
	}
}

// keep is a listener that keeps everything and succeeds.
func (in *inbox) keep(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
	in.add(messages...)
	return consumer.ConsumeSuccess, nil
}

func (in *inbox) size() int {
	in.mutex.Lock()
	defer in.mutex.Unlock()
	return len(in.messages)
}

func (in *inbox) all() []*primitive.MessageExt {
	in.mutex.Lock()
	defer in.mutex.Unlock()
	return append([]*primitive.MessageExt(nil), in.messages...)
}

func (in *inbox) bodies() []string { return bodies(in.all()) }

// counts says how often each body came.
func (in *inbox) counts() map[string]int {
	counts := map[string]int{}
	for _, body := range in.bodies() {
		counts[body]++
	}
	return counts
}

func (in *inbox) withPrefix(prefix string) int {
	count := 0
	for _, body := range in.bodies() {
		if strings.HasPrefix(body, prefix) {
			count++
		}
	}
	return count
}

// exactly waits for so many messages, then a little longer, so that surplus ones show.
func (in *inbox) exactly(count int, limit time.Duration) {
	deadline := time.Now().Add(limit)
	for in.size() < count {
		if time.Now().After(deadline) {
			fail("no %d messages within %v, only %d", count, limit, in.size())
		}
		time.Sleep(20 * time.Millisecond)
	}
	time.Sleep(300 * time.Millisecond)
	eq(count, in.size(), "messages received")
}

func bodies(messages []*primitive.MessageExt) []string {
	found := make([]string, 0, len(messages))
	for _, message := range messages {
		found = append(found, string(message.Body))
	}
	return found
}

func sorted(values []string) []string {
	sort.Strings(values)
	return values
}

func numbered(prefix string, from, to int) []string {
	var names []string
	for i := from; i < to; i++ {
		names = append(names, fmt.Sprintf("%s%d", prefix, i))
	}
	return sorted(names)
}
