package main

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	. "tailrace/e2e/story"
)

type member struct {
	client *kgo.Client
	stop   context.CancelFunc
	done   chan error
}

func (c client) Join(topic, group, kind, instance string, seen *Seen) Member {
	took := func(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
		seen.Own(parts[topic], true)
	}
	lost := func(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
		seen.Own(parts[topic], false)
	}
	// What was read is committed before somebody else reads on.
	gave := func(ctx context.Context, one *kgo.Client, parts map[string][]int32) {
		seen.Own(parts[topic], false)
		if err := one.CommitUncommittedOffsets(ctx); err != nil {
			seen.Error(err)
		}
	}
	options := []kgo.Opt{kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(),
		kgo.HeartbeatInterval(500 * time.Millisecond), kgo.SessionTimeout(6 * time.Second),
		kgo.OnPartitionsAssigned(took), kgo.OnPartitionsRevoked(gave), kgo.OnPartitionsLost(lost)}
	switch kind {
	case "group":
		options = append(options, kgo.Balancers(kgo.RangeBalancer()))
	case "cooperative":
		options = append(options, kgo.Balancers(kgo.CooperativeStickyBalancer()))
	default: // Falls back to the classic protocol without a word.
		c.administer(func(ctx context.Context, admin *kadm.Client) {
			told, err := admin.ApiVersions(ctx)
			Check(err, "api versions")
			for _, one := range told {
				_, _, has := one.KeyVersions(kmsg.ConsumerGroupHeartbeat.Int16())
				Equal(has, true, "the broker has ConsumerGroupHeartbeat")
			}
		})
		options = append(options, kgo.Balancers(kgo.StickyBalancer()), kgo.ServerSideBalancer())
	}
	if instance != "" {
		options = append(options, kgo.InstanceID(instance))
	}
	ctx, stop := context.WithCancel(context.Background())
	one := &member{c.open(options...), stop, make(chan error)}
	go func() {
		for ctx.Err() == nil {
			one.client.PollFetches(ctx).EachRecord(func(record *kgo.Record) {
				seen.Add(record.Partition, record.Offset)
			})
		}
		one.done <- one.client.CommitUncommittedOffsets(context.Background())
	}()
	return one
}

func (m *member) Stop() {
	m.stop()
	Check(<-m.done, "commit")
	m.client.Close()
}

func (c client) Committed(group, topic string, partitions int) (found []int64) {
	c.administer(func(ctx context.Context, admin *kadm.Client) {
		told, err := admin.FetchOffsets(ctx, group)
		Check(err, "fetch offsets")
		for p := int32(0); p < int32(partitions); p++ {
			one, _ := told.Lookup(topic, p)
			found = append(found, one.At)
		}
	})
	return found
}

func (c client) GroupAdmin(group string) {
	c.administer(func(ctx context.Context, admin *kadm.Client) {
		listed, err := admin.ListGroups(ctx)
		Check(err, "list groups")
		Equal(listed[group].State, "Empty", "state")
		described, err := admin.DescribeGroups(ctx, group)
		Check(err, "describe groups")
		Equal(described[group].State, "Empty", "state")
		Equal(c.Committed(group, group, MemberPartitions), []int64{20, 20, 20, 20}, "offsets")
		change := kadm.Offsets{}
		change.Add(kadm.Offset{Topic: group, Partition: 0, At: 7, LeaderEpoch: -1})
		Check(admin.CommitAllOffsets(ctx, group, change), "commit")
		Equal(c.Committed(group, group, 1), []int64{7}, "an offset that was changed")
		_, err = admin.DeleteGroups(ctx, group)
		Check(err, "delete group")
		listed, err = admin.ListGroups(ctx)
		Check(err, "list groups")
		_, there := listed[group]
		Equal(there, false, "the group is listed")
	})
}
