// IBM/sarama.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
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

type transactional struct {
	client
	producer sarama.SyncProducer
	member   *member
	group    string
	lock     sync.Mutex
	read     []*sarama.ConsumerMessage
}

func (c client) Transactional(name string) Transactional {
	config := newConfig()
	config.Producer.Idempotent = true
	config.Producer.Transaction.ID = name
	config.Net.MaxOpenRequests = 1
	producer, err := sarama.NewSyncProducer(c.address, config)
	Check(err, "transactional producer")
	return &transactional{client: c, producer: producer}
}

func (t *transactional) Begin() { Check(t.producer.BeginTxn(), "begin") }

func (t *transactional) Send(topic string, records []Record) { send(t.producer, topic, records) }

func (t *transactional) End(commit bool) error {
	if commit {
		return t.producer.CommitTxn()
	}
	return t.producer.AbortTxn()
}

func (t *transactional) Consume(topic, group string, count int) (values [][]byte) {
	config := newConfig()
	config.Consumer.IsolationLevel = sarama.ReadCommitted
	config.Consumer.Offsets.AutoCommit.Enable = false
	t.group, t.read = group, nil
	take := func(_ sarama.ConsumerGroupSession, message *sarama.ConsumerMessage) {
		t.lock.Lock()
		defer t.lock.Unlock()
		t.read = append(t.read, message)
	}
	t.member = t.join(topic, group, config, handler{take, func([]int32, bool) {}}, func(error) {})
	WaitFor(func() bool {
		t.lock.Lock()
		defer t.lock.Unlock()
		return len(t.read) >= count
	}, "records consumed")
	for _, message := range t.read {
		values = append(values, message.Value)
	}
	return values
}

func (t *transactional) SendOffsets() {
	for _, message := range t.read {
		Check(t.producer.AddMessageToTxn(message, t.group, nil), "add an offset")
	}
}

func (t *transactional) DoneConsuming() { t.member.Stop() }

func (t *transactional) Close() { t.producer.Close() }

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

func main() {
	if len(os.Args) < 2 {
		fmt.Println("sarama HOST:PORT [FEATURE...]")
		os.Exit(2)
	}
	Main("sarama", "github.com/IBM/sarama", client{os.Args[1:2]},
		map[string]string{"kip848": "the classic protocol only"})
}
