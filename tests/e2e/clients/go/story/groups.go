package story

import (
	"fmt"
	"sort"
	"sync"
	"time"
)

// Member polls on goroutines of its own until Stop, which commits and leaves.
type Member interface{ Stop() }

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
