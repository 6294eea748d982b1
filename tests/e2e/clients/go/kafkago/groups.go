package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/segmentio/kafka-go"

	. "tailrace/e2e/story"
)

type member struct {
	group *kafka.ConsumerGroup
	done  chan bool
}

// read passes the records of one partition on and commits them, until the generation ends.
func (c client) read(gen *kafka.Generation, topic string, one kafka.PartitionAssignment,
	seen *Seen) func(context.Context) {
	return func(until context.Context) {
		reader := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{c.address}, Topic: topic,
			Partition: one.ID, MaxWait: 200 * time.Millisecond})
		defer reader.Close()
		if err := reader.SetOffset(one.Offset); err != nil {
			seen.Error(err)
		}
		for {
			message, err := reader.ReadMessage(until)
			if err != nil {
				if !errors.Is(err, io.EOF) && !errors.Is(err, kafka.ErrGenerationEnded) &&
					until.Err() == nil {
					seen.Error(err)
				}
				return
			}
			seen.Add(int32(message.Partition), message.Offset)
			err = gen.CommitOffsets(map[string]map[int]int64{topic: {one.ID: message.Offset + 1}})
			if err != nil && until.Err() == nil && !errors.Is(err, kafka.RebalanceInProgress) {
				seen.Error(err)
			}
		}
	}
}

func (c client) Join(topic, group, _, _ string, seen *Seen) Member {
	one, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{ID: group,
		Brokers: []string{c.address}, Topics: []string{topic}, StartOffset: kafka.FirstOffset,
		HeartbeatInterval: 500 * time.Millisecond, SessionTimeout: 6 * time.Second,
		GroupBalancers: []kafka.GroupBalancer{kafka.RangeGroupBalancer{}}})
	Check(err, "group")
	m := &member{one, make(chan bool)}
	go func() {
		defer close(m.done)
		for {
			gen, err := one.Next(ctx)
			var code kafka.Error
			if errors.As(err, &code) && code.Temporary() {
				continue // The group of the library tries again; its coordinator may be loading.
			}
			if err != nil {
				if !errors.Is(err, kafka.ErrGroupClosed) {
					seen.Error(err)
				}
				return
			}
			seen.Own([]int32{0, 1, 2, 3}, false)
			for _, assigned := range gen.Assignments[topic] {
				seen.Own([]int32{int32(assigned.ID)}, true)
				gen.Start(c.read(gen, topic, assigned, seen))
			}
		}
	}()
	return m
}

func (m *member) Stop() {
	Check(m.group.Close(), "close the group")
	<-m.done
}

func (c client) Committed(group, topic string, partitions int) (found []int64) {
	told, err := c.api().ConsumerOffsets(ctx, kafka.TopicAndGroup{Topic: topic, GroupId: group})
	Check(err, "consumer offsets")
	for p := 0; p < partitions; p++ {
		found = append(found, told[p])
	}
	return found
}

func (c client) GroupAdmin(group string) {
	has := func() bool {
		told, err := c.api().ListGroups(ctx, &kafka.ListGroupsRequest{})
		Check(errors.Join(err, told.Error), "list groups")
		for _, one := range told.Groups {
			if one.GroupID == group {
				return true
			}
		}
		return false
	}
	Equal(has(), true, "the group is listed")
	told, err := c.api().DescribeGroups(ctx, &kafka.DescribeGroupsRequest{GroupIDs: []string{group}})
	Check(err, "describe groups")
	Equal(told.Groups[0].GroupState, "Empty", "state")
	Equal(c.Committed(group, group, MemberPartitions), []int64{20, 20, 20, 20}, "offsets")
	gone, err := c.api().DeleteGroups(ctx, &kafka.DeleteGroupsRequest{GroupIDs: []string{group}})
	Check(errors.Join(err, gone.Errors[group]), "delete group")
	Equal(has(), false, "the group is listed")
}
