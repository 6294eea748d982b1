// segmentio/kafka-go.
package main

import (
	"context"
	"errors"
	"fmt"
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

func (c client) Transactional(string) Transactional { return nil }

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
