// franz-go: admin, every codec, seeks, configs, deletes. client ADDRESS [groups].
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime/debug"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	topic      = "go"
	partitions = 3
	perCodec   = 600
	startMs    = int64(1_700_000_000_000)
)

var codecs = []struct {
	name  string
	codec kgo.CompressionCodec
}{
	{"none", kgo.NoCompression()}, {"gzip", kgo.GzipCompression()},
	{"snappy", kgo.SnappyCompression()}, {"lz4", kgo.Lz4Compression()},
	{"zstd", kgo.ZstdCompression()},
}

var end = int64(perCodec / partitions * len(codecs))

func expect(err error, what string) {
	if err != nil {
		fmt.Printf("%s: %v\n", what, err)
		os.Exit(1)
	}
}

func expectEqual(found, wanted any, what string) {
	if !reflect.DeepEqual(found, wanted) {
		fmt.Printf("%s: found %v, wanted %v\n", what, found, wanted)
		os.Exit(1)
	}
}

func record(codec string, number int) *kgo.Record {
	one := &kgo.Record{
		Topic:     topic,
		Partition: int32(number % partitions),
		Timestamp: time.UnixMilli(startMs + 1000*int64(number)),
		Value:     []byte(strings.Repeat(fmt.Sprintf("%s %d ", codec, number), number%40)),
	}
	if number%7 != 0 {
		one.Key = []byte(fmt.Sprintf("%s-%d", codec, number))
	}
	if number%3 > 0 {
		one.Headers = append(one.Headers,
			kgo.RecordHeader{Key: "n", Value: []byte(fmt.Sprint(number))})
	}
	return one
}

func create(ctx context.Context, admin *kadm.Client) {
	retention := "-1"
	configs := map[string]*string{"retention.ms": &retention}
	_, err := admin.CreateTopic(ctx, partitions, 1, configs, topic)
	expect(err, "create topic")
	_, err = admin.CreateTopic(ctx, partitions, 1, configs, topic)
	expectEqual(errors.Is(err, kerr.TopicAlreadyExists), true, "the same topic is refused")
	details, err := admin.ListTopics(ctx, topic)
	expect(err, "list topics")
	expectEqual(len(details[topic].Partitions), partitions, "partitions")
}

func produce(ctx context.Context, address string) {
	for _, one := range codecs {
		client, err := kgo.NewClient(kgo.SeedBrokers(address),
			kgo.ProducerBatchCompression(one.codec), kgo.ProducerLinger(20*time.Millisecond),
			kgo.RecordPartitioner(kgo.ManualPartitioner()))
		expect(err, "producer")
		records := make([]*kgo.Record, perCodec)
		for n := range records {
			records[n] = record(one.name, n)
		}
		expect(client.ProduceSync(ctx, records...).FirstErr(), "produce "+one.name)
		client.Close()
	}
}

func consume(address string, from map[int32]kgo.Offset, count int64) [][]*kgo.Record {
	client, err := kgo.NewClient(kgo.SeedBrokers(address),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}))
	expect(err, "consumer")
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	found := make([][]*kgo.Record, partitions)
	for count > 0 {
		fetches := client.PollFetches(ctx)
		expect(fetches.Err(), fmt.Sprintf("consume, %d to come", count))
		fetches.EachRecord(func(one *kgo.Record) {
			found[one.Partition] = append(found[one.Partition], one)
			count--
		})
	}
	return found
}

func compare(found [][]*kgo.Record) {
	for partition, records := range found {
		expectEqual(int64(len(records)), end, "count of a partition")
		offset := 0
		for _, codec := range codecs {
			for n := partition; n < perCodec; n += partitions {
				one, wanted := records[offset], record(codec.name, n)
				where := fmt.Sprintf("record %d of partition %d", offset, partition)
				expectEqual(one.Offset, int64(offset), where)
				expectEqual(one.Timestamp.UnixMilli(), wanted.Timestamp.UnixMilli(), where)
				expectEqual(bytes.Equal(one.Key, wanted.Key), true, where+", key")
				expectEqual((one.Key == nil), (wanted.Key == nil), where+", null key")
				expectEqual(bytes.Equal(one.Value, wanted.Value), true, where+", value")
				expectEqual(len(one.Headers), len(wanted.Headers), where+", headers")
				if len(one.Headers) > 0 {
					expectEqual(one.Headers, wanted.Headers, where+", headers")
				}
				offset++
			}
		}
	}
}

