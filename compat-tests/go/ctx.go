package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"regexp"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/admin"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

var instances atomic.Int64

// ctx is what a scenario works with: names nobody else uses, clients that are closed afterwards, facts for the report, faults.
type ctx struct {
	namesrv, broker, run, scenario string

	faults  *faults
	mutex   sync.Mutex
	closers []func()
	facts   map[string]string
	names   map[string]string
}

func newCtx(namesrv, broker, run, scenario string, faults *faults) *ctx {
	return &ctx{namesrv: namesrv, broker: broker, run: run, scenario: scenario, faults: faults,
		facts: map[string]string{}, names: map[string]string{}}
}

func (c *ctx) name(suffix string) string {
	name := "C" + c.run + "_" + strings.ReplaceAll(c.scenario, "-", "_") + "_" + suffix
	c.mutex.Lock()
	c.names[name] = "<" + suffix + ">"
	c.mutex.Unlock()
	return name
}

// ownHost is the address of this machine or container that brokers see.
func (c *ctx) ownHost() string {
	connection, err := net.Dial("tcp", c.broker)
	that(err == nil, "no connection to %s: %v", c.broker, err)
	defer func() { _ = connection.Close() }()
	return connection.LocalAddr().(*net.TCPAddr).IP.String()
}

func (c *ctx) group(suffix string) string { return c.name("g" + suffix) }

// topic creates a topic and waits until the NameServer routes it.
func (c *ctx) topic(suffix string, queues int) string {
	topic := c.name(suffix)
	c.createTopic(topic, queues)
	return topic
}

func (c *ctx) createTopic(topic string, queues int) {
	tools := c.admin()
	defer func() { _ = tools.Close() }()
	err := tools.CreateTopic(context.Background(), admin.WithTopicCreate(topic), admin.WithBrokerAddrCreate(c.broker),
		admin.WithReadQueueNums(queues), admin.WithWriteQueueNums(queues))
	must(err, "create "+topic)
	c.awaitRoute(topic, queues)
}

func (c *ctx) awaitRoute(topic string, queues int) {
	await(45*time.Second, "the route of "+topic, func() bool { return len(c.queues(topic)) == queues })
}

// queues of a topic by id, none when there is no route. A client keeps the first route it gets, so each look is a new client's.
func (c *ctx) queues(topic string) []*primitive.MessageQueue {
	tools := c.admin()
	defer func() { _ = tools.Close() }()
	queues, err := tools.FetchPublishMessageQueues(context.Background(), topic)
	if err != nil {
		return nil
	}
	sort.Slice(queues, func(i, j int) bool { return queues[i].QueueId < queues[j].QueueId })
	return queues
}

func (c *ctx) instance() string { return fmt.Sprintf("i%s%d", c.run, instances.Add(1)) }

func (c *ctx) onClose(closer func()) {
	c.mutex.Lock()
	c.closers = append(c.closers, closer)
	c.mutex.Unlock()
}

// credentials are those of the environment; none, and nothing is signed.
func (c *ctx) credentials() primitive.Credentials {
	return primitive.Credentials{AccessKey: os.Getenv("ROCKETMQ_ACCESS_KEY"), SecretKey: os.Getenv("ROCKETMQ_SECRET_KEY")}
}

func (c *ctx) resolver() primitive.NsResolver {
	return primitive.NewPassthroughResolver([]string{c.namesrv})
}

func (c *ctx) admin() admin.Admin {
	tools, err := admin.NewAdmin(admin.WithResolver(c.resolver()), admin.WithCredentials(c.credentials()))
	must(err, "admin")
	return tools
}

func (c *ctx) producer(options ...producer.Option) rocketmq.Producer {
	options = append([]producer.Option{
		producer.WithNsResolver(c.resolver()),
		producer.WithCredentials(c.credentials()),
		producer.WithGroupName(c.group("p")),
		producer.WithInstanceName(c.instance()),
		producer.WithSendMsgTimeout(10 * time.Second),
	}, options...)
	p, err := rocketmq.NewProducer(options...)
	must(err, "producer")
	must(p.Start(), "start of the producer")
	c.onClose(func() { _ = p.Shutdown() })
	return p
}

// A member is a push consumer that tells how many queues of a topic it was given.
type member struct {
	rocketmq.PushConsumer
	mutex sync.Mutex
	held  map[string]int
}

func (m *member) holds(topic string) int {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.held[topic]
}

// push makes a push consumer that is not started, from the first offset.
func (c *ctx) push(group string, options ...consumer.Option) *member {
	m := &member{held: map[string]int{}}
	strategy := func(group, client string, queues []*primitive.MessageQueue, clients []string) []*primitive.MessageQueue {
		mine := consumer.AllocateByAveragely(group, client, queues, clients)
		if len(queues) > 0 {
			m.mutex.Lock()
			m.held[queues[0].Topic] = len(mine)
			m.mutex.Unlock()
		}
		return mine
	}
	options = append([]consumer.Option{
		consumer.WithNsResolver(c.resolver()),
		consumer.WithCredentials(c.credentials()),
		consumer.WithGroupName(group),
		consumer.WithInstance(c.instance()),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
		consumer.WithStrategy(strategy),
	}, options...)
	p, err := rocketmq.NewPushConsumer(options...)
	must(err, "push consumer")
	m.PushConsumer = p
	c.onClose(func() { _ = p.Shutdown() })
	return m
}

