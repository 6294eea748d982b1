package main

import (
	"context"
	"time"

	"github.com/IBM/sarama"

	. "tailrace/e2e/story"
)

// handler passes what is read on to `take`; a session ends when its claims are done.
type handler struct {
	take  func(sarama.ConsumerGroupSession, *sarama.ConsumerMessage)
	owned func(partitions []int32, owns bool)
}

func (h handler) Setup(sarama.ConsumerGroupSession) error { return nil }

func (h handler) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (h handler) ConsumeClaim(session sarama.ConsumerGroupSession,
	claim sarama.ConsumerGroupClaim) error {
	h.owned([]int32{claim.Partition()}, true)
	defer h.owned([]int32{claim.Partition()}, false)
	for {
		select {
		case message, open := <-claim.Messages():
			if !open {
				return nil
			}
			h.take(session, message)
		case <-session.Context().Done():
			return nil
		}
	}
}

type member struct {
	group sarama.ConsumerGroup
	stop  context.CancelFunc
	done  chan bool
}

func (c client) join(topic, group string, config *sarama.Config, on handler,
	failed func(error)) *member {
	one, err := sarama.NewConsumerGroup(c.address, group, config)
	Check(err, "group")
	ctx, stop := context.WithCancel(context.Background())
	m := &member{one, stop, make(chan bool)}
	go func() {
		for err := range one.Errors() {
			failed(err)
		}
	}()
	go func() {
		for ctx.Err() == nil {
			if err := one.Consume(ctx, []string{topic}, on); err != nil && ctx.Err() == nil {
				failed(err)
				break
			}
		}
		close(m.done)
	}()
	return m
}

func (c client) Join(topic, group, kind, instance string, seen *Seen) Member {
	config := newConfig()
	config.Consumer.Group.Session.Timeout = 6 * time.Second
	config.Consumer.Group.Heartbeat.Interval = 500 * time.Millisecond
	config.Consumer.Group.InstanceId = instance
	strategy := sarama.NewBalanceStrategyRange()
	if kind == "cooperative" {
		strategy = sarama.NewBalanceStrategyCooperativeSticky()
	}
	config.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategy}
	take := func(session sarama.ConsumerGroupSession, message *sarama.ConsumerMessage) {
		seen.Add(message.Partition, message.Offset)
		session.MarkMessage(message, "")
	}
	return c.join(topic, group, config, handler{take, seen.Own}, seen.Error)
}

func (m *member) Stop() {
	m.stop()
	<-m.done
	Check(m.group.Close(), "close the group")
}

func (c client) Committed(group, topic string, partitions int) (found []int64) {
	c.administer(func(admin sarama.ClusterAdmin) {
		asked := []int32{0, 1, 2, 3}[:partitions]
		told, err := admin.ListConsumerGroupOffsets(group, map[string][]int32{topic: asked})
		Check(err, "list offsets")
		for _, p := range asked {
			found = append(found, told.GetBlock(topic, p).Offset)
		}
	})
	return found
}

func (c client) GroupAdmin(group string) {
	c.administer(func(admin sarama.ClusterAdmin) {
		listed, err := admin.ListConsumerGroups()
		Check(err, "list groups")
		Equal(listed[group], "consumer", "protocol type")
		told, err := admin.DescribeConsumerGroups([]string{group})
		Check(err, "describe groups")
		Equal(told[0].State, "Empty", "state")
		Equal(c.Committed(group, group, MemberPartitions), []int64{20, 20, 20, 20}, "offsets")
		_, err = admin.AlterConsumerGroupOffsets(group, map[string]map[int32]sarama.OffsetAndMetadata{
			group: {0: {Offset: 7, LeaderEpoch: -1}}}, nil)
		Check(err, "alter offsets")
		Equal(c.Committed(group, group, 1), []int64{7}, "an offset that was changed")
		Check(admin.DeleteConsumerGroupOffset(group, group, 0), "delete an offset")
		Equal(c.Committed(group, group, 1), []int64{-1}, "an offset that was deleted")
		Check(admin.DeleteConsumerGroup(group), "delete group")
		listed, err = admin.ListConsumerGroups()
		Check(err, "list groups")
		Equal(listed[group], "", "the group is listed")
	})
}
