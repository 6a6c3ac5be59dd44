// The Go half of the compatibility suite: the scenarios of compat-tests/lib/scenarios.mjs as far as rocketmq-client-go v2.1.2 offers them.
//
//	scenarios --run ID [--parallel N] [--repeat N] [--timeout SECONDS] --namesrv HOST:PORT --broker HOST:PORT NAME...
//	scenarios --list
//
// A server is that of the names that follow it; there may be several.
//
// One JSON line per scenario goes to stdout: {scenario, ok, detail, ms, facts}.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2/rlog"
)

type scenario func(c *ctx)

func all() map[string]scenario {
	return map[string]scenario{
		"send-sync":                  sendSync,
		"send-async":                 sendAsync,
		"send-oneway":                sendOneway,
		"send-batch":                 sendBatch,
		"send-queue":                 sendQueue,
		"compressed-body":            compressedBody,
		"properties":                 properties,
		"odd-bodies":                 oddBodies,
		"hosts-and-times":            hostsAndTimes,
		"large-body":                 largeBody,
		"unknown-topic":              unknownTopic,
		"push-cluster":               pushCluster,
		"push-two-topics":            pushTwoTopics,
		"push-broadcast":             pushBroadcast,
		"tags":                       tags,
		"push-batches":               pushBatches,
		"push-suspend":               pushSuspend,
		"push-latency":               pushLatency,
		"consume-from-where":         consumeFromWhere,
		"offset-persistence":         offsetPersistence,
		"namespace":                  namespace,
		"ordered-selector":           orderedSelector,
		"ordered-suspend":            orderedSuspend,
		"ordered-lock-expiry":        orderedLockExpiry,
		"retry-properties":           retryProperties,
		"retry-to-dlq":               retryToDlq,
		"retry-delay-level":          retryDelayLevel,
		"delay-levels":               delayLevels,
		"delay-levels-default":       delayLevelsDefault,
		"sql-push":                   sqlPush,
		"sql-retry":                  sqlRetry,
		"sql-wrong":                  sqlWrong,
		"transaction-ends":           transactionEnds,
		"transaction-checked":        transactionChecked,
		"transaction-other-producer": transactionOtherProducer,
		"transaction-given-up":       transactionGivenUp,
		"transaction-immune":         transactionImmune,
		"transaction-delay":          transactionDelay,
		"transaction-restart":        func(c *ctx) { transactionRestart(c, "restart-broker") },
		"transaction-kill9":          func(c *ctx) { transactionRestart(c, "kill9-broker") },
		"timer-properties":           timerProperties,
		"timer-rolled":               timerRolled,
		"timer-refused":              timerRefused,
		"pull-status":                pullStatus,
		"pull-tags":                  pullTags,
		"pull-long-polling":          pullLongPolling,
		"pull-offsets":               pullOffsets,
		"topic-create":               topicCreate,
		"topic-auto-create":          topicAutoCreate,
		"request-reply":              requestReply,
		"request-async":              requestAsync,
		"request-refused":            requestRefused,
		"admin-calls":                adminCalls,
		"reset-by-clients":           resetByClients,
		"trace-own-topic":            traceOwnTopic,
		"broker-restart":             func(c *ctx) { brokerRestart(c, "restart-broker") },
		"broker-kill9":               func(c *ctx) { brokerRestart(c, "kill9-broker") },
		"namesrv-gone":               namesrvGone,
	}
}

// place is a scenario and the server it runs against.
type place struct{ scenario, namesrv, broker string }

type result struct {
	Scenario string            `json:"scenario"`
	Ok       bool              `json:"ok"`
	Detail   string            `json:"detail"`
	Ms       int64             `json:"ms"`
	Facts    map[string]string `json:"facts"`
}

func main() {
	rlog.SetLogLevel(cmp.Or(os.Getenv("COMPAT_GO_LOG"), "error"))
	scenarios := all()
	var namesrv, broker, run string
	parallel, repeat, timeout := 1, 1, 120
	var names []string
	var places []place
	for i := 1; i < len(os.Args); i++ {
		next := func() string { i++; return os.Args[i] }
		switch os.Args[i] {
		case "--list":
			for name := range scenarios {
				names = append(names, name)
			}
			sort.Strings(names)
			for _, name := range names {
				fmt.Println(name)
			}
			return
		case "--namesrv":
			namesrv = next()
		case "--broker":
			broker = next()
		case "--run":
			run = next()
		case "--parallel":
			parallel, _ = strconv.Atoi(next())
		case "--repeat":
			repeat, _ = strconv.Atoi(next())
		case "--timeout":
			timeout, _ = strconv.Atoi(next())
		default:
			places = append(places, place{os.Args[i], namesrv, broker})
		}
	}
	faults := &faults{in: bufio.NewReader(os.Stdin)}
	var out sync.Mutex
	lanes := make(chan struct{}, parallel)
	var done sync.WaitGroup
	for round := range repeat {
		id := run
		if repeat > 1 {
			id = fmt.Sprintf("%sr%d", run, round)
		}
		for _, p := range places {
			lanes <- struct{}{}
			done.Add(1)
			go func() {
				defer done.Done()
				c := newCtx(p.namesrv, p.broker, id, p.scenario, faults)
				outcome := one(c, scenarios[p.scenario], time.Duration(timeout)*time.Second)
				line, _ := json.Marshal(outcome)
				out.Lock()
				fmt.Println(string(line))
				out.Unlock()
				// A client that hangs in its shutdown must not hold up the other scenarios.
				closed := make(chan struct{})
				go func() { c.close(); close(closed) }()
				select {
				case <-closed:
				case <-time.After(10 * time.Second):
				}
				<-lanes
			}()
		}
	}
	done.Wait()
}

func one(c *ctx, body scenario, limit time.Duration) (outcome result) {
	start := time.Now()
	failure := make(chan string, 1)
	go func() {
		defer func() {
			switch problem := recover().(type) {
			case nil:
				failure <- ""
			case mismatch:
				failure <- string(problem)
			default:
				failure <- fmt.Sprintf("panic: %v", problem)
			}
		}()
		if body == nil {
			panic(mismatch("no such scenario"))
		}
		body(c)
	}()
	outcome.Scenario = c.scenario
	select {
	case outcome.Detail = <-failure:
	case <-time.After(limit):
		outcome.Detail = fmt.Sprintf("not finished after %v", limit)
		stacks := make([]byte, 1<<20)
		fmt.Fprintf(os.Stderr, "%s was not finished:\n%s\n", c.scenario, stacks[:runtime.Stack(stacks, true)])
	}
	outcome.Ok = outcome.Detail == ""
	outcome.Ms = time.Since(start).Milliseconds()
	outcome.Facts = c.takeFacts()
	return
}
