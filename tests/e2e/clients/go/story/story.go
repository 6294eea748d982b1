// Package story is what every Go client of the matrix is asked to do; a client is an adapter with
// the methods of Client. PROGRAM HOST:PORT [FEATURE...].
package story

import (
	"bytes"
	"fmt"
	"os"
	"reflect"
	"runtime/debug"
	"sort"
	"strings"
	"sync"
	"time"
)

const (
	Partitions       = 3
	MemberPartitions = 4
	Count            = 600
	StartMs          = int64(1_700_000_000_000)
	Earliest         = int64(-2)
	Latest           = int64(-1)
	Wait             = 40 * time.Second
)

var (
	Codecs   = []string{"none", "gzip", "snappy", "lz4", "zstd"}
	features = append(append([]string{"admin"}, Codecs...), "idempotent", "seek", "resume", "group",
		"cooperative", "kip848", "group-admin", "transaction", "exactly-once", "fenced")
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

// Client is one library. Its methods stop the feature with Check, Equal or Fail.
type Client interface {
	Create(topic string, partitions int, configs map[string]string) error
	// Produce returns the offsets told, or nil when the library tells none.
	Produce(topic string, records []Record, codec string, idempotent bool) []int64
	// Read returns `count` records by partition, from the start or from the given offsets.
	Read(topic string, partitions int, from map[int32]int64, count int, committed bool) [][]Record
	OffsetAt(topic string, partition int32, asked int64) int64
	Join(topic, group, kind, instance string, seen *Seen) Member
	Transactional(name string) Transactional
	Committed(group, topic string, partitions int) []int64
	Admin(topic string)
	GroupAdmin(group string)
}

// Member polls on goroutines of its own until Stop, which commits and leaves.
type Member interface{ Stop() }

type Transactional interface {
	Begin()
	Send(topic string, records []Record)
	End(commit bool) error
	Consume(topic, group string, count int) [][]byte
	SendOffsets()
	DoneConsuming()
	Close()
}

type wrong string
type unsupported string

func Fail(format string, arguments ...any) { panic(wrong(fmt.Sprintf(format, arguments...))) }

func Unsupported(why string) { panic(unsupported(why)) }

func Check(err error, what string) {
	if err != nil {
		Fail("%s: %v", what, err)
	}
}

func Equal(found, wanted any, what string) {
	if !reflect.DeepEqual(found, wanted) {
		Fail("%s: found %.300v, wanted %.300v", what, found, wanted)
	}
}

func WaitFor(done func() bool, what string) {
	end := time.Now().Add(Wait)
	for !done() {
		Equal(time.Now().Before(end), true, "in time: "+what)
		time.Sleep(50 * time.Millisecond)
	}
}

// Seen is what a member has read and owns; its goroutines report errors here as well.
type Seen struct {
	lock  sync.Mutex
	found map[Place]bool
	owned map[int32]bool
	err   error
}

func newSeen() *Seen { return &Seen{found: map[Place]bool{}, owned: map[int32]bool{}} }

func (s *Seen) Add(partition int32, offset int64) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.found[Place{partition, offset}] = true
}

func (s *Seen) Own(partitions []int32, owns bool) {
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, partition := range partitions {
		if owns {
			s.owned[partition] = true
		} else {
			delete(s.owned, partition)
		}
	}
}

func (s *Seen) Error(err error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.err = err
}

func (s *Seen) count() int {
	s.lock.Lock()
	defer s.lock.Unlock()
	Check(s.err, "a group member")
	return len(s.owned)
}

