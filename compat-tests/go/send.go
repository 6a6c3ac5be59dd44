package main

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"sort"
	"strings"
	"sync"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

var id = regexp.MustCompile(`^[0-9A-Fa-f]{32}$`)

func send(p rocketmq.Producer, messages ...*primitive.Message) *primitive.SendResult {
	sent, err := p.SendSync(context.Background(), messages...)
	must(err, "send")
	eq(primitive.SendOK, sent.Status, "status")
	return sent
}

func sendMany(p rocketmq.Producer, topic, prefix string, from, to int) {
	for i := from; i < to; i++ {
		send(p, message(topic, fmt.Sprintf("%s%d", prefix, i)))
	}
}

// dense: the offsets of each queue, from 0 without a gap.
func dense(offsets map[int][]int64) {
	for queue, seen := range offsets {
		sort.Slice(seen, func(i, j int) bool { return seen[i] < seen[j] })
		for i, offset := range seen {
			eq(int64(i), offset, fmt.Sprintf("offset in queue %d", queue))
		}
	}
}

func sendSync(c *ctx) {
	topic := c.topic("t", 4)
	p := c.producer()
	offsets := map[int][]int64{}
	ids := map[string]bool{}
	for i := 0; i < 40; i++ {
		sent := send(p, message(topic, fmt.Sprintf("m%d", i)))
		that(id.MatchString(sent.MsgID), "msgId %s", sent.MsgID)
		that(id.MatchString(sent.OffsetMsgID), "offsetMsgId %s", sent.OffsetMsgID)
		that(!ids[sent.MsgID] && !ids[sent.OffsetMsgID], "an id came twice")
		ids[sent.MsgID], ids[sent.OffsetMsgID] = true, true
		parsed, err := primitive.UnmarshalMsgID([]byte(sent.OffsetMsgID))
		must(err, "offsetMsgId")
		eq(c.broker, fmt.Sprintf("%s:%d", parsed.Addr, parsed.Port), "broker in offsetMsgId")
		eq(topic, sent.MessageQueue.Topic, "topic")
		eq("DefaultRegion", sent.RegionID, "region")
		eq(sent.MsgID, sent.TransactionID, "transaction id")
		c.fact("traceOn", sent.TraceOn)
		c.fact("broker", sent.MessageQueue.BrokerName)
		offsets[sent.MessageQueue.QueueId] = append(offsets[sent.MessageQueue.QueueId], sent.QueueOffset)
	}
	eq(4, len(offsets), "queues used")
	dense(offsets)
	c.drain(topic, 40)
}

func sendAsync(c *ctx) {
	topic := c.topic("t", 4)
	p := c.producer()
	var done sync.WaitGroup
	var mutex sync.Mutex
	offsets := map[int][]int64{}
	var failures []error
	done.Add(200)
	for i := 0; i < 200; i++ {
		err := p.SendAsync(context.Background(), func(_ context.Context, sent *primitive.SendResult, err error) {
			defer done.Done()
			mutex.Lock()
			defer mutex.Unlock()
			if err != nil {
				failures = append(failures, err)
				return
			}
			offsets[sent.MessageQueue.QueueId] = append(offsets[sent.MessageQueue.QueueId], sent.QueueOffset)
		}, message(topic, fmt.Sprintf("m%d", i)))
		must(err, "asynchronous send")
	}
	done.Wait()
	eq(0, len(failures), fmt.Sprintf("failures %v", failures))
	dense(offsets)
	eq(numbered("m", 0, 200), sorted(bodies(c.drain(topic, 200))), "bodies stored")
}

func sendOneway(c *ctx) {
	topic := c.topic("t", 1)
	p := c.producer()
	for i := 0; i < 30; i++ {
		must(p.SendOneWay(context.Background(), message(topic, fmt.Sprintf("m%d", i))), "oneway send")
	}
	in := newInbox()
	c.started(c.group("c"), topic, "*", in.keep)
	in.exactly(30, delivery)
	eq(numbered("m", 0, 30), sorted(in.bodies()), "bodies")
}

