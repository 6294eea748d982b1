// segmentio/kafka-go.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/segmentio/kafka-go"

	. "tailrace/e2e/story"
)

var codecs = map[string]kafka.Compression{
	"none": 0, "gzip": kafka.Gzip, "snappy": kafka.Snappy, "lz4": kafka.Lz4, "zstd": kafka.Zstd,
}

type client struct{ address string }

func (c client) api() *kafka.Client {
	return &kafka.Client{Addr: kafka.TCP(c.address), Timeout: 30 * time.Second}
}

var ctx = context.Background()

func (c client) Create(topic string, partitions int, configs map[string]string) error {
	wanted := kafka.TopicConfig{Topic: topic, NumPartitions: partitions, ReplicationFactor: 1}
	for key, value := range configs {
		wanted.ConfigEntries = append(wanted.ConfigEntries,
			kafka.ConfigEntry{ConfigName: key, ConfigValue: value})
	}
	told, err := c.api().CreateTopics(ctx,
		&kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{wanted}})
	if err != nil {
		return err
	}
	return told.Errors[topic]
}

// byPartition sends a message where its record says.
type byPartition map[string]int

func (p byPartition) Balance(message kafka.Message, _ ...int) int {
	return message.WriterData.(int)
}

func (c client) Produce(topic string, records []Record, codec string, _ bool) []int64 {
	offsets := make([]int64, len(records))
	writer := &kafka.Writer{Addr: kafka.TCP(c.address), Topic: topic, Balancer: byPartition{},
		RequiredAcks: kafka.RequireAll, Compression: codecs[codec],
		BatchTimeout: 10 * time.Millisecond}
	defer writer.Close()
	out := []kafka.Message{}
	for _, record := range records {
		message := kafka.Message{Key: record.Key, Value: record.Value,
			WriterData: int(record.Partition)}
		if record.TimeMs > 0 {
			message.Time = time.UnixMilli(record.TimeMs)
		}
		for _, header := range record.Headers {
			message.Headers = append(message.Headers, kafka.Header(header))
		}
		out = append(out, message)
	}
	for begun := time.Now(); len(out) > 0; { // A topic may be new to the writer's metadata.
		err := writer.WriteMessages(ctx, out...)
		if err == nil {
			break
		}
		retry := errors.Is(err, kafka.UnknownTopicOrPartition) && time.Since(begun) < Wait
		Equal(retry, true, fmt.Sprintf("produce: %v", err))
		time.Sleep(100 * time.Millisecond)
	}
	_ = offsets
	return nil
}

func (c client) reader(topic string, partition int, at int64, level kafka.IsolationLevel) *kafka.Reader {
	reader := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{c.address}, Topic: topic,
		Partition: partition, MaxWait: 200 * time.Millisecond, IsolationLevel: level})
	Check(reader.SetOffset(at), "set offset")
	return reader
}

func (c client) Read(topic string, partitions int, from map[int32]int64, count int,
	committed bool) [][]Record {
	level := kafka.ReadUncommitted
	if committed {
		level = kafka.ReadCommitted
	}
	found := make([][]Record, partitions)
	for p := 0; p < partitions; p++ {
		at, given := from[int32(p)]
		if !given {
			at = kafka.FirstOffset
		}
		end := c.OffsetAt(topic, int32(p), Latest)
		reader := c.reader(topic, p, at, level)
		for next := at; next < end; {
			soon, cancel := context.WithTimeout(ctx, Wait)
			message, err := reader.ReadMessage(soon)
			cancel()
			Check(err, "read")
			record := Record{Partition: int32(p), Offset: message.Offset, Key: message.Key,
				Value: message.Value, TimeMs: message.Time.UnixMilli()}
			for _, header := range message.Headers {
				record.Headers = append(record.Headers, Header(header))
			}
			found[p] = append(found[p], record)
			next = message.Offset + 1
			count--
		}
		reader.Close()
	}
	Equal(count, 0, "records to come")
	return found
}

func (c client) OffsetAt(topic string, partition int32, asked int64) int64 {
	told, err := c.api().ListOffsets(ctx, &kafka.ListOffsetsRequest{
		Topics: map[string][]kafka.OffsetRequest{
			topic: {{Partition: int(partition), Timestamp: asked}}}})
	Check(err, "list offsets")
	one := told.Topics[topic][0]
	Check(one.Error, "list offsets")
	switch asked {
	case Earliest:
		return one.FirstOffset
	case Latest:
		return one.LastOffset
	}
	for offset := range one.Offsets {
		return offset
	}
	return -1
}

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

func (c client) Transactional(string) Transactional { return nil }

func (c client) Committed(group, topic string, partitions int) (found []int64) {
	told, err := c.api().ConsumerOffsets(ctx, kafka.TopicAndGroup{Topic: topic, GroupId: group})
	Check(err, "consumer offsets")
	for p := 0; p < partitions; p++ {
		found = append(found, told[p])
	}
	return found
}

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

func main() {
	if len(os.Args) < 2 {
		fmt.Println("kafkago HOST:PORT [FEATURE...]")
		os.Exit(2)
	}
	none := "no transactional producer"
	Main("kafkago", "github.com/segmentio/kafka-go", client{os.Args[1]}, map[string]string{
		"idempotent": "no idempotent producer", "cooperative": "no cooperative balancer",
		"kip848": "the classic protocol only", "static": "no static members",
		"transaction": none, "exactly-once": none, "fenced": none})
}
