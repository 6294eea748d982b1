// franz-go with static members (group.instance.id), in both group protocols: one restarts and takes
// its partitions again without a rebalance of the others; two at a time of the same name are not
// had. statics HOST:PORT.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	. "tailrace/e2e/story"
)

const (
	partitions = 6
	count      = 600
)

var address string

// A member, what it owns and has read, and how often that it owned was changed.
type member struct {
	group   string
	client  *kgo.Client
	lock    sync.Mutex
	owned   []int32
	changes int
	found   []string
	err     error
	stop    context.CancelFunc
	done    chan struct{}
}

func join(topic, protocol, instance string) *member {
	one := &member{group: topic, done: make(chan struct{})}
	took := func(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
		one.own(func(owned []int32) []int32 { return append(owned, parts[topic]...) })
	}
	lost := func(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
		one.own(func(owned []int32) []int32 {
			return slices.DeleteFunc(owned, func(p int32) bool {
				return slices.Contains(parts[topic], p)
			})
		})
	}
	// What was read is committed before somebody else reads on.
	gave := func(ctx context.Context, client *kgo.Client, parts map[string][]int32) {
		if err := client.CommitUncommittedOffsets(ctx); err != nil {
			one.fail(err)
		}
		lost(ctx, client, parts)
	}
	options := []kgo.Opt{kgo.SeedBrokers(address), kgo.ConsumerGroup(topic),
		kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(), kgo.InstanceID(instance), kgo.SessionTimeout(10 * time.Second),
		kgo.HeartbeatInterval(500 * time.Millisecond), kgo.OnPartitionsAssigned(took),
		kgo.OnPartitionsRevoked(gave), kgo.OnPartitionsLost(lost)}
	if protocol == "consumer" {
		options = append(options, kgo.Balancers(kgo.StickyBalancer()), kgo.ServerSideBalancer())
	}
	client, err := kgo.NewClient(options...)
	Check(err, "client")
	one.client = client
	ctx, stop := context.WithCancel(context.Background())
	one.stop = stop
	go one.poll(ctx)
	return one
}

func (m *member) own(change func([]int32) []int32) {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.owned = change(m.owned)
	slices.Sort(m.owned)
	m.changes++
}

func (m *member) fail(err error) {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.err = err
}

func (m *member) poll(ctx context.Context) {
	defer close(m.done)
	for ctx.Err() == nil {
		fetches := m.client.PollFetches(ctx)
		m.lock.Lock()
		fetches.EachRecord(func(one *kgo.Record) { m.found = append(m.found, string(one.Value)) })
		for _, one := range fetches.Errors() {
			if ctx.Err() == nil {
				m.err = one.Err
			}
		}
		m.lock.Unlock()
	}
}

// What it owns, how often that changed, and its generation or epoch.
func (m *member) state() string {
	_, generation := m.client.GroupMetadata()
	m.lock.Lock()
	defer m.lock.Unlock()
	return fmt.Sprint(m.owned, m.changes, generation)
}

func (m *member) owns(wanted int) bool {
	m.lock.Lock()
	defer m.lock.Unlock()
	return len(m.owned) == wanted
}

func (m *member) failed(wanted error) bool {
	m.lock.Lock()
	defer m.lock.Unlock()
	return errors.Is(m.err, wanted)
}

// Commits and closes: a static member keeps its place.
func (m *member) close(protocol, instance string) {
	m.stop()
	<-m.done
	ctx := context.Background()
	Check(m.client.CommitUncommittedOffsets(ctx), "commit")
	if protocol == "consumer" {
		// franz-go v1.22.3 leaves without its instance id, which Kafka and we refuse: then its place
		// would be taken until its session ends.
		leave := kmsg.NewPtrConsumerGroupHeartbeatRequest()
		leave.Group = m.group
		leave.MemberID, _ = m.client.GroupMetadata()
		leave.MemberEpoch = -2
		leave.InstanceID = &instance
		told, err := leave.RequestWith(ctx, m.client)
		Check(err, "leave")
		Check(kerr.ErrorForCode(told.ErrorCode), "leave")
	}
	m.client.Close()
}

