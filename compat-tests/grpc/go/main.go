// Runs scenarios of the Go 5.x client; the contract is in ../README.md.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	rmq "github.com/apache/rocketmq-clients/golang/v5"
)

var scenarios = map[string]func(*ctx){
	"send":                    send,
	"send-properties":         sendProperties,
	"send-large":              sendLarge,
	"send-refused":            sendRefused,
	"delay":                   delay,
	"transaction":             transaction,
	"transaction-check":       transactionCheck,
	"simple-redelivery":       simpleRedelivery,
	"simple-change-invisible": simpleChangeInvisible,
	"simple-ack-changed":      simpleAckChanged,
	"simple-long-polling":     simpleLongPolling,
	"filter-tag":              filterTag,
	"filter-sql":              filterSql,
	"push":                    push,
	"push-first":              pushFirst,
	"push-retry":              pushRetry,
	"push-dlq":                pushDlq,
	"push-slow":               pushSlow,
	"fifo":                    fifo,
	"fifo-retry":              fifoRetry,
}

type result struct {
	Scenario string            `json:"scenario"`
	Ok       bool              `json:"ok"`
	Detail   string            `json:"detail"`
	Ms       int64             `json:"ms"`
	Facts    map[string]string `json:"facts"`
	Times    map[string]int64  `json:"times"`
}

func main() {
	out := os.Stdout
	// The client prints; the lines of this program stay clean.
	os.Stdout = os.Stderr
	var endpoints, run string
	parallel := 1
	rmq.EnableSsl = false
	var names []string
	args := os.Args[1:]
	for i := 0; i < len(args); i++ {
		switch args[i] {
		case "--list":
			for name := range scenarios {
				fmt.Fprintln(out, name)
			}
			return
		case "--endpoints":
			i++
			endpoints = args[i]
		case "--run":
			i++
			run = args[i]
		case "--tls":
			rmq.EnableSsl = true
		case "--parallel":
			i++
			parallel, _ = strconv.Atoi(args[i])
		default:
			names = append(names, args[i])
		}
	}
	rmq.ResetLogger()
	slots := make(chan struct{}, parallel)
	var all sync.WaitGroup
	var printing sync.Mutex
	for _, name := range names {
		all.Add(1)
		go func() {
			defer all.Done()
			slots <- struct{}{}
			defer func() { <-slots }()
			c := &ctx{endpoints: endpoints, prefix: "G" + run + "_" + strings.ReplaceAll(name, "-", "_") + "_", facts: map[string]string{}, times: map[string]int64{}}
			begin := time.Now()
			failure := one(scenarios[name], c)
			line, _ := json.Marshal(result{name, failure == "", failure, time.Since(begin).Milliseconds(), c.facts, c.times})
			printing.Lock()
			fmt.Fprintln(out, string(line))
			printing.Unlock()
			go c.close()
		}()
	}
	all.Wait()
	// Clients that take long to stop must not keep the runner waiting.
	os.Exit(0)
}

// one runs a scenario; it returns what went wrong.
func one(scenario func(*ctx), c *ctx) string {
	done := make(chan string, 1)
	go func() {
		defer func() {
			if failure := recover(); failure != nil {
				done <- fmt.Sprint(failure)
			}
		}()
		scenario(c)
		done <- ""
	}()
	select {
	case failure := <-done:
		return failure
	case <-time.After(150 * time.Second):
		return "not finished after 150 s"
	}
}
