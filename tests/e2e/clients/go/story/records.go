package story

import (
	"bytes"
	"fmt"
	"strings"
)

type Header struct {
	Key   string
	Value []byte
}

type Record struct {
	Partition  int32
	Offset     int64
	TimeMs     int64 // 0: the time of sending.
	Key, Value []byte
	Headers    []Header
}

type Place struct {
	Partition int32
	Offset    int64
}

func record(tag string, n int) Record {
	one := Record{Partition: int32(n % Partitions), TimeMs: StartMs + 1000*int64(n)}
	if gone := n%97 == 96; !gone {
		one.Value = []byte(strings.Repeat(fmt.Sprintf("%s %d ", tag, n), n%40))
	}
	if n%7 != 0 || n%97 == 96 {
		one.Key = []byte(fmt.Sprintf("%s-%d", tag, n))
	}
	if n%3 > 0 {
		one.Headers = append(one.Headers, Header{"n", []byte(fmt.Sprint(n))})
	}
	if n%3 > 1 {
		one.Headers = append(one.Headers, Header{"empty", []byte{}})
	}
	return one
}

func Records(tag string) []Record {
	all := make([]Record, Count)
	for n := range all {
		all[n] = record(tag, n)
	}
	return all
}

func Plain(first, count, partitions int, text string) []Record {
	all := []Record{}
	for n := first; n < first+count; n++ {
		all = append(all, Record{Partition: int32(n % partitions),
			Value: []byte(fmt.Sprintf("%s%d", text, n))})
	}
	return all
}

func sameRecord(got, wanted Record) bool {
	same := got.Offset == wanted.Offset && got.TimeMs == wanted.TimeMs &&
		bytes.Equal(got.Key, wanted.Key) && bytes.Equal(got.Value, wanted.Value) &&
		(got.Key == nil) == (wanted.Key == nil) && len(got.Headers) == len(wanted.Headers)
	for n := 0; same && n < len(got.Headers); n++ {
		same = got.Headers[n].Key == wanted.Headers[n].Key &&
			bytes.Equal(got.Headers[n].Value, wanted.Headers[n].Value)
	}
	return same
}

// roundTrip: written with the codec, read from assigned partitions, compared byte by byte.
func roundTrip(client Client, topic, codec string, idempotent bool) {
	Check(client.Create(topic, Partitions, nil), "create topic")
	sent := Records(codec)
	for n, offset := range client.Produce(topic, sent, codec, idempotent) {
		Equal(offset, int64(n/Partitions), "offset told")
	}
	found := client.Read(topic, Partitions, nil, Count, true)
	for n, wanted := range sent {
		wanted.Offset = int64(n / Partitions)
		records := found[wanted.Partition]
		Equal(len(records), Count/Partitions, "count of a partition")
		if got := records[wanted.Offset]; !sameRecord(got, wanted) {
			Fail("record %d: found %.300v, wanted %.300v", n, got, wanted)
		}
	}
}

func seek(client Client, topic string) {
	Check(client.Create(topic, Partitions, nil), "create topic")
	client.Produce(topic, Records("seek"), "none", false)
	end := int64(Count / Partitions)
	Equal(client.OffsetAt(topic, 1, Earliest), int64(0), "earliest")
	Equal(client.OffsetAt(topic, 1, Latest), end, "latest")
	Equal(client.OffsetAt(topic, 1, StartMs+450_000), int64(150), "by time")
	tail := map[int32]int64{0: end - 2, 1: end - 2, 2: end - 2}
	found := client.Read(topic, Partitions, tail, 6, false)
	Equal(found[2][0].Offset, end-2, "after a seek")
	tail = map[int32]int64{0: client.OffsetAt(topic, 0, StartMs+300_000), 1: end, 2: end}
	found = client.Read(topic, Partitions, tail, int(end)-100, false)
	Equal(found[0][0].TimeMs, StartMs+300_000, "first from the time")
}
