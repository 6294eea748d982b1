package main

import (
	"errors"

	"github.com/segmentio/kafka-go"

	. "tailrace/e2e/story"
)

func (c client) partitions(topic string) int {
	told, err := c.api().Metadata(ctx, &kafka.MetadataRequest{Topics: []string{topic}})
	Check(err, "metadata")
	if told.Topics[0].Error != nil {
		return 0
	}
	return len(told.Topics[0].Partitions)
}

func (c client) Admin(topic string) {
	Check(c.Create(topic, Partitions, map[string]string{"retention.ms": "-1"}), "create topic")
	again := c.Create(topic, Partitions, nil)
	Equal(errors.Is(again, kafka.TopicAlreadyExists), true, "the same topic is refused")
	Equal(c.partitions(topic), Partitions, "partitions")
	c.configs(topic)
	grown, err := c.api().CreatePartitions(ctx, &kafka.CreatePartitionsRequest{
		Topics: []kafka.TopicPartitionsConfig{{Name: topic, Count: Partitions + 2}}})
	Check(errors.Join(err, grown.Errors[topic]), "more partitions")
	WaitFor(func() bool { return c.partitions(topic) == Partitions+2 }, "partitions after growing")
	gone, err := c.api().DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: []string{topic}})
	Check(errors.Join(err, gone.Errors[topic]), "delete topic")
	WaitFor(func() bool { return c.partitions(topic) == 0 }, "the topic is gone")
}

func (c client) configs(topic string) {
	value := func() string {
		told, err := c.api().DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{
			Resources: []kafka.DescribeConfigRequestResource{{ResourceType: kafka.ResourceTypeTopic,
				ResourceName: topic, ConfigNames: []string{"retention.ms"}}}})
		Check(err, "describe configs")
		return told.Resources[0].ConfigEntries[0].ConfigValue
	}
	alter := func(op kafka.ConfigOperation, value string) error {
		told, err := c.api().IncrementalAlterConfigs(ctx, &kafka.IncrementalAlterConfigsRequest{
			Resources: []kafka.IncrementalAlterConfigsRequestResource{{
				ResourceType: kafka.ResourceTypeTopic, ResourceName: topic,
				Configs: []kafka.IncrementalAlterConfigsRequestConfig{{
					Name: "retention.ms", Value: value, ConfigOperation: op}}}}})
		Check(err, "alter configs")
		return told.Resources[0].Error
	}
	Equal(value(), "-1", "retention.ms as created")
	Check(alter(kafka.ConfigOperationSet, "86400000"), "alter")
	Equal(value(), "86400000", "retention.ms altered")
	Check(alter(kafka.ConfigOperationDelete, ""), "delete a config")
	Equal(value(), "604800000", "retention.ms by default")
	bad := alter(kafka.ConfigOperationSet, "soon")
	Equal(bad != nil, true, "a bad value is refused")
}
