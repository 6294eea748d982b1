package story

import (
	"fmt"
	"sort"
	"strings"
)

type Transactional interface {
	Begin()
	Send(topic string, records []Record)
	End(commit bool) error
	Consume(topic, group string, count int) [][]byte
	SendOffsets()
	DoneConsuming()
	Close()
}

func expectValues(client Client, topic string, committed bool, wanted []Record) {
	found, values := []string{}, []string{}
	for _, part := range client.Read(topic, Partitions, nil, len(wanted), committed) {
		for _, one := range part {
			found = append(found, string(one.Value))
		}
	}
	for _, one := range wanted {
		values = append(values, string(one.Value))
	}
	sort.Strings(found)
	sort.Strings(values)
	Equal(found, values, fmt.Sprintf("what is seen, committed only: %v", committed))
}

// transaction: committed, aborted, committed again, left open; both isolation levels.
func transaction(client Client, topic string) {
	Check(client.Create(topic, Partitions, nil), "create topic")
	producer := client.Transactional(topic)
	seen, all := []Record{}, []Record{}
	for _, step := range []struct {
		text  string
		count int
	}{{"kept ", 60}, {"aborted ", 30}, {"again ", 9}, {"open ", 3}} {
		producer.Begin()
		records := Plain(0, step.count, Partitions, step.text)
		producer.Send(topic, records)
		all = append(all, records...)
		if step.text == "aborted " {
			Check(producer.End(false), "abort")
		} else if step.text != "open " {
			Check(producer.End(true), "commit")
			seen = append(seen, records...)
		}
	}
	expectValues(client, topic, true, seen)
	expectValues(client, topic, false, all)
	Check(producer.End(true), "commit")
	expectValues(client, topic, true, append(seen, Plain(0, 3, Partitions, "open ")...))
	producer.Close()
}

// exactlyOnce: consume, transform, produce. An aborted round leaves no trace, the next does it all.
func exactlyOnce(client Client, topic string) {
	Check(client.Create(topic, Partitions, nil), "create topic")
	Check(client.Create(topic+"-out", Partitions, nil), "create topic")
	client.Produce(topic, Plain(0, 90, Partitions, ""), "none", false)
	producer := client.Transactional(topic)
	for _, commit := range []bool{false, true} {
		producer.Begin()
		out := []Record{}
		for n, value := range producer.Consume(topic, topic, 90) {
			out = append(out, Record{Partition: int32(n % Partitions),
				Value: append([]byte("out "), value...)})
		}
		producer.Send(topic+"-out", out)
		producer.SendOffsets()
		Check(producer.End(commit), "end of the transaction")
		producer.DoneConsuming()
	}
	producer.Close()
	expectValues(client, topic+"-out", true, Plain(0, 90, Partitions, "out "))
	Equal(client.Committed(topic, topic, Partitions), []int64{30, 30, 30}, "offsets")
}

func fenced(client Client, topic string) {
	Check(client.Create(topic, Partitions, nil), "create topic")
	first := client.Transactional(topic)
	first.Begin()
	first.Send(topic, Plain(0, 9, Partitions, "first "))
	second := client.Transactional(topic)
	err := first.End(true)
	if err == nil || !strings.Contains(strings.ToLower(err.Error()), "fence") &&
		!strings.Contains(strings.ToLower(err.Error()), "epoch") &&
		!strings.HasSuffix(err.Error(), "code = 90") { // Kafka's number for it.
		Fail("a commit of who was shut out: %v", err)
	}
	second.Begin()
	second.Send(topic, Plain(0, 9, Partitions, "second "))
	Check(second.End(true), "commit")
	expectValues(client, topic, true, Plain(0, 9, Partitions, "second "))
	second.Close()
}
