package main

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"sync"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// pushCluster: two members join and one leaves, far quicker than the client's own 20 s: the broker tells the group.
func pushCluster(c *ctx) {
	topic := c.topic("t", 8)
	p := c.producer()
	first, second := newInbox(), newInbox()
	a := c.started(c.group("c"), topic, "*", first.keep)
	sendMany(p, topic, "alone", 0, 40)
	first.exactly(40, delivery)
	b := c.started(c.group("c"), topic, "*", second.keep)
	await(12*time.Second, "four queues for each member", func() bool { return a.holds(topic) == 4 && b.holds(topic) == 4 })
	// The strategy has spoken; the queues change hands a moment later.
	time.Sleep(1500 * time.Millisecond)
	sendMany(p, topic, "both", 0, 80)
	await(delivery, "80 messages for the two", func() bool { return first.withPrefix("both")+second.withPrefix("both") >= 80 })
	time.Sleep(500 * time.Millisecond)
	counts := first.counts()
	for body, n := range second.counts() {
		counts[body] += n
	}
	for _, body := range numbered("both", 0, 80) {
		eq(1, counts[body], "deliveries of "+body)
	}
	eq(40, first.withPrefix("both"), "messages of the first member")
	eq(40, second.withPrefix("both"), "messages of the second member")
	must(b.Shutdown(), "shutdown")
	await(12*time.Second, "all queues for the member that stayed", func() bool { return a.holds(topic) == 8 })
	before := second.size()
	sendMany(p, topic, "left", 0, 40)
	await(delivery, "40 messages for the member that stayed", func() bool { return first.withPrefix("left") >= 40 })
	time.Sleep(300 * time.Millisecond)
	eq(40, first.withPrefix("left"), "messages after the other left")
	eq(before, second.size(), "messages of the member that left")
}

func pushTwoTopics(c *ctx) {
	one, two := c.topic("one", 2), c.topic("two", 2)
	p := c.producer()
	in := newInbox()
	m := c.push(c.group("c"))
	must(m.Subscribe(one, selector("*"), in.keep), "subscribe")
	must(m.Subscribe(two, selector("yes"), in.keep), "subscribe")
	must(m.Start(), "start")
	for i := 0; i < 20; i++ {
		send(p, message(one, fmt.Sprintf("one%d", i)))
		tag := "no"
		if i%2 == 0 {
			tag = "yes"
		}
		send(p, message(two, fmt.Sprintf("two%d", i)).WithTag(tag))
	}
	in.exactly(30, delivery)
	for _, got := range in.all() {
		want := two
		if strings.HasPrefix(string(got.Body), "one") {
			want = one
		}
		eq(want, got.Topic, "topic of "+string(got.Body))
	}
}

func pushBroadcast(c *ctx) {
	topic := c.topic("t", 4)
	inboxes := []*inbox{newInbox(), newInbox()}
	for _, in := range inboxes {
		m := c.started(c.group("c"), topic, "*", in.keep, consumer.WithConsumerModel(consumer.BroadCasting))
		_ = m
	}
	p := c.producer()
	sendMany(p, topic, "m", 0, 50)
	for _, in := range inboxes {
		in.exactly(50, delivery)
		eq(numbered("m", 0, 50), sorted(in.bodies()), "messages of a member")
	}
}

// tags: "Aa" and "BB" have one String.hashCode in Java: the broker's filter cannot tell them apart, the client's must.
func tags(c *ctx) {
	topic := c.topic("t", 2)
	p := c.producer()
	inboxes := map[string]*inbox{}
	for i, expression := range []string{"*", "Aa", "TagA || TagB", "TagA||Aa", "none"} {
		in := newInbox()
		c.started(c.group(fmt.Sprintf("c%d", i)), topic, expression, in.keep)
		inboxes[expression] = in
	}
	for round := 0; round < 5; round++ {
		for _, tag := range []string{"TagA", "TagB", "TagC", "Aa", "BB", ""} {
			m := message(topic, fmt.Sprintf("%s:%d", tag, round))
			if tag != "" {
				m.WithTag(tag)
			}
			send(p, m)
		}
	}
	inboxes["*"].exactly(30, delivery)
	inboxes["Aa"].exactly(5, delivery)
	inboxes["TagA || TagB"].exactly(10, delivery)
	inboxes["TagA||Aa"].exactly(10, delivery)
	eq(numbered("Aa:", 0, 5), sorted(inboxes["Aa"].bodies()), "messages tagged Aa")
	eq(0, inboxes["none"].size(), "messages for a tag nobody sends")
}

