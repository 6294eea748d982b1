// franz-go.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	. "tailrace/e2e/story"
)

var codecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
	"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(),
	"zstd": kgo.ZstdCompression(),
}

type client struct{ address string }

func (c client) open(options ...kgo.Opt) *kgo.Client {
	one, err := kgo.NewClient(append(options, kgo.SeedBrokers(c.address))...)
	Check(err, "client")
	return one
}

func (c client) administer(run func(context.Context, *kadm.Client)) {
	ctx, cancel := context.WithTimeout(context.Background(), Wait)
	defer cancel()
	one := c.open()
	defer one.Close()
	run(ctx, kadm.NewClient(one))
}

func (c client) Create(topic string, partitions int, configs map[string]string) (err error) {
	given := map[string]*string{}
	for key, value := range configs {
		given[key] = &value
	}
	c.administer(func(ctx context.Context, admin *kadm.Client) {
		_, err = admin.CreateTopic(ctx, int32(partitions), 1, given, topic)
	})
	return err
}

func send(one *kgo.Client, topic string, records []Record) []int64 {
	out := []*kgo.Record{}
	for _, record := range records {
		sent := &kgo.Record{Topic: topic, Partition: record.Partition, Key: record.Key,
			Value: record.Value}
		if record.TimeMs > 0 {
			sent.Timestamp = time.UnixMilli(record.TimeMs)
		}
		for _, header := range record.Headers {
			sent.Headers = append(sent.Headers, kgo.RecordHeader(header))
		}
		out = append(out, sent)
	}
	ctx, cancel := context.WithTimeout(context.Background(), Wait)
	defer cancel()
	Check(one.ProduceSync(ctx, out...).FirstErr(), "produce")
	offsets := []int64{}
	for _, sent := range out {
		offsets = append(offsets, sent.Offset)
	}
	return offsets
}

func (c client) Produce(topic string, records []Record, codec string, idempotent bool) []int64 {
	options := []kgo.Opt{kgo.ProducerBatchCompression(codecs[codec]),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(10 * time.Millisecond)}
	if !idempotent {
		options = append(options, kgo.DisableIdempotentWrite(),
			kgo.MaxProduceRequestsInflightPerBroker(1))
	}
	one := c.open(options...)
	defer one.Close()
	return send(one, topic, records)
}

func level(committed bool) kgo.Opt {
	if committed {
		return kgo.FetchIsolationLevel(kgo.ReadCommitted())
	}
	return kgo.FetchIsolationLevel(kgo.ReadUncommitted())
}

func (c client) Read(topic string, partitions int, from map[int32]int64, count int,
	committed bool) [][]Record {
	start := map[int32]kgo.Offset{}
	for p := int32(0); p < int32(partitions); p++ {
		start[p] = kgo.NewOffset().AtStart()
		if at, given := from[p]; given {
			start[p] = kgo.NewOffset().At(at)
		}
	}
	one := c.open(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: start}),
		level(committed))
	defer one.Close()
	found := make([][]Record, partitions)
	poll := func(wait time.Duration) (polled int) {
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		defer cancel()
		one.PollFetches(ctx).EachRecord(func(got *kgo.Record) {
			record := Record{Partition: got.Partition, Offset: got.Offset, Key: got.Key,
				Value: got.Value, TimeMs: got.Timestamp.UnixMilli()}
			for _, header := range got.Headers {
				record.Headers = append(record.Headers, Header(header))
			}
			found[got.Partition] = append(found[got.Partition], record)
			polled++
		})
		return polled
	}
	for end := time.Now().Add(Wait); count > 0 && time.Now().Before(end); {
		count -= poll(time.Second)
	}
	Equal(count-poll(500*time.Millisecond), 0, "records to come")
	return found
}

func (c client) OffsetAt(topic string, partition int32, asked int64) (found int64) {
	c.administer(func(ctx context.Context, admin *kadm.Client) {
		var told kadm.ListedOffsets
		var err error
		switch asked {
		case Earliest:
			told, err = admin.ListStartOffsets(ctx, topic)
		case Latest:
			told, err = admin.ListEndOffsets(ctx, topic)
		default:
			told, err = admin.ListOffsetsAfterMilli(ctx, asked, topic)
		}
		Check(err, "offsets")
		found = told[topic][partition].Offset
	})
	return found
}

func main() {
	if len(os.Args) < 2 {
		fmt.Println("franz HOST:PORT [FEATURE...]")
		os.Exit(2)
	}
	Main("franz", "github.com/twmb/franz-go", client{os.Args[1]}, nil)
}
