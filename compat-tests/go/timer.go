package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// This client has no methods for exact times: what asks for them are properties. The servers' wheel holds 5 seconds, the longest delay is 60.

const lateMs = 4_000

// timerProperties: the three ways to ask, and times that are over; nothing early by the broker's clock, nothing twice.
func timerProperties(c *ctx) {
	topic := c.topic("t", 1)
	p := c.producer()
	in := newInbox()
	c.started(c.group("c"), topic, "*", in.keep)
	now := time.Now().UnixMilli()
	rows := []struct {
		body, property string
		value, due     int64
	}{
		{"sec", "TIMER_DELAY_SEC", 2, now + 2_000},
		{"ms", "TIMER_DELAY_MS", 2_300, now + 2_300},
		{"at", "TIMER_DELIVER_MS", now + 3_100, now + 3_100},
		{"zero", "TIMER_DELAY_SEC", 0, now},
		{"past", "TIMER_DELIVER_MS", now - 5_000, now},
	}
	ids, due := map[string]string{}, map[string]int64{}
	for _, row := range rows {
		m := message(topic, row.body).WithTag("tag")
		m.WithProperty(row.property, fmt.Sprint(row.value))
		ids[row.body], due[row.body] = send(p, m).MsgID, row.due
	}
	sentWithin := time.Now().UnixMilli() - now
	in.exactly(len(rows), 45*time.Second)
	var offsets []int64
	for _, got := range in.all() {
		body := string(got.Body)
		between(due[body], due[body]+sentWithin+lateMs, got.StoreTimestamp, "store time of "+body)
		eq(ids[body], got.MsgId, "msgId of "+body)
		eq(topic, got.Topic, "topic of "+body)
		eq("tag", got.GetTags(), "tags of "+body)
		offsets = append(offsets, got.QueueOffset)
		c.fact("properties of "+body, shape(got))
	}
	dense(map[int][]int64{0: offsets})
}

// timerRolled: a wait longer than the wheel; the message is put back on the way.
func timerRolled(c *ctx) {
	topic := c.topic("t", 1)
	p := c.producer()
	in := newInbox()
	c.started(c.group("c"), topic, "*", in.keep)
	due := time.Now().Truncate(time.Second).UnixMilli() + 12_500
	m := message(topic, "far")
	m.WithProperty("TIMER_DELIVER_MS", fmt.Sprint(due))
	send(p, m)
	in.exactly(1, 45*time.Second)
	got := in.all()[0]
	between(due, due+lateMs, got.StoreTimestamp, "store time")
	that(got.GetProperty("TIMER_ROLL_TIMES") >= "2", "rolled %s times", got.GetProperty("TIMER_ROLL_TIMES"))
}

// timerRefused: Apache's words; behind the colon Skylark says which.
func timerRefused(c *ctx) {
	topic := c.topic("t", 1)
	p := c.producer()
	for property, value := range map[string]string{
		"TIMER_DELAY_SEC": "61", "TIMER_DELAY_MS": "abc", "TIMER_DELIVER_MS": fmt.Sprint(time.Now().UnixMilli() + 86_400_000),
	} {
		m := message(topic, "never")
		m.WithProperty(property, value)
		_, err := p.SendSync(context.Background(), m)
		that(err != nil, "%s=%s was not refused", property, value)
		that(strings.Contains(err.Error(), "timer message illegal"), "%s=%s: %v", property, value, err)
	}
}