// sendBatch: this client gives the members of a batch no unique id, so their msgId is the offset id.
func sendBatch(c *ctx) {
	topic := c.topic("t", 1)
	p := c.producer()
	send(p, message(topic, "before"))
	var batch []*primitive.Message
	for i := 0; i < 10; i++ {
		m := message(topic, strings.Repeat("b", i*100+1)).WithTag(fmt.Sprintf("Tag%d", i%3)).WithKeys([]string{fmt.Sprintf("key%d", i)})
		m.WithProperty("n", fmt.Sprintf("v%d", i))
		m.Flag = int32(i)
		batch = append(batch, m)
	}
	sent := send(p, batch...)
	eq(int64(1), sent.QueueOffset, "queue offset of the batch")
	ids := strings.Split(sent.OffsetMsgID, ",")
	eq(10, len(ids), "offsetMsgIds")
	eq(int64(11), send(p, message(topic, "after")).QueueOffset, "queue offset after the batch")
	stored := c.drain(topic, 12)
	for i := 0; i < 10; i++ {
		got := stored[i+1]
		eq(strings.Repeat("b", i*100+1), string(got.Body), "body")
		eq(fmt.Sprintf("Tag%d", i%3), got.GetTags(), "tags")
		eq(fmt.Sprintf("key%d", i), strings.TrimSpace(got.GetKeys()), "keys")
		eq(fmt.Sprintf("v%d", i), got.GetProperty("n"), "property")
		eq(int32(i), got.Flag, "flag")
		eq(ids[i], got.OffsetMsgId, "offsetMsgId")
	}
}

func sendQueue(c *ctx) {
	topic := c.topic("t", 3)
	p := c.producer(producer.WithQueueSelector(producer.NewManualQueueSelector()))
	queues := c.queues(topic)
	eq(3, len(queues), "publish queues")
	for i := 0; i < 5; i++ {
		m := message(topic, fmt.Sprintf("m%d", i))
		m.Queue = queues[2]
		sent := send(p, m)
		eq(2, sent.MessageQueue.QueueId, "queue")
		eq(int64(i), sent.QueueOffset, "offset")
	}
	m := message(topic, "m")
	m.Queue = &primitive.MessageQueue{Topic: topic, BrokerName: queues[0].BrokerName, QueueId: 99}
	_, err := p.SendSync(context.Background(), m)
	that(err != nil, "a send to queue 99 was not refused")
	c.fact("queue 99", err)
}

func compressedBody(c *ctx) {
	topic := c.topic("t", 1)
	body := []byte(strings.Repeat("All work and no play makes a dull test. ", 3000))
	send(c.producer(), primitive.NewMessage(topic, body))
	got := c.drain(topic, 1)[0]
	that(bytes.Equal(body, got.Body), "the compressed body differs")
	that(int(got.StoreSize) < len(body)/10, "stored size %d", got.StoreSize)
	c.fact("sysFlag", got.SysFlag)
}

// shape of a message's properties, without what varies from run to run.
func shape(m *primitive.MessageExt) string {
	var parts []string
	for name, value := range m.GetProperties() {
		switch {
		case name == "UNIQ_KEY" || name == "ORIGIN_MESSAGE_ID":
			value = "<id>"
		case name == "MAX_OFFSET":
			value = "<n>"
		case regexp.MustCompile(`^\d{13}$`).MatchString(value):
			value = "<time>"
		}
		parts = append(parts, name+"="+value)
	}
	return strings.Join(sorted(parts), ", ")
}

func properties(c *ctx) {
	topic := c.topic("t", 1)
	p := c.producer()
	put := map[string]string{
		"unicode":     "héllo 世界 🚀 Ж",
		"键":           "key in Chinese",
		"json":        `{"a":[1,2],"b":"c\\d"}`,
		"controls":    "tab\tnewline\nreturn\rzero\x00three\x03",
		"punctuation": `=&;,:|/\'"<>%20+`,
		"blanks":      "  x  ",
		"long":        strings.Repeat("x", 20_000),
	}
	m := message(topic, "body").WithTag("标签").WithKeys([]string{"key-ü", "key2"})
	for name, value := range put {
		m.WithProperty(name, value)
	}
	m.Flag = 0x7fffffff
	send(p, m)
	minimal := message(topic, "no properties of its own")
	minimal.Flag = -1
	send(p, minimal)
	stored := c.drain(topic, 2)
	for name, value := range put {
		eq(value, stored[0].GetProperty(name), "property "+name)
	}
	eq("标签", stored[0].GetTags(), "tags")
	eq(int32(0x7fffffff), stored[0].Flag, "flag")
	eq(int32(-1), stored[1].Flag, "negative flag")
	c.fact("properties of a plain message", shape(stored[1]))
	tooMuch := message(topic, "m")
	tooMuch.WithProperty("p", strings.Repeat("x", 32_800))
	_, err := p.SendSync(context.Background(), tooMuch)
	that(err != nil, "properties of 32,800 bytes were not refused")
	c.fact("properties of 32,800 bytes", err)
}

