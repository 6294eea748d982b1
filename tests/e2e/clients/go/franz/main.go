// franz-go.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

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

type member struct {
	client *kgo.Client
	stop   context.CancelFunc
	done   chan error
}

func (c client) Join(topic, group, kind, instance string, seen *Seen) Member {
	took := func(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
		seen.Own(parts[topic], true)
	}
	lost := func(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
		seen.Own(parts[topic], false)
	}
	// What was read is committed before somebody else reads on.
	gave := func(ctx context.Context, one *kgo.Client, parts map[string][]int32) {
		seen.Own(parts[topic], false)
		if err := one.CommitUncommittedOffsets(ctx); err != nil {
			seen.Error(err)
		}
	}
	options := []kgo.Opt{kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(),
		kgo.HeartbeatInterval(500 * time.Millisecond), kgo.SessionTimeout(6 * time.Second),
		kgo.OnPartitionsAssigned(took), kgo.OnPartitionsRevoked(gave), kgo.OnPartitionsLost(lost)}
	switch kind {
	case "group":
		options = append(options, kgo.Balancers(kgo.RangeBalancer()))
	case "cooperative":
		options = append(options, kgo.Balancers(kgo.CooperativeStickyBalancer()))
	default: // Falls back to the classic protocol without a word.
		c.administer(func(ctx context.Context, admin *kadm.Client) {
			told, err := admin.ApiVersions(ctx)
			Check(err, "api versions")
			for _, one := range told {
				_, _, has := one.KeyVersions(kmsg.ConsumerGroupHeartbeat.Int16())
				Equal(has, true, "the broker has ConsumerGroupHeartbeat")
			}
		})
		options = append(options, kgo.Balancers(kgo.StickyBalancer()), kgo.ServerSideBalancer())
	}
	if instance != "" {
		options = append(options, kgo.InstanceID(instance))
	}
	ctx, stop := context.WithCancel(context.Background())
	one := &member{c.open(options...), stop, make(chan error)}
	go func() {
		for ctx.Err() == nil {
			one.client.PollFetches(ctx).EachRecord(func(record *kgo.Record) {
				seen.Add(record.Partition, record.Offset)
			})
		}
		one.done <- one.client.CommitUncommittedOffsets(context.Background())
	}()
	return one
}

func (m *member) Stop() {
	m.stop()
	Check(<-m.done, "commit")
	m.client.Close()
}

// The session of a consumer and a producer; without a group it is only the producer.
type transactional struct {
	client
	name     string
	producer *kgo.Client
	session  *kgo.GroupTransactSession
}

func (c client) Transactional(name string) Transactional {
	one := c.open(kgo.TransactionalID(name), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	ctx, cancel := context.WithTimeout(context.Background(), Wait)
	defer cancel()
	_, _, err := one.ProducerID(ctx)
	Check(err, "init producer id")
	return &transactional{c, name, one, nil}
}

func (t *transactional) Begin() { Check(t.producer.BeginTransaction(), "begin") }

func (t *transactional) Send(topic string, records []Record) {
	if t.session != nil {
		send(t.session.Client(), topic, records)
		return
	}
	send(t.producer, topic, records)
}

func (t *transactional) End(commit bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), Wait)
	defer cancel()
	if t.session != nil {
		done, err := t.session.End(ctx, kgo.TransactionEndTry(commit))
		Equal(done, commit, "whether it was committed")
		return errors.Join(err, t.producer.EndTransaction(ctx, kgo.TryAbort))
	}
	return t.producer.EndTransaction(ctx, kgo.TransactionEndTry(commit))
}

func (t *transactional) Consume(topic, group string, count int) (values [][]byte) {
	session, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(t.address),
		kgo.TransactionalID(t.name+"-session"), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), level(true),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	Check(err, "session")
	t.session = session
	Check(session.Begin(), "begin")
	ctx, cancel := context.WithTimeout(context.Background(), Wait)
	defer cancel()
	for len(values) < count && ctx.Err() == nil {
		session.PollFetches(ctx).EachRecord(func(record *kgo.Record) {
			values = append(values, record.Value)
		})
	}
	Equal(len(values), count, "records consumed")
	return values
}

func (t *transactional) SendOffsets() {} // session.End does.

func (t *transactional) DoneConsuming() {
	t.session.Close()
	t.session = nil
}

func (t *transactional) Close() { t.producer.Close() }

func (c client) Committed(group, topic string, partitions int) (found []int64) {
	c.administer(func(ctx context.Context, admin *kadm.Client) {
		told, err := admin.FetchOffsets(ctx, group)
		Check(err, "fetch offsets")
		for p := int32(0); p < int32(partitions); p++ {
			one, _ := told.Lookup(topic, p)
			found = append(found, one.At)
		}
	})
	return found
}

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

func (c client) GroupAdmin(group string) {
	c.administer(func(ctx context.Context, admin *kadm.Client) {
		listed, err := admin.ListGroups(ctx)
		Check(err, "list groups")
		Equal(listed[group].State, "Empty", "state")
		described, err := admin.DescribeGroups(ctx, group)
		Check(err, "describe groups")
		Equal(described[group].State, "Empty", "state")
		Equal(c.Committed(group, group, MemberPartitions), []int64{20, 20, 20, 20}, "offsets")
		change := kadm.Offsets{}
		change.Add(kadm.Offset{Topic: group, Partition: 0, At: 7, LeaderEpoch: -1})
		Check(admin.CommitAllOffsets(ctx, group, change), "commit")
		Equal(c.Committed(group, group, 1), []int64{7}, "an offset that was changed")
		_, err = admin.DeleteGroups(ctx, group)
		Check(err, "delete group")
		listed, err = admin.ListGroups(ctx)
		Check(err, "list groups")
		_, there := listed[group]
		Equal(there, false, "the group is listed")
	})
}

func main() {
	if len(os.Args) < 2 {
		fmt.Println("franz HOST:PORT [FEATURE...]")
		os.Exit(2)
	}
	Main("franz", "github.com/twmb/franz-go", client{os.Args[1]}, nil)
}
