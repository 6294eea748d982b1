package main

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	. "tailrace/e2e/story"
)

func (c client) Admin(topic string) {
	Check(c.Create(topic, Partitions, map[string]string{"retention.ms": "-1"}), "create topic")
	again := c.Create(topic, Partitions, nil)
	Equal(errors.Is(again, kerr.TopicAlreadyExists), true, "the same topic is refused")
	c.Produce(topic, Records("admin"), "none", false)
	c.administer(func(ctx context.Context, admin *kadm.Client) {
		details, err := admin.ListTopics(ctx, topic)
		Check(err, "list topics")
		Equal(len(details[topic].Partitions), Partitions, "partitions")
		configs(ctx, admin, topic)
		before := kadm.Offsets{}
		before.Add(kadm.Offset{Topic: topic, Partition: 0, At: 40})
		told, err := admin.DeleteRecords(ctx, before)
		Check(err, "delete records")
		Equal(told[topic][0].LowWatermark, int64(40), "low watermark")
		left := c.Read(topic, Partitions, nil, Count-40, true)
		Equal(left[0][0].Offset, int64(40), "first record left")
		_, err = admin.UpdatePartitions(ctx, Partitions+2, topic)
		Check(err, "more partitions")
		_, err = admin.DeleteTopic(ctx, topic)
		Check(err, "delete topic")
		details, err = admin.ListTopics(ctx)
		Check(err, "list topics")
		Equal(details.Has(topic), false, "the deleted topic is listed")
	})
}

func configs(ctx context.Context, admin *kadm.Client, topic string) {
	value := func() string {
		described, err := admin.DescribeTopicConfigs(ctx, topic)
		Check(err, "describe configs")
		for _, config := range described[0].Configs {
			if config.Key == "retention.ms" {
				return config.MaybeValue()
			}
		}
		return "missing"
	}
	alter := func(op kadm.IncrementalOp, value string) error {
		change := kadm.AlterConfig{Op: op, Name: "retention.ms", Value: &value}
		told, err := admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{change}, topic)
		Check(err, "alter configs")
		return told[0].Err
	}
	Equal(value(), "-1", "retention.ms as created")
	Check(alter(kadm.SetConfig, "86400000"), "alter")
	Equal(value(), "86400000", "retention.ms altered")
	Check(alter(kadm.DeleteConfig, ""), "delete a config")
	Equal(value(), "604800000", "retention.ms by default")
	Equal(errors.Is(alter(kadm.SetConfig, "soon"), kerr.InvalidConfig), true, "a bad value")
}
