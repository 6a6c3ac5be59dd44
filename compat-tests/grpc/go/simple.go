package main

import (
	"context"
	"fmt"
	"sort"
	"time"

	rmq "github.com/apache/rocketmq-clients/golang/v5"
)

func send(c *ctx) {
	topic := c.name("normal")
	consumer := c.simple(c.name("g"), topic, rmq.SUB_ALL, 5*time.Second)
	receiveNow(consumer, 1, 10*time.Second)
	producer := c.producer(topic)
	ids := map[string]bool{}
	for i := 0; i < 20; i++ {
		ids[sendOne(producer, message(topic, "body "+string(rune('a'+i))))] = true
	}
	equal("distinct ids", 20, len(ids))
	got := map[string]bool{}
	for _, view := range receive(consumer, 20) {
		check("a known id", ids[view.GetMessageId()])
		equal("attempt", int32(1), view.GetDeliveryAttempt())
		got[string(view.GetBody())] = true
	}
	equal("bodies", 20, len(got))
	equal("after the acknowledgements", 0, len(receiveNow(consumer, 16, 10*time.Second)))
}

func sendProperties(c *ctx) {
	topic := c.name("normal")
	consumer := c.simple(c.name("g"), topic, rmq.SUB_ALL, 5*time.Second)
	receiveNow(consumer, 1, 10*time.Second)
	msg := message(topic, "Grüße, 世界")
	msg.SetTag("täg")
	msg.SetKeys("k1", "schlüssel-2")
	msg.AddProperty("a", "1")
	msg.AddProperty("ключ", "значение = x;y")
	sendOne(c.producer(topic), msg)
	views := receive(consumer, 1)
	equal("messages", 1, len(views))
	view := views[0]
	equal("body", "Grüße, 世界", string(view.GetBody()))
	equal("tag", "täg", text(view.GetTag()))
	equal("keys", []string{"k1", "schlüssel-2"}, view.GetKeys())
	equal("properties", map[string]string{"a": "1", "ключ": "значение = x;y"}, view.GetProperties())
	check("born host", text(view.GetBornHost()) != "")
}

func sendLarge(c *ctx) {
	topic := c.name("normal")
	consumer := c.simple(c.name("g"), topic, rmq.SUB_ALL, 5*time.Second)
	receiveNow(consumer, 1, 10*time.Second)
	// What the client itself allows by default.
	body := make([]byte, 2*1024*1024-4096)
	for i := range body {
		body[i] = byte(i * 31 >> 3)
	}
	producer := c.producer(topic)
	sendOne(producer, message(topic, string(body)))
	views := receive(consumer, 1)
	equal("messages", 1, len(views))
	check("the body came as it was", string(views[0].GetBody()) == string(body))
}

func sendRefused(c *ctx) {
	topic := c.name("normal")
	producer := c.producer(topic)
	try := func(what string, msg *rmq.Message) {
		_, err := producer.Send(context.Background(), msg)
		c.facts[what] = refusal(err)
	}
	grouped := message(topic, "x")
	grouped.SetMessageGroup("g")
	try("group on a normal topic", grouped)
	delayed := message(topic, "x")
	delayed.SetDelayTimestamp(time.Now().Add(time.Second))
	try("delay on a normal topic", delayed)
	try("unknown topic", message(c.name("missing"), "x"))
	reserved := message(topic, "x")
	reserved.AddProperty("POP_CK", "v")
	try("property of the system", reserved)
	sendOne(producer, message(topic, "still alive"))
}

func delay(c *ctx) {
	topic := c.name("delay")
	consumer := c.simple(c.name("g"), topic, rmq.SUB_ALL, 5*time.Second)
	receiveNow(consumer, 1, 10*time.Second)
	producer := c.producer(topic)
	due := time.Now().Add(4 * time.Second)
	msg := message(topic, "later")
	msg.SetDelayTimestamp(due)
	sendOne(producer, msg)
	views := receive(consumer, 1)
	equal("messages", []string{"later"}, bodies(views))
	late := time.Since(due)
	check("came at "+late.String()+" from its time", late > -500*time.Millisecond && late < 10*time.Second)
}

