package main

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kgo"

	. "tailrace/e2e/story"
)

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