func pushBatches(c *ctx) {
	topic := c.topic("t", 1)
	p := c.producer()
	sendMany(p, topic, "m", 0, 100)
	in := newInbox()
	c.started(c.group("c"), topic, "*", in.keep, consumer.WithPullBatchSize(24), consumer.WithConsumeMessageBatchMaxSize(10))
	in.exactly(100, delivery)
	eq(numbered("m", 0, 100), sorted(in.bodies()), "messages")
	that(in.largest <= 10, "largest call of the listener: %d", in.largest)
	puller := c.puller(c.group("p"), topic, "*")
	for _, want := range []int{1, 7, 32, 33, 64} {
		pulled, err := puller.PullFrom(context.Background(), c.queues(topic)[0], 0, want)
		must(err, "pull")
		// At most 32 messages leave in one reply, whatever is asked for.
		eq(min(want, 32), len(pulled.GetMessageExts()), fmt.Sprintf("messages of a pull of %d", want))
	}
}

// pushSuspend: this client looks again 30 s after a suspension, so the scenario only shows that nothing comes meanwhile.
func pushSuspend(c *ctx) {
	topic := c.topic("t", 2)
	p := c.producer()
	in := newInbox()
	m := c.started(c.group("c"), topic, "*", in.keep)
	sendMany(p, topic, "m", 0, 10)
	in.exactly(10, delivery)
	m.Suspend()
	sendMany(p, topic, "held", 0, 4)
	time.Sleep(time.Second)
	whileSuspended := in.size()
	sendMany(p, topic, "later", 0, 10)
	time.Sleep(1500 * time.Millisecond)
	eq(whileSuspended, in.size(), "messages received while suspended")
	m.Resume()
	in.exactly(24, 60*time.Second)
}

func pushLatency(c *ctx) {
	topic := c.topic("t", 1)
	p := c.producer()
	in := newInbox()
	c.started(c.group("c"), topic, "*", in.keep)
	send(p, message(topic, "warm"))
	await(delivery, "the first message", func() bool { return in.size() == 1 })
	var took []int64
	for i := 0; i < 21; i++ {
		time.Sleep(50 * time.Millisecond)
		send(p, message(topic, fmt.Sprintf("m%d", i)))
		await(10*time.Second, "a message", func() bool { return in.size() == i+2 })
		in.mutex.Lock()
		took = append(took, in.times[i+1].UnixMilli()-in.messages[i+1].BornTimestamp)
		in.mutex.Unlock()
	}
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	between(-5, 250, took[10], "median ms from send to listener")
}

// consumeFromWhere: a young topic is seen from its beginning by every new group; see the Java scenario.
func consumeFromWhere(c *ctx) {
	topic := c.topic("t", 1)
	p := c.producer()
	sendMany(p, topic, "old", 0, 20)
	await(5*time.Second, "20 messages", func() bool { return len(c.drain(topic, 20)) == 20 })
	var inboxes []*inbox
	for i, where := range []consumer.ConsumeFromWhere{consumer.ConsumeFromFirstOffset, consumer.ConsumeFromLastOffset, consumer.ConsumeFromTimestamp} {
		in := newInbox()
		m := c.started(c.group(fmt.Sprintf("c%d", i)), topic, "*", in.keep, consumer.WithConsumeFromWhere(where),
			consumer.WithConsumeTimestamp(time.Now().UTC().Format("20060102150405")))
		await(delivery, "the queue", func() bool { return m.holds(topic) == 1 })
		inboxes = append(inboxes, in)
	}
	sendMany(p, topic, "new", 0, 5)
	for _, in := range inboxes {
		in.exactly(25, delivery)
	}
}

func offsetPersistence(c *ctx) {
	topic := c.topic("t", 2)
	p := c.producer()
	for round := 0; round < 3; round++ {
		prefix := fmt.Sprintf("r%d-", round)
		sendMany(p, topic, prefix, 0, 10)
		in := newInbox()
		m := c.started(c.group("c"), topic, "*", in.keep)
		in.exactly(10, delivery)
		eq(numbered(prefix, 0, 10), sorted(in.bodies()), "messages of the round")
		must(m.Shutdown(), "shutdown")
	}
}

