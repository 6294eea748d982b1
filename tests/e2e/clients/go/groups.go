// franz-go by group: two members share, one leaves, commits are resumed, groups are administered.
// client ADDRESS groups.
package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	groupPartitions = 4
	groupRecords    = 400
)

var balancers = map[string]kgo.GroupBalancer{
	"go-range":       kgo.RangeBalancer(),
	"go-cooperative": kgo.CooperativeStickyBalancer(),
}

type place struct {
	partition int32
	offset    int64
}

// A member polls on a goroutine of its own.
type member struct {
	client *kgo.Client
	lock   sync.Mutex
	found  map[place]bool
	owned  map[int32]bool
	done   chan bool
	stop   context.CancelFunc
}

func (one *member) change(parts map[string][]int32, owns bool) {
	one.lock.Lock()
	defer one.lock.Unlock()
	for _, list := range parts {
		for _, partition := range list {
			if owns {
				one.owned[partition] = true
			} else {
				delete(one.owned, partition)
			}
		}
	}
}

func join(address, group string) *member {
	one := &member{found: map[place]bool{}, owned: map[int32]bool{}, done: make(chan bool)}
	took := func(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
		one.change(parts, true)
	}
	lost := func(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
		one.change(parts, false)
	}
	// What was read is committed before somebody else reads on.
	gave := func(ctx context.Context, client *kgo.Client, parts map[string][]int32) {
		one.change(parts, false)
		expect(client.CommitUncommittedOffsets(ctx), "commit before giving up")
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(group), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.Balancers(balancers[group]), kgo.DisableAutoCommit(),
		kgo.SessionTimeout(6*time.Second), kgo.HeartbeatInterval(500*time.Millisecond),
		kgo.OnPartitionsAssigned(took), kgo.OnPartitionsRevoked(gave), kgo.OnPartitionsLost(lost))
	expect(err, "group member")
	one.client = client
	ctx, stop := context.WithCancel(context.Background())
	one.stop = stop
	go one.run(ctx)
	return one
}

func (one *member) run(ctx context.Context) {
	for ctx.Err() == nil {
		one.client.PollFetches(ctx).EachRecord(func(record *kgo.Record) {
			one.lock.Lock()
			one.found[place{record.Partition, record.Offset}] = true
			one.lock.Unlock()
		})
	}
	expect(one.client.CommitUncommittedOffsets(context.Background()), "commit")
	one.client.Close()
	close(one.done)
}

func (one *member) finish() {
	one.stop()
	<-one.done
}

func (one *member) ownedCount() int {
	one.lock.Lock()
	defer one.lock.Unlock()
	return len(one.owned)
}

func foundBy(members ...*member) int {
	all := map[place]bool{}
	for _, one := range members {
		one.lock.Lock()
		for at := range one.found {
			all[at] = true
		}
		one.lock.Unlock()
	}
	return len(all)
}

func waitFor(done func() bool, what string) {
	end := time.Now().Add(60 * time.Second)
	for !done() {
		expectEqual(time.Now().Before(end), true, "in time: "+what)
		time.Sleep(50 * time.Millisecond)
	}
}

func produceTo(ctx context.Context, address, topic string, first, count int) {
	client, err := kgo.NewClient(kgo.SeedBrokers(address),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))
	expect(err, "producer")
	defer client.Close()
	for n := first; n < first+count; n++ {
		record := &kgo.Record{Topic: topic, Partition: int32(n % groupPartitions),
			Value: []byte(fmt.Sprint(n))}
		client.Produce(ctx, record, func(_ *kgo.Record, err error) { expect(err, "produce") })
	}
	expect(client.Flush(ctx), "flush")
}

func shareGroup(ctx context.Context, admin *kadm.Client, address, group string) {
	_, err := admin.CreateTopic(ctx, groupPartitions, 1, nil, group)
	expect(err, "create topic")
	produceTo(ctx, address, group, 0, groupRecords)
	first := join(address, group)
	waitFor(func() bool { return foundBy(first) == groupRecords }, "all records")
	second := join(address, group)
	waitFor(func() bool { return first.ownedCount() == 2 && second.ownedCount() == 2 }, "two each")
	produceTo(ctx, address, group, groupRecords, groupRecords)
	waitFor(func() bool { return foundBy(first, second) == 2*groupRecords }, "all of both")
	first.finish()
	waitFor(func() bool { return second.ownedCount() == groupPartitions }, "all for who stays")
	second.finish()
	produceTo(ctx, address, group, 2*groupRecords, groupPartitions)
	third := join(address, group)
	waitFor(func() bool { return foundBy(third) >= groupPartitions }, "what came since")
	third.finish()
	expectEqual(foundBy(third), groupPartitions, "only what came since")
}

func administerGroup(ctx context.Context, admin *kadm.Client, group string) {
	listed, err := admin.ListGroups(ctx)
	expect(err, "list groups")
	expectEqual(listed[group].State, "Empty", "state")
	described, err := admin.DescribeGroups(ctx, group)
	expect(err, "describe groups")
	expectEqual(described[group].State, "Empty", "state")
	offsets, err := admin.FetchOffsets(ctx, group)
	expect(err, "fetch offsets")
	at := int64(2*groupRecords/groupPartitions + 1)
	for partition := int32(0); partition < groupPartitions; partition++ {
		found, _ := offsets.Lookup(group, partition)
		expectEqual(found.At, at, "committed")
	}
	_, err = admin.DeleteGroups(ctx, group)
	expect(err, "delete group")
	listed, err = admin.ListGroups(ctx)
	expect(err, "list groups")
	_, there := listed[group]
	expectEqual(there, false, "the group is gone")
}

func groups(ctx context.Context, admin *kadm.Client, address string) {
	for group := range balancers {
		shareGroup(ctx, admin, address, group)
		administerGroup(ctx, admin, group)
	}
}