func transaction(c *ctx) {
	topic := c.name("tx")
	consumer := c.simple(c.name("g"), topic, rmq.SUB_ALL, 5*time.Second)
	receiveNow(consumer, 1, 10*time.Second)
	producer := c.producer(topic, rmq.WithTransactionChecker(&rmq.TransactionChecker{
		Check: func(*rmq.MessageView) rmq.TransactionResolution { return rmq.UNKNOWN },
	}))
	begin := func(body string) rmq.Transaction {
		transaction := producer.BeginTransaction()
		must(producer.SendWithTransaction(context.Background(), message(topic, body), transaction))
		return transaction
	}
	commit, rollback := begin("committed"), begin("rolled back")
	equal("before the verdict", 0, len(receiveNow(consumer, 16, 10*time.Second)))
	must(0, rollback.RollBack())
	must(0, commit.Commit())
	equal("messages", []string{"committed"}, bodies(receive(consumer, 1)))
	equal("nothing more", 0, len(receiveNow(consumer, 16, 10*time.Second)))
}

func transactionCheck(c *ctx) {
	topic := c.name("tx")
	consumer := c.simple(c.name("g"), topic, rmq.SUB_ALL, 5*time.Second)
	receiveNow(consumer, 1, 10*time.Second)
	checked := inbox{}
	producer := c.producer(topic, rmq.WithTransactionChecker(&rmq.TransactionChecker{
		Check: func(view *rmq.MessageView) rmq.TransactionResolution {
			checked.add(string(view.GetBody()))
			if string(view.GetBody()) == "commit me" {
				return rmq.COMMIT
			}
			return rmq.ROLLBACK
		},
	}))
	for _, body := range []string{"commit me", "roll me back"} {
		must(producer.SendWithTransaction(context.Background(), message(topic, body), producer.BeginTransaction()))
	}
	await("both are checked", 60*time.Second, func() bool { return len(checked.distinct()) == 2 })
	equal("messages", []string{"commit me"}, bodies(receive(consumer, 1)))
	equal("nothing more", 0, len(receiveNow(consumer, 16, 10*time.Second)))
}

func simpleRedelivery(c *ctx) {
	topic := c.name("normal")
	consumer := c.simple(c.name("g"), topic, rmq.SUB_ALL, 5*time.Second)
	receiveNow(consumer, 1, 10*time.Second)
	sendOne(c.producer(topic), message(topic, "again"))
	one := first(consumer, 10*time.Second)
	begin := time.Now()
	two := first(consumer, 30*time.Second)
	waited := time.Since(begin)
	check("came back after "+waited.String(), waited > 8*time.Second && waited < 25*time.Second)
	equal("attempt", int32(2), two.GetDeliveryAttempt())
	equal("id", one.GetMessageId(), two.GetMessageId())
	must(0, consumer.Ack(context.Background(), two))
	equal("after the acknowledgement", 0, len(receiveNow(consumer, 16, 10*time.Second)))
}

func simpleChangeInvisible(c *ctx) {
	topic := c.name("normal")
	consumer := c.simple(c.name("g"), topic, rmq.SUB_ALL, 5*time.Second)
	receiveNow(consumer, 1, 10*time.Second)
	sendOne(c.producer(topic), message(topic, "hidden"))
	view := first(consumer, 60*time.Second)
	begin := time.Now()
	must(0, consumer.ChangeInvisibleDuration(view, 5*time.Second))
	again := first(consumer, 60*time.Second)
	waited := time.Since(begin)
	check("came back after "+waited.String(), waited > 4*time.Second && waited < 20*time.Second)
	equal("attempt", int32(2), again.GetDeliveryAttempt())
	must(0, consumer.ChangeInvisibleDuration(again, 60*time.Second))
	must(0, consumer.Ack(context.Background(), again))
	equal("nothing more", 0, len(receiveNow(consumer, 16, 10*time.Second)))
}