// oddBodies: this client lets an empty body through, so the broker's answer shows: Apache's is a NullPointerException.
func oddBodies(c *ctx) {
	topic := c.topic("t", 1)
	p := c.producer(producer.WithCompressMsgBodyOverHowmuch(1 << 30))
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	odd := [][]byte{{0}, {0xda, 0xa3, 0x20, 0xa7}, every, make([]byte, 4096), make([]byte, 65_537)}
	for _, body := range odd {
		send(p, primitive.NewMessage(topic, body))
	}
	sent, err := p.SendSync(context.Background(), primitive.NewMessage(c.topic("empty", 1), nil))
	if err != nil {
		c.fact("empty body", err)
	} else {
		c.fact("empty body", fmt.Sprintf("status %d at %d", sent.Status, sent.QueueOffset))
	}
	stored := c.drain(topic, len(odd))
	for i, body := range odd {
		that(bytes.Equal(body, stored[i].Body), "body %d differs", i)
	}
}

func hostsAndTimes(c *ctx) {
	topic := c.topic("t", 1)
	p := c.producer()
	before := time.Now().UnixMilli()
	sent := send(p, message(topic, "m"))
	after := time.Now().UnixMilli()
	got := c.drain(topic, 1)[0]
	that(strings.HasPrefix(got.BornHost, c.ownHost()+":"), "born host %s", got.BornHost)
	eq(c.broker, got.StoreHost, "store host")
	between(before, after, got.BornTimestamp, "born timestamp")
	between(before, after, got.StoreTimestamp, "store timestamp")
	eq(int32(0), got.SysFlag, "sysFlag")
	parsed, err := primitive.UnmarshalMsgID([]byte(sent.OffsetMsgID))
	must(err, "offsetMsgId")
	eq(parsed.Offset, got.CommitLogOffset, "log offset in offsetMsgId")
	that(got.BodyCRC != 0, "body CRC")
}

func noise(size int) []byte {
	body := make([]byte, size)
	state := uint32(size)
	for i := range body {
		state = state*1664525 + 1013904223
		body[i] = byte(state >> 24)
	}
	return body
}

func largeBody(c *ctx) {
	const limit = 4 << 20
	topic := c.topic("t", 1)
	p := c.producer(producer.WithCompressMsgBodyOverHowmuch(1<<30), producer.WithRetry(0))
	accepted := []int{limit - 4096, limit}
	for _, size := range accepted {
		send(p, primitive.NewMessage(topic, noise(size)))
	}
	for _, size := range []int{limit + 1, 5 << 20} {
		_, err := p.SendSync(context.Background(), primitive.NewMessage(topic, noise(size)))
		that(err != nil && strings.Contains(err.Error(), "CODE: 13,"), "a body of %d: %v", size, err)
		c.fact(fmt.Sprintf("body of %d", size), err)
	}
	for i, got := range c.drain(topic, len(accepted)) {
		that(bytes.Equal(noise(accepted[i]), got.Body), "body of %d differs", accepted[i])
	}
	eq(int64(2), send(p, message(topic, "small")).QueueOffset, "offset after the refusals")
}

func unknownTopic(c *ctx) {
	p := c.producer(producer.WithRetry(0))
	_, err := p.SendSync(context.Background(), message(c.name("missing"), "m"))
	that(err != nil, "a send to a topic nobody created was not refused")
	c.fact("no route", err)
	m := c.push(c.group("c"))
	must(m.Subscribe(c.name("missing"), selector("*"), newInbox().keep), "subscribe")
	err = m.Start()
	that(err != nil, "a consumer of a topic nobody created was not refused")
	c.fact("consumer of a missing topic", err)
}

func topicCreate(c *ctx) {
	topic := c.topic("t", 6)
	p := c.producer()
	used := map[int]bool{}
	for i := 0; i < 6; i++ {
		sent := send(p, message(topic, fmt.Sprintf("m%d", i)))
		eq(int64(0), sent.QueueOffset, "offset")
		used[sent.MessageQueue.QueueId] = true
	}
	eq(6, len(used), "queues used")
}

// topicAutoCreate: a first send creates the topic after TBW102. This client writes 4 into the header whatever WithDefaultTopicQueueNums says, and
// picks its queue by that option.
func topicAutoCreate(c *ctx) {
	for _, wish := range []int{4, 2} {
		topic := c.name(fmt.Sprintf("t%d", wish))
		p := c.producer(producer.WithDefaultTopicQueueNums(wish))
		eq(int64(0), send(p, message(topic, "m")).QueueOffset, "offset of the first message")
		c.awaitRoute(topic, 4)
	}
}
