package main

import (
	"errors"

	"github.com/IBM/sarama"

	. "tailrace/e2e/story"
)

func (c client) Admin(topic string) {
	Check(c.Create(topic, Partitions, map[string]string{"retention.ms": "-1"}), "create topic")
	again := c.Create(topic, Partitions, nil)
	Equal(errors.Is(again, sarama.ErrTopicAlreadyExists), true, "the same topic is refused")
	c.Produce(topic, Records("admin"), "none", false)
	c.administer(func(admin sarama.ClusterAdmin) {
		configs(admin, topic)
		Check(admin.DeleteRecords(topic, map[int32]int64{0: 40}), "delete records")
		left := c.Read(topic, Partitions, nil, Count-40, true)
		Equal(left[0][0].Offset, int64(40), "first record left")
		Check(admin.CreatePartitions(topic, Partitions+2, nil, false), "more partitions")
		told, err := admin.DescribeTopics([]string{topic})
		Check(err, "describe topics")
		Equal(len(told[0].Partitions), Partitions+2, "partitions after growing")
		dirs, err := admin.DescribeLogDirs([]int32{1})
		Check(err, "describe log dirs")
		Equal(len(dirs), 1, "nodes with log directories")
		Check(admin.DeleteTopic(topic), "delete topic")
		listed, err := admin.ListTopics()
		Check(err, "list topics")
		_, there := listed[topic]
		Equal(there, false, "the deleted topic is listed")
	})
}

func configs(admin sarama.ClusterAdmin, topic string) {
	value := func() string {
		told, err := admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource,
			Name: topic, ConfigNames: []string{"retention.ms"}})
		Check(err, "describe config")
		return told[0].Value
	}
	alter := func(op sarama.IncrementalAlterConfigsOperation, value string) error {
		return admin.IncrementalAlterConfig(sarama.TopicResource, topic,
			map[string]sarama.IncrementalAlterConfigsEntry{
				"retention.ms": {Operation: op, Value: &value}}, false)
	}
	Equal(value(), "-1", "retention.ms as created")
	Check(alter(sarama.IncrementalAlterConfigsOperationSet, "86400000"), "alter")
	WaitFor(func() bool { return value() == "86400000" }, "retention.ms altered")
	Check(alter(sarama.IncrementalAlterConfigsOperationDelete, ""), "delete a config")
	WaitFor(func() bool { return value() == "604800000" }, "retention.ms by default")
	bad := alter(sarama.IncrementalAlterConfigsOperationSet, "soon")
	Equal(errors.Is(bad, sarama.ErrInvalidConfig), true, "a bad value")
}