func places(all ...*Seen) []Place {
	found := map[Place]bool{}
	for _, one := range all {
		one.lock.Lock()
		for at := range one.found {
			found[at] = true
		}
		one.lock.Unlock()
	}
	sorted := []Place{}
	for at := range found {
		sorted = append(sorted, at)
	}
	sort.Slice(sorted, func(a, b int) bool {
		one, two := sorted[a], sorted[b]
		return one.Partition < two.Partition ||
			one.Partition == two.Partition && one.Offset < two.Offset
	})
	return sorted
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

func resume(client Client, topic string) {
	Check(client.Create(topic, MemberPartitions, nil), "create topic")
	for _, step := range []struct{ first, sent, wanted int }{
		{0, 200, 200}, {200, 4, 4}, {204, 0, 0}, {204, 40, 40}} {
		client.Produce(topic, Plain(step.first, step.sent, MemberPartitions, ""), "none", false)
		seen := newSeen()
		member := client.Join(topic, topic, "group", "", seen)
		WaitFor(func() bool { return seen.count() == MemberPartitions }, "all for the only one")
		WaitFor(func() bool { return len(places(seen)) >= step.wanted }, "records")
		time.Sleep(300 * time.Millisecond)
		member.Stop()
		wanted := newSeen()
		for _, one := range Plain(step.first, step.wanted, MemberPartitions, "") {
			var n int
			fmt.Sscan(string(one.Value), &n)
			wanted.Add(one.Partition, int64(n/MemberPartitions))
		}
		Equal(places(seen), places(wanted), "records from the commit on")
	}
}

// share: two members share, one leaves, the commits of both are resumed.
func share(client Client, topic, kind, instance string) {
	Check(client.Create(topic, MemberPartitions, nil), "create topic")
	produce := func(first, count int) {
		client.Produce(topic, Plain(first, count, MemberPartitions, ""), "none", false)
	}
	produce(0, 400)
	one, two, three := newSeen(), newSeen(), newSeen()
	first := client.Join(topic, topic, kind, "", one)
	WaitFor(func() bool { return len(places(one)) == 400 }, "all records")
	second := client.Join(topic, topic, kind, instance, two)
	WaitFor(func() bool { return one.count() == 2 && two.count() == 2 }, "two each")
	produce(400, 400)
	WaitFor(func() bool { return len(places(one, two)) == 800 }, "all records of both")
	first.Stop()
	WaitFor(func() bool { return two.count() == MemberPartitions }, "all for who stays")
	second.Stop()
	produce(800, 4)
	third := client.Join(topic, topic, kind, instance, three)
	WaitFor(func() bool { return len(places(three)) >= 4 }, "what came since")
	third.Stop()
	Equal(places(three), []Place{{0, 200}, {1, 200}, {2, 200}, {3, 200}}, "only what came since")
}

func groupAdmin(client Client, topic string) {
	Check(client.Create(topic, MemberPartitions, nil), "create topic")
	client.Produce(topic, Plain(0, 80, MemberPartitions, ""), "none", false)
	seen := newSeen()
	member := client.Join(topic, topic, "group", "", seen)
	WaitFor(func() bool { return len(places(seen)) == 80 }, "all records")
	member.Stop()
	client.GroupAdmin(topic)
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

func tell(client Client, feature, topic string, lacks map[string]string) {
	if why, lacking := lacks[feature]; lacking {
		Unsupported(why)
	}
	instance := "static-2"
	if _, lacking := lacks["static"]; lacking || feature == "kip848" {
		instance = "" // In the newer protocol a static member is awaited for its whole session.
	}
	switch feature {
	case "admin":
		client.Admin(topic)
	case "idempotent":
		roundTrip(client, topic, "none", true)
	case "seek":
		seek(client, topic)
	case "resume":
		resume(client, topic)
	case "group", "cooperative", "kip848":
		share(client, topic, feature, instance)
	case "group-admin":
		groupAdmin(client, topic)
	case "transaction":
		transaction(client, topic)
	case "exactly-once":
		exactlyOnce(client, topic)
	case "fenced":
		fenced(client, topic)
	default:
		roundTrip(client, topic, feature, false)
	}
}

func result(run func()) (said string) {
	defer func() {
		switch what := recover().(type) {
		case nil:
		case unsupported:
			said = "unsupported " + string(what)
		case wrong:
			said = "bad " + strings.ReplaceAll(string(what), "\n", " ")
		default:
			debug.PrintStack()
			said = fmt.Sprintf("bad panic: %v", what)
		}
	}()
	run()
	return "ok"
}

// Main runs the named features, or all. `module` is looked up for the version.
func Main(name, module string, client Client, lacks map[string]string) {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dependency := range info.Deps {
			if dependency.Path == module {
				fmt.Printf("version %s\n", dependency.Version)
			}
		}
	}
	chosen := features
	if len(os.Args) > 2 {
		chosen = os.Args[2:]
	}
	for _, feature := range chosen {
		topic := fmt.Sprintf("%s-%s-%d", name, feature, time.Now().UnixMilli()%1_000_000_000)
		said := result(func() { tell(client, feature, topic, lacks) })
		fmt.Printf("feature %s %s\n", feature, said)
	}
}
