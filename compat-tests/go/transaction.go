package main

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// How often the servers of these scenarios ask; see setups.mjs.
const checksMax = 6

// A decider does what bodies say: their first word is the local transaction's outcome, what stands behind a colon the answers to checks, such
// as "unknown:unknown,commit 1".
type decider struct {
	mutex   sync.Mutex
	asked   []*primitive.MessageExt
	askedAt []time.Time
}

func (d *decider) ExecuteLocalTransaction(m *primitive.Message) primitive.LocalTransactionState {
	return stateOf(regexp.MustCompile("[: ]").Split(string(m.Body), 2)[0])
}

func (d *decider) CheckLocalTransaction(m *primitive.MessageExt) primitive.LocalTransactionState {
	d.mutex.Lock()
	d.asked = append(d.asked, m)
	d.askedAt = append(d.askedAt, time.Now())
	d.mutex.Unlock()
	answers := strings.Split(strings.Split(strings.Fields(string(m.Body))[0], ":")[1], ",")
	return stateOf(answers[min(d.times(string(m.Body)), len(answers))-1])
}

func (d *decider) times(body string) (count int) {
	for _, m := range d.all() {
		if string(m.Body) == body {
			count++
		}
	}
	return
}

func (d *decider) all() []*primitive.MessageExt {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	return append([]*primitive.MessageExt(nil), d.asked...)
}

func stateOf(word string) primitive.LocalTransactionState {
	switch word {
	case "commit":
		return primitive.CommitMessageState
	case "rollback":
		return primitive.RollbackMessageState
	default:
		return primitive.UnknowState
	}
}

// transactional makes a producer that the broker can ask. This client sends its heartbeat 1 s after its start, to the brokers it knows by then
// from a first message, and then every 30 s.
func (c *ctx) transactional(topic string, d *decider) rocketmq.TransactionProducer {
	p, err := rocketmq.NewTransactionProducer(d,
		producer.WithNsResolver(c.resolver()),
		producer.WithCredentials(c.credentials()),
		producer.WithGroupName(c.group("p")),
		producer.WithInstanceName(c.instance()),
		producer.WithSendMsgTimeout(10*time.Second),
	)
	must(err, "transaction producer")
	must(p.Start(), "start of the transaction producer")
	c.onClose(func() { _ = p.Shutdown() })
	inTransaction(p, message(topic, "rollback first"))
	time.Sleep(2 * time.Second)
	return p
}

func inTransaction(p rocketmq.TransactionProducer, m *primitive.Message) *primitive.TransactionSendResult {
	sent, err := p.SendMessageInTransaction(context.Background(), m)
	must(err, "send in a transaction")
	eq(primitive.SendOK, sent.Status, "status")
	return sent
}

var anyID = regexp.MustCompile(`[0-9A-Fa-f]{32}`)

// transactionEnds: commits arrive as they were sent, rollbacks never, and nobody is asked about either.
func transactionEnds(c *ctx) {
	topic := c.topic("t", 2)
	d := &decider{}
	p := c.transactional(topic, d)
	in := newInbox()
	c.started(c.group("c"), topic, "*", in.keep)
	sent := map[string]*primitive.TransactionSendResult{}
	for i := 0; i < 20; i++ {
		word := []string{"commit", "rollback"}[i%2]
		m := message(topic, fmt.Sprintf("%s %d", word, i)).WithTag(fmt.Sprintf("tag%d", i)).WithKeys([]string{fmt.Sprintf("key%d", i)})
		m.WithProperty("mine", "kept")
		m.Flag = 7
		result := inTransaction(p, m)
		eq(stateOf(word), result.State, "state")
		eq(result.MsgID, result.TransactionID, "transaction id")
		sent[string(m.Body)] = result
	}
	in.exactly(10, 45*time.Second)
	for _, got := range in.all() {
		body := string(got.Body)
		that(strings.HasPrefix(body, "commit"), "received %s", body)
		number := strings.Fields(body)[1]
		eq(topic, got.Topic, "topic")
		eq(sent[body].MsgID, got.MsgId, "msgId")
		eq(sent[body].MessageQueue.QueueId, got.Queue.QueueId, "queue id")
		eq("tag"+number, got.GetTags(), "tags")
		eq("key"+number, got.GetKeys(), "keys")
		eq("kept", got.GetProperty("mine"), "user property")
		eq(int32(7), got.Flag, "flag")
		c.fact("sysFlag", got.SysFlag)
		c.fact("properties", strings.NewReplacer("tag"+number, "tag", "key"+number, "key").Replace(anyID.ReplaceAllString(shape(got), "<id>")))
	}
	// Long enough for two rounds of checks.
	time.Sleep(7 * time.Second)
	eq(0, len(d.all()), "checks")
	eq(10, in.size(), "messages after the checks")
}

// transactionChecked: undecided ones are asked about until they are decided.
func transactionChecked(c *ctx) {
	topic := c.topic("t", 1)
	d := &decider{}
	p := c.transactional(topic, d)
	in := newInbox()
	c.started(c.group("c"), topic, "*", in.keep)
	begin := time.Now()
	times := map[string]int{"unknown:commit 1": 1, "unknown:rollback 2": 1, "unknown:unknown,commit 3": 2, "unknown:unknown,unknown,rollback 4": 3}
	sent := map[string]*primitive.TransactionSendResult{}
	for body := range times {
		sent[body] = inTransaction(p, message(topic, body))
	}
	await(45*time.Second, "all checks", func() bool { return len(d.all()) >= 7 })
	await(45*time.Second, "both messages", func() bool { return in.size() >= 2 })
	time.Sleep(5 * time.Second)
	eq([]string{"unknown:commit 1", "unknown:unknown,commit 3"}, sorted(in.bodies()), "messages")
	for body, count := range times {
		eq(count, d.times(body), "checks of "+body)
	}
	that(d.askedAt[0].Sub(begin) >= 3*time.Second, "asked after only %v", d.askedAt[0].Sub(begin))
	for _, asked := range d.all() {
		eq(topic, asked.Topic, "topic asked about")
		eq(sent[string(asked.Body)].MsgID, asked.TransactionId, "transaction id asked about")
	}
	eq("1", d.all()[0].GetProperty("TRANSACTION_CHECK_TIMES"), "checks, as the message tells")
	c.fact("properties asked about", anyID.ReplaceAllString(shape(d.all()[0]), "<id>"))
}