func namespace(c *ctx) {
	plain := c.name("t")
	c.createTopic("NS1%"+plain, 2)
	p := c.producer(producer.WithNamespace("NS1"))
	in := newInbox()
	c.started(c.group("c"), plain, "*", in.keep, consumer.WithNamespace("NS1"))
	sendMany(p, plain, "m", 0, 10)
	in.exactly(10, delivery)
	c.fact("topic shown to the listener", in.all()[0].Topic)
	c.drain("NS1%"+plain, 10)
}

// An orderedMember keeps the numbers of each key in the order they came.
type orderedMember struct {
	*member
	mutex sync.Mutex
	byKey map[string][]string
	count int
}

func (c *ctx) ordered(topic string) *orderedMember {
	o := &orderedMember{byKey: map[string][]string{}}
	o.member = c.started(c.group("c"), topic, "*", func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		o.mutex.Lock()
		defer o.mutex.Unlock()
		for _, got := range messages {
			key, number, _ := strings.Cut(string(got.Body), ":")
			o.byKey[key] = append(o.byKey[key], number)
			o.count++
		}
		return consumer.ConsumeSuccess, nil
	}, consumer.WithConsumerOrder(true))
	return o
}

func (o *orderedMember) received() int {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.count
}

func sendByKey(p rocketmq.Producer, topic string, keys, from, to int) {
	for i := from; i < to; i++ {
		for key := 0; key < keys; key++ {
			send(p, message(topic, fmt.Sprintf("%d:%d", key, i)).WithShardingKey(fmt.Sprint("key", key)))
		}
	}
}

func orderedSelector(c *ctx) {
	topic := c.topic("t", 4)
	p := c.producer(producer.WithQueueSelector(producer.NewHashQueueSelector()))
	o := c.ordered(topic)
	await(delivery, "four queues", func() bool { return o.holds(topic) == 4 })
	sendByKey(p, topic, 8, 0, 40)
	await(delivery, "320 messages", func() bool { return o.received() >= 320 })
	o.mutex.Lock()
	defer o.mutex.Unlock()
	var want []string
	for i := 0; i < 40; i++ {
		want = append(want, fmt.Sprint(i))
	}
	eq(8, len(o.byKey), "keys")
	for key, got := range o.byKey {
		eq(want, got, "order of key "+key)
	}
}

// orderedLockExpiry: this client does not unlock a queue that is taken from it, so the newcomer's share stands still until the broker lets
// the lock expire, 60 s after the last renewal, and the newcomer tries again.
func orderedLockExpiry(c *ctx) {
	topic := c.topic("t", 4)
	p := c.producer(producer.WithQueueSelector(producer.NewHashQueueSelector()))
	first := c.ordered(topic)
	sendByKey(p, topic, 8, 0, 1)
	await(delivery, "8 messages", func() bool { return first.received() == 8 })
	second := c.ordered(topic)
	await(delivery, "two queues for each member", func() bool { return first.holds(topic) == 2 && second.holds(topic) == 2 })
	start := time.Now()
	time.Sleep(time.Second)
	sendByKey(p, topic, 8, 1, 5)
	await(100*time.Second, "the newcomer's messages", func() bool { return first.received()+second.received() >= 40 })
	that(second.received() > 0, "the newcomer got nothing")
	between(35_000, 95_000, time.Since(start).Milliseconds(), "ms until the locks had expired")
}

func orderedSuspend(c *ctx) {
	topic := c.topic("t", 1)
	p := c.producer()
	sendMany(p, topic, "m", 0, 5)
	in := newInbox()
	var tries []int32
	c.started(c.group("c"), topic, "*", func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		if string(messages[0].Body) == "m2" && len(tries) < 3 {
			tries = append(tries, messages[0].ReconsumeTimes)
			return consumer.SuspendCurrentQueueAMoment, nil
		}
		in.add(messages...)
		return consumer.ConsumeSuccess, nil
	}, consumer.WithConsumerOrder(true), consumer.WithSuspendCurrentQueueTimeMillis(200*time.Millisecond), consumer.WithMaxReconsumeTimes(10))
	in.exactly(5, delivery)
	eq([]string{"m0", "m1", "m2", "m3", "m4"}, in.bodies(), "order with a suspended message")
	eq([]int32{0, 1, 2}, tries, "reconsume times of the suspended message")
}