func produce(topic string, first int) {
	client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.DefaultProduceTopic(topic),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))
	Check(err, "client")
	defer client.Close()
	records := []*kgo.Record{}
	for n := first; n < first+count; n++ {
		records = append(records, &kgo.Record{Partition: int32(n % partitions),
			Value: fmt.Append(nil, n)})
	}
	Check(client.ProduceSync(context.Background(), records...).FirstErr(), "produce")
}

// Every record up to `until` was read by one of them, once.
func waitRead(until int, members ...*member) {
	read := func() (all []string) {
		for _, one := range members {
			one.lock.Lock()
			all = append(all, one.found...)
			one.lock.Unlock()
		}
		slices.Sort(all)
		return all
	}
	WaitFor(func() bool { return len(read()) >= until }, "all records")
	Equal(len(slices.Compact(read())), until, "different records")
	Equal(len(read()), until, "records")
}

func groupType(group string) string {
	client, err := kgo.NewClient(kgo.SeedBrokers(address))
	Check(err, "client")
	defer client.Close()
	listed, err := kadm.NewClient(client).ListGroups(context.Background())
	Check(err, "list groups")
	return listed[group].GroupType
}

func create(topic string) {
	client, err := kgo.NewClient(kgo.SeedBrokers(address))
	Check(err, "client")
	defer client.Close()
	_, err = kadm.NewClient(client).CreateTopic(context.Background(), partitions, 1, nil, topic)
	Check(err, "create topic")
}

func tell(protocol string) {
	topic := fmt.Sprintf("statics-%s-%d", protocol, time.Now().UnixMilli())
	create(topic)
	produce(topic, 0)
	members := []*member{}
	for _, name := range []string{"one", "two", "three"} {
		members = append(members, join(topic, protocol, name))
	}
	one, two, three := members[0], members[1], members[2]
	WaitFor(func() bool { return one.owns(2) && two.owns(2) && three.owns(2) }, "two each")
	// Has it settled? The last to be told of the newest epoch may still be on its way.
	waitRead(count, members...)
	time.Sleep(6 * time.Second)
	Equal(groupType(topic), protocol, "type of the group")
	before, others := two.state(), []string{one.state(), three.state()}
	owned := slices.Clone(two.owned)

	two.close(protocol, "two")
	produce(topic, count)
	time.Sleep(time.Second)
	again := join(topic, protocol, "two")
	WaitFor(func() bool { return again.owns(2) }, "what it had")
	Equal(again.owned, owned, "partitions of who came back, before: "+before)
	waitRead(2*count, one, two, three, again)
	time.Sleep(6 * time.Second) // More than the time between two heartbeats.
	Equal([]string{one.state(), three.state()}, others, "the others: partitions, changes, generation")

	twice(topic, protocol, again)
	one.close(protocol, "one")
	three.close(protocol, "three")
}

// Two of the same name: the classic protocol gives the place to the newer one and shuts the older
// out; the consumer protocol refuses the newer one as long as the older one is there.
func twice(topic, protocol string, first *member) {
	second := join(topic, protocol, "two")
	stays, goes, why := second, first, error(kerr.FencedInstanceID)
	if protocol == "consumer" {
		stays, goes, why = first, second, kerr.UnreleasedInstanceID
	}
	WaitFor(func() bool { return goes.failed(why) }, "one of the two learns "+why.Error())
	goes.stop()
	<-goes.done
	goes.client.CloseAllowingRebalance()
	WaitFor(func() bool { return stays.owns(2) }, "the place of the two")
	stays.close(protocol, "two")
}

func main() {
	if len(os.Args) != 2 {
		fmt.Println("statics HOST:PORT")
		os.Exit(2)
	}
	address = os.Args[1]
	fmt.Println("franz-go, static members")
	for _, protocol := range []string{"classic", "consumer"} {
		tell(protocol)
	}
	fmt.Println("OK")
}