// started subscribes and starts a push consumer.
func (c *ctx) started(group, topic, expression string, listener listener, options ...consumer.Option) *member {
	m := c.push(group, options...)
	must(m.Subscribe(topic, selector(expression), listener), "subscribe")
	must(m.Start(), "start of the push consumer")
	return m
}

// makeRetryTopic lets a first member come and go, so that the broker has the group's retry topic when the scenario's own member starts:
// this client looks for new routes every 30 s only.
func (c *ctx) makeRetryTopic(group, topic string) {
	first := c.started(group, topic, "*", newInbox().keep)
	c.awaitRoute("%RETRY%"+group, 1)
	// This client sends a second heartbeat 1 s after its start. One that Apache handles after the connection was closed enters the dead client
	// into the group again, for 120 s, and half of the queues would wait for it.
	time.Sleep(1500 * time.Millisecond)
	must(first.Shutdown(), "shutdown of the first member")
	// This client does not say goodbye; the broker learns it from the closed connection.
	time.Sleep(time.Second)
}

type listener = func(context.Context, ...*primitive.MessageExt) (consumer.ConsumeResult, error)

func selector(expression string) consumer.MessageSelector {
	return consumer.MessageSelector{Type: consumer.TAG, Expression: expression}
}

func (c *ctx) puller(group, topic, expression string) rocketmq.PullConsumer {
	p, err := rocketmq.NewPullConsumer(
		consumer.WithNsResolver(c.resolver()),
		consumer.WithCredentials(c.credentials()),
		consumer.WithGroupName(group),
		consumer.WithInstance(c.instance()),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
	)
	must(err, "pull consumer")
	must(p.Subscribe(topic, selector(expression)), "subscribe")
	must(p.Start(), "start of the pull consumer")
	c.onClose(func() { _ = p.Shutdown() })
	return p
}

// drain reads a topic from its beginning until it has so many messages. This client's pulls always wait at the end of a queue, so a queue is
// only asked while it has more; and Apache answers a send before its queue has the message, so a first look may be too early.
func (c *ctx) drain(topic string, count int) []*primitive.MessageExt {
	p := c.puller(c.group("drain"), topic, "*")
	var found []*primitive.MessageExt
	deadline := time.Now().Add(10 * time.Second)
	for {
		found = nil
		for _, queue := range c.queues(topic) {
			found = append(found, readQueue(p, queue, count-len(found))...)
		}
		if len(found) >= count || time.Now().After(deadline) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	eq(count, len(found), "messages in "+topic)
	return found
}

func readQueue(p rocketmq.PullConsumer, queue *primitive.MessageQueue, count int) (found []*primitive.MessageExt) {
	end := int64(1)
	for offset := int64(0); offset < end && len(found) < count; {
		got, err := p.PullFrom(context.Background(), queue, offset, 32)
		must(err, "pull")
		if got.Status != primitive.PullFound {
			return
		}
		for _, m := range got.GetMessageExts() {
			eq(offset, m.QueueOffset, fmt.Sprintf("queue offset in queue %d", queue.QueueId))
			offset++
			found = append(found, m)
		}
		eq(offset, got.NextBeginOffset, "next offset")
		end = got.MaxOffset
	}
	return
}

func message(topic, body string) *primitive.Message {
	return primitive.NewMessage(topic, []byte(body))
}

// await polls until a condition holds.
func await(limit time.Duration, what string, holds func() bool) {
	deadline := time.Now().Add(limit)
	for !holds() {
		if time.Now().After(deadline) {
			fail("no %s within %v", what, limit)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

var address = regexp.MustCompile(`\d+\.\d+\.\d+\.\d+:\d+`)

// fact keeps a value that the report compares between the servers.
func (c *ctx) fact(key string, value any) {
	text := fmt.Sprint(value)
	c.mutex.Lock()
	defer c.mutex.Unlock()
	names := make([]string, 0, len(c.names))
	for name := range c.names {
		names = append(names, name)
	}
	sort.Slice(names, func(i, j int) bool { return len(names[i]) > len(names[j]) })
	for _, name := range names {
		text = strings.ReplaceAll(text, name, c.names[name])
	}
	c.facts[key] = address.ReplaceAllString(text, "<addr>")
}

func (c *ctx) takeFacts() map[string]string {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	facts := map[string]string{}
	for key, value := range c.facts {
		facts[key] = value
	}
	return facts
}

func (c *ctx) close() {
	c.mutex.Lock()
	closers := c.closers
	c.closers = nil
	c.mutex.Unlock()
	for i := len(closers) - 1; i >= 0; i-- {
		quietly(closers[i])
	}
}

// quietly closes a client; one that never started panics in its shutdown.
func quietly(closer func()) {
	defer func() { _ = recover() }()
	closer()
}

// faults is the line to the runner: an order on stdout, the answer on stdin.
type faults struct {
	mutex sync.Mutex
	in    *bufio.Reader
}

// order returns what the runner says beside "done".
func (f *faults) order(order string) string {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	fmt.Fprintln(os.Stdout, "@@ "+order)
	answer, err := f.in.ReadString('\n')
	must(err, "answer of the runner")
	that(strings.HasPrefix(answer, "done"), "the runner's answer to %s: %s", order, strings.TrimSpace(answer))
	return strings.TrimSpace(strings.TrimPrefix(answer, "done"))
}

// tool asks the admin tools of 5.5.0, which the runner starts in a process of their own; see skylark.compat.Tool.
func (c *ctx) tool(words ...string) string {
	return c.faults.order("tool " + strings.Join(words, " "))
}
