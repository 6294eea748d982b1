package main

import (
	"sync"

	"github.com/IBM/sarama"

	. "tailrace/e2e/story"
)

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
