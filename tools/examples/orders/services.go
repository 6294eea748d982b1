package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const ordersPerSecond = 300

// Ends with standard input.
func whileWanted() context.Context {
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	return ctx
}

// Takes orders; ends well when all were acknowledged.
func shop(s settings) {
	ctx := whileWanted()
	client := s.open()
	defer client.Close()
	for n := range s.orders {
		client.Produce(ctx, orderOf(n).record(s.topic),
			func(_ *kgo.Record, err error) { check(err, "an order") })
		time.Sleep(time.Second / ordersPerSecond)
	}
	check(client.Flush(ctx), "flush")
}

// A member of the group: what is fulfilled is told first and committed then, so that nothing is
// left out, whenever this process ends.
func fulfil(s settings) {
	ctx := whileWanted()
	options := []kgo.Opt{kgo.ConsumerGroup(s.topic), kgo.ConsumeTopics(s.topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll()}
	if s.protocol == "consumer" {
		options = append(options, kgo.Balancers(kgo.StickyBalancer()), kgo.ServerSideBalancer())
	} else {
		options = append(options, kgo.SessionTimeout(6*time.Second),
			kgo.HeartbeatInterval(time.Second))
	}
	client := s.open(options...)
	defer client.CloseAllowingRebalance()
	for ctx.Err() == nil {
		fetches := client.PollRecords(ctx, 100)
		if err := fetches.Err0(); err != nil && !errors.Is(err, context.Canceled) {
			log.Printf("%s: %v", s.name, err)
		}
		s.take(client, fetches.Records())
		client.AllowRebalance()
	}
}

func (s settings) take(client *kgo.Client, orders []*kgo.Record) {
	done := []*kgo.Record{}
	for _, record := range orders {
		var one order
		check(json.Unmarshal(record.Value, &one), "an order")
		one.By = s.name
		done = append(done, one.record(s.fulfilled()))
	}
	ctx := context.Background()
	check(client.ProduceSync(ctx, done...).FirstErr(), "what was done")
	check(client.CommitRecords(ctx, orders...), "commit")
}