func offsets(ctx context.Context, admin *kadm.Client) {
	starts, err := admin.ListStartOffsets(ctx, topic)
	expect(err, "start offsets")
	expectEqual(starts[topic][1].Offset, int64(0), "start")
	ends, err := admin.ListEndOffsets(ctx, topic)
	expect(err, "end offsets")
	expectEqual(ends[topic][1].Offset, end, "end")
	times, err := admin.ListOffsetsAfterMilli(ctx, startMs+450_000, topic)
	expect(err, "offsets by time")
	expectEqual(times[topic][1].Offset, int64(150), "by time")
}

func valueOf(ctx context.Context, admin *kadm.Client, key string) string {
	described, err := admin.DescribeTopicConfigs(ctx, topic)
	expect(err, "describe configs")
	for _, config := range described[0].Configs {
		if config.Key == key {
			return config.MaybeValue()
		}
	}
	return "missing"
}

func alter(ctx context.Context, admin *kadm.Client, change kadm.AlterConfig) error {
	told, err := admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{change}, topic)
	expect(err, "alter configs")
	return told[0].Err
}

func configs(ctx context.Context, admin *kadm.Client) {
	expectEqual(valueOf(ctx, admin, "retention.ms"), "-1", "retention.ms as created")
	day, bad := "86400000", "soon"
	set := kadm.AlterConfig{Op: kadm.SetConfig, Name: "retention.ms", Value: &day}
	expect(alter(ctx, admin, set), "alter")
	expectEqual(valueOf(ctx, admin, "retention.ms"), day, "retention.ms altered")
	expect(alter(ctx, admin, kadm.AlterConfig{Op: kadm.DeleteConfig, Name: "retention.ms"}),
		"delete a config")
	expectEqual(valueOf(ctx, admin, "retention.ms"), "604800000", "retention.ms by default")
	set.Value = &bad
	expectEqual(errors.Is(alter(ctx, admin, set), kerr.InvalidConfig), true, "a bad value")
}

func deleteAll(ctx context.Context, admin *kadm.Client, address string) {
	before := kadm.Offsets{}
	before.Add(kadm.Offset{Topic: topic, Partition: 0, At: 400})
	told, err := admin.DeleteRecords(ctx, before)
	expect(err, "delete records")
	expectEqual(told[topic][0].LowWatermark, int64(400), "low watermark")
	left := consume(address, map[int32]kgo.Offset{0: kgo.NewOffset().AtStart()}, end-400)
	expectEqual(left[0][0].Offset, int64(400), "first record left")
	_, err = admin.UpdatePartitions(ctx, partitions+2, topic)
	expect(err, "more partitions")
	_, err = admin.DeleteTopic(ctx, topic)
	expect(err, "delete topic")
	details, err := admin.ListTopics(ctx)
	expect(err, "list topics")
	expectEqual(details.Has(topic), false, "the deleted topic is listed")
}

func main() {
	address := os.Args[1]
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Second)
	defer cancel()
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dependency := range info.Deps {
			if dependency.Path == "github.com/twmb/franz-go" {
				fmt.Printf("franz-go %s, %s\n", dependency.Version, info.GoVersion)
			}
		}
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(address))
	expect(err, "client")
	defer client.Close()
	admin := kadm.NewClient(client)
	if len(os.Args) > 2 && os.Args[2] == "groups" {
		groups(ctx, admin, address)
		fmt.Println("OK")
		return
	}
	create(ctx, admin)
	produce(ctx, address)
	start := map[int32]kgo.Offset{}
	tail := map[int32]kgo.Offset{}
	for p := int32(0); p < partitions; p++ {
		start[p] = kgo.NewOffset().AtStart()
		tail[p] = kgo.NewOffset().At(end - 2)
	}
	compare(consume(address, start, end*partitions))
	expectEqual(consume(address, tail, 2*partitions)[1][0].Offset, end-2, "after a seek")
	offsets(ctx, admin)
	configs(ctx, admin)
	deleteAll(ctx, admin, address)
	fmt.Println("OK")
}
