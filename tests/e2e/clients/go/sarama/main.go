// IBM/sarama.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/IBM/sarama"

	. "tailrace/e2e/story"
)

var codecs = map[string]sarama.CompressionCodec{
	"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP,
	"snappy": sarama.CompressionSnappy, "lz4": sarama.CompressionLZ4,
	"zstd": sarama.CompressionZSTD,
}

type client struct{ address []string }

func newConfig() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.ClientID = "matrix"
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Return.Successes = true
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Return.Errors = true
	return config
}

func (c client) administer(run func(sarama.ClusterAdmin)) {
	admin, err := sarama.NewClusterAdmin(c.address, newConfig())
	Check(err, "admin")
	defer admin.Close()
	run(admin)
}

func (c client) Create(topic string, partitions int, configs map[string]string) (err error) {
	given := map[string]*string{}
	for key, value := range configs {
		given[key] = &value
	}
	c.administer(func(admin sarama.ClusterAdmin) {
		err = admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: int32(partitions),
			ReplicationFactor: 1, ConfigEntries: given}, false)
	})
	return err
}

func send(producer sarama.SyncProducer, topic string, records []Record) []int64 {
	out := []*sarama.ProducerMessage{}
	for _, record := range records {
		sent := &sarama.ProducerMessage{Topic: topic, Partition: record.Partition}
		if record.Key != nil {
			sent.Key = sarama.ByteEncoder(record.Key)
		}
		if record.Value != nil {
			sent.Value = sarama.ByteEncoder(record.Value)
		}
		if record.TimeMs > 0 {
			sent.Timestamp = time.UnixMilli(record.TimeMs)
		}
		for _, header := range record.Headers {
			sent.Headers = append(sent.Headers,
				sarama.RecordHeader{Key: []byte(header.Key), Value: header.Value})
		}
		out = append(out, sent)
	}
	Check(producer.SendMessages(out), "produce")
	offsets := []int64{}
	for _, sent := range out {
		offsets = append(offsets, sent.Offset)
	}
	return offsets
}

func (c client) Produce(topic string, records []Record, codec string, idempotent bool) []int64 {
	config := newConfig()
	config.Producer.Compression = codecs[codec]
	config.Producer.Idempotent = idempotent
	config.Net.MaxOpenRequests = 1
	producer, err := sarama.NewSyncProducer(c.address, config)
	Check(err, "producer")
	defer producer.Close()
	return send(producer, topic, records)
}

func (c client) Read(topic string, partitions int, from map[int32]int64, count int,
	committed bool) [][]Record {
	config := newConfig()
	if committed {
		config.Consumer.IsolationLevel = sarama.ReadCommitted
	}
	consumer, err := sarama.NewConsumer(c.address, config)
	Check(err, "consumer")
	defer consumer.Close()
	got := make(chan *sarama.ConsumerMessage, Count)
	for p := int32(0); p < int32(partitions); p++ {
		at, given := from[p]
		if !given {
			at = sarama.OffsetOldest
		}
		part, err := consumer.ConsumePartition(topic, p, at)
		Check(err, "consume a partition")
		defer part.AsyncClose()
		go func() {
			for message := range part.Messages() {
				got <- message
			}
		}()
	}
	found := make([][]Record, partitions)
	end := time.After(Wait)
	for {
		select {
		case message := <-got:
			record := Record{Partition: message.Partition, Offset: message.Offset,
				Key: message.Key, Value: message.Value, TimeMs: message.Timestamp.UnixMilli()}
			for _, header := range message.Headers {
				record.Headers = append(record.Headers, Header{Key: string(header.Key), Value: header.Value})
			}
			found[message.Partition] = append(found[message.Partition], record)
			count--
			if count == 0 { // Nothing may follow.
				end = time.After(500 * time.Millisecond)
			}
		case <-end:
			Equal(count, 0, "records to come")
			return found
		}
	}
}

func (c client) OffsetAt(topic string, partition int32, asked int64) int64 {
	one, err := sarama.NewClient(c.address, newConfig())
	Check(err, "client")
	defer one.Close()
	found, err := one.GetOffset(topic, partition, asked)
	Check(err, "get offset")
	return found
}

func main() {
	if len(os.Args) < 2 {
		fmt.Println("sarama HOST:PORT [FEATURE...]")
		os.Exit(2)
	}
	Main("sarama", "github.com/IBM/sarama", client{os.Args[1:2]},
		map[string]string{"kip848": "the classic protocol only"})
}