// transactionOtherProducer: when the producer that sent it is gone, another one of its group is asked.
func transactionOtherProducer(c *ctx) {
	topic := c.topic("t", 1)
	first, second := &decider{}, &decider{}
	dying := c.transactional(topic, first)
	in := newInbox()
	c.started(c.group("c"), topic, "*", in.keep)
	for i := 0; i < 4; i++ {
		inTransaction(dying, message(topic, fmt.Sprintf("unknown:commit %d", i)))
	}
	must(dying.Shutdown(), "shutdown of the first producer")
	c.transactional(topic, second)
	in.exactly(4, 45*time.Second)
	eq(0, len(first.all()), "checks that the first producer got")
	eq(4, len(second.all()), "checks that the second producer got")
}

// transactionGivenUp: after the last check a message is moved where an operator may find it.
func transactionGivenUp(c *ctx) {
	topic := c.topic("t", 1)
	d := &decider{}
	p := c.transactional(topic, d)
	in := newInbox()
	c.started(c.group("c"), topic, "*", in.keep)
	sent := inTransaction(p, message(topic, "unknown:unknown lost"))
	const givenUp = "TRANS_CHECK_MAX_TIME_TOPIC"
	await(40*time.Second, "the last check", func() bool { return len(d.all()) >= checksMax })
	c.awaitRoute(givenUp, 1)
	time.Sleep(4 * time.Second)
	reader := c.puller(c.group("d"), givenUp, "*")
	var found *primitive.MessageExt
	for _, queue := range c.queues(givenUp) {
		for _, m := range readQueue(reader, queue, 1_000) {
			if m.MsgId == sent.MsgID {
				found = m
			}
		}
	}
	that(found != nil, "the message was not given up")
	eq("unknown:unknown lost", string(found.Body), "body")
	eq(topic, found.GetProperty("REAL_TOPIC"), "real topic")
	eq(fmt.Sprint(checksMax), found.GetProperty("TRANSACTION_CHECK_TIMES"), "checks, as the message tells")
	eq(checksMax, len(d.all()), "checks")
	eq(0, in.size(), "messages received")
}

// transactionImmune: nobody is asked within the time that a message asked for.
func transactionImmune(c *ctx) {
	topic := c.topic("t", 1)
	d := &decider{}
	p := c.transactional(topic, d)
	in := newInbox()
	c.started(c.group("c"), topic, "*", in.keep)
	begin := time.Now()
	immune := message(topic, "unknown:commit immune")
	immune.WithProperty("CHECK_IMMUNITY_TIME_IN_SECONDS", "5")
	inTransaction(p, immune)
	inTransaction(p, message(topic, "unknown:commit other"))
	in.exactly(2, 45*time.Second)
	place := 0
	if string(d.all()[0].Body) != "unknown:commit immune" {
		place = 1
	}
	eq("unknown:commit immune", string(d.all()[place].Body), "one of two checks")
	between(5_000, 45_000, d.askedAt[place].Sub(begin).Milliseconds(), "ms until the immune message was asked about")
}

// transactionDelay: this client lets a delay level pass.
func transactionDelay(c *ctx) {
	topic := c.topic("t", 1)
	p := c.transactional(topic, &decider{})
	in := newInbox()
	c.started(c.group("c"), topic, "*", in.keep)
	inTransaction(p, message(topic, "commit delayed").WithDelayTimeLevel(2))
	inTransaction(p, message(topic, "commit now"))
	await(45*time.Second, "the message without a delay", func() bool { return in.counts()["commit now"] == 1 })
	time.Sleep(5 * time.Second)
	c.fact("deliveries of the delayed message", in.counts()["commit delayed"])
	that(in.counts()["commit delayed"] <= 1, "the delayed message came twice")
}

// transactionRestart: halves outlive the broker; those decided stay so, those undecided are asked about.
func transactionRestart(c *ctx, how string) {
	topic := c.topic("t", 2)
	p := c.transactional(topic, &decider{})
	in := newInbox()
	c.started(c.group("c"), topic, "*", in.keep)
	expected := map[string]bool{}
	for i := 0; i < 40; i++ {
		body := fmt.Sprintf("%s %d", []string{"commit:commit", "rollback:rollback", "unknown:commit", "unknown:rollback"}[i%4], i)
		inTransaction(p, message(topic, body))
		if i%2 == 0 {
			expected[body] = true
		}
	}
	c.faults.order(how)
	c.awaitRoute(topic, 2)
	// The first one's next heartbeat may be half a minute away, and six checks are soon over.
	c.transactional(topic, &decider{})
	all := func() bool {
		counts := in.counts()
		for body := range expected {
			if counts[body] == 0 {
				return false
			}
		}
		return true
	}
	await(90*time.Second, "all committed messages", all)
	// Long enough for what must not come.
	time.Sleep(6 * time.Second)
	for body := range in.counts() {
		that(expected[body], "received %s", body)
	}
	c.fact("messages that came twice", in.size()-len(expected))
}