// simpleAckChanged takes several of each queue, so that most do not stand first in their pop: what their new handles acknowledge stays away.
func simpleAckChanged(c *ctx) {
	topic := c.name("normal")
	consumer := c.simple(c.name("g"), topic, rmq.SUB_ALL, 5*time.Second)
	receiveNow(consumer, 1, 10*time.Second)
	producer := c.producer(topic)
	for i := 0; i < 12; i++ {
		sendOne(producer, message(topic, fmt.Sprintf("body %d", i)))
	}
	var got []*rmq.MessageView
	for end := time.Now().Add(delivery); len(got) < 12 && time.Now().Before(end); {
		got = append(got, receiveNow(consumer, 32, 60*time.Second)...)
	}
	for _, view := range got {
		must(0, consumer.ChangeInvisibleDuration(view, 8*time.Second))
		must(0, consumer.Ack(context.Background(), view))
	}
	equal("received", 12, len(got))
	for polls := 0; polls < 3; polls++ {
		equal("nothing more", 0, len(receiveNow(consumer, 32, 60*time.Second)))
	}
}

func simpleLongPolling(c *ctx) {
	topic := c.name("normal")
	consumer := c.simple(c.name("g"), topic, rmq.SUB_ALL, 15*time.Second)
	producer := c.producer(topic)
	begin := time.Now()
	equal("nothing", 0, len(receiveNow(consumer, 1, 10*time.Second)))
	waited := time.Since(begin)
	check("waited "+waited.String()+" in vain", waited > 10*time.Second && waited < 20*time.Second)
	go func() {
		time.Sleep(2 * time.Second)
		_, _ = producer.Send(context.Background(), message(topic, "wake up"))
	}()
	begin = time.Now()
	view := first(consumer, 20*time.Second)
	waited = time.Since(begin)
	check("woken after "+waited.String(), waited > 1500*time.Millisecond && waited < 8*time.Second)
	must(0, consumer.Ack(context.Background(), view))
}

func filterTag(c *ctx) {
	topic := c.name("normal")
	consumer := c.simple(c.name("g"), topic, rmq.NewFilterExpression("red || blue"), 5*time.Second)
	receiveNow(consumer, 1, 10*time.Second)
	producer := c.producer(topic)
	for _, tag := range []string{"red", "green", "blue", "BaB", "red"} {
		msg := message(topic, tag)
		msg.SetTag(tag)
		sendOne(producer, msg)
	}
	sendOne(producer, message(topic, "no tag"))
	got := bodies(receive(consumer, 3))
	sort.Strings(got)
	equal("messages", []string{"blue", "red", "red"}, got)
	equal("nothing more", 0, len(receiveNow(consumer, 16, 10*time.Second)))
}

func filterSql(c *ctx) {
	topic := c.name("normal")
	filter := rmq.NewFilterExpressionWithType("size > 3 AND colour IN ('red', 'blue')", rmq.SQL92)
	consumer := c.simple(c.name("g"), topic, filter, 5*time.Second)
	receiveNow(consumer, 1, 10*time.Second)
	producer := c.producer(topic)
	for _, colour := range []string{"red", "green", "blue"} {
		for _, size := range []string{"1", "5"} {
			msg := message(topic, colour+size)
			msg.AddProperty("colour", colour)
			msg.AddProperty("size", size)
			sendOne(producer, msg)
		}
	}
	got := bodies(receive(consumer, 2))
	sort.Strings(got)
	equal("messages", []string{"blue5", "red5"}, got)
	equal("nothing more", 0, len(receiveNow(consumer, 16, 10*time.Second)))
}
