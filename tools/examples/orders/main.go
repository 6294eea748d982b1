// Two services over a topic: a shop takes orders, a group of three processes fulfils them.
//
//	go -C tools/examples/orders run . HOST:PORT [-orders N] [-protocol classic|consumer]
//
// One of the three is ended with kill -9 in the middle; the other two take over its share from what
// it has committed. At the end every order is fulfilled at least once, those of a customer in order.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	partitions = 6
	members    = 3
	wait       = 3 * time.Minute
)

type settings struct {
	address, topic, protocol, name string
	orders                         int
}

// Where the fulfilling service says what it has done.
func (s settings) fulfilled() string { return s.topic + "-fulfilled" }

func (s settings) open(options ...kgo.Opt) *kgo.Client {
	client, err := kgo.NewClient(append(options, kgo.SeedBrokers(s.address))...)
	check(err, "client")
	return client
}

func check(err error, what string) {
	if err != nil {
		log.Fatalf("%s: %v", what, err)
	}
}

// One service as a process of its own, which ends when its standard input does: at the latest with
// this process.
type service struct {
	*exec.Cmd
	input io.Closer
}

func (s settings) start(kind, name string) service {
	program, err := os.Executable()
	check(err, "this program")
	process := exec.Command(program, "-as", kind, "-name", name, "-topic", s.topic, "-orders",
		fmt.Sprint(s.orders), "-protocol", s.protocol, s.address)
	process.Stderr = os.Stderr
	input, err := process.StdinPipe()
	check(err, name)
	check(process.Start(), name)
	return service{process, input}
}

func (s service) stop() error {
	s.input.Close()
	return s.Wait()
}

func run(s settings) {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	client := s.open()
	admin := kadm.NewClient(client)
	_, err := admin.CreateTopics(ctx, partitions, 1, nil, s.topic, s.fulfilled())
	check(err, "topics")

	group := map[string]service{}
	for n := range members {
		name := fmt.Sprintf("fulfil-%d", n)
		group[name] = s.start("fulfil", name)
	}
	shop := s.start("shop", "shop")
	book := newBook()
	killed := ""
	s.follow(ctx, book, func() {
		if killed == "" && book.count >= s.orders/3 && len(book.by) == members {
			killed = "fulfil-1"
			check(group[killed].Process.Kill(), "kill -9")
			group[killed].Wait()
		}
	})
	if killed == "" {
		log.Fatalf("not all members took part: %v", book.by)
	}
	check(shop.Wait(), "the shop")
	for name, one := range group {
		if name != killed {
			check(one.stop(), name)
		}
	}
	s.checkGroup(ctx, admin)
	fmt.Printf("OK: %d orders fulfilled in order, %d of them again after kill -9; by %v\n",
		book.count, book.again, book.by)
}

// What was fulfilled is read as it comes, until it is everything.
func (s settings) follow(ctx context.Context, book *book, each func()) {
	reader := s.open(kgo.ConsumeTopics(s.fulfilled()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer reader.Close()
	for book.count < s.orders {
		fetches := reader.PollFetches(ctx)
		if ctx.Err() != nil {
			log.Fatalf("%d of %d orders are fulfilled in %v", book.count, s.orders, wait)
		}
		fetches.EachRecord(func(record *kgo.Record) { check(book.take(record), "the book") })
		each()
	}
}

// The group is of the kind that was asked for (a client may fall back without a word), and who was
// asked to leave has committed all that it has done.
func (s settings) checkGroup(ctx context.Context, admin *kadm.Client) {
	listed, err := admin.ListGroups(ctx)
	check(err, "groups")
	if found := listed[s.topic].GroupType; found != s.protocol {
		log.Fatalf("the group is of type %q, wanted %q", found, s.protocol)
	}
	committed, err := admin.FetchOffsets(ctx, s.topic)
	check(err, "committed offsets")
	ends, err := admin.ListEndOffsets(ctx, s.topic)
	check(err, "end offsets")
	ends.Each(func(end kadm.ListedOffset) {
		if one, _ := committed.Lookup(s.topic, end.Partition); one.At != end.Offset {
			log.Fatalf("partition %d: %d committed of %d", end.Partition, one.At, end.Offset)
		}
	})
}

func main() {
	log.SetFlags(0)
	s := settings{}
	as := flag.String("as", "", "for the processes that it starts: shop, fulfil")
	flag.StringVar(&s.name, "name", "", "for the processes that it starts")
	flag.StringVar(&s.topic, "topic", fmt.Sprintf("orders-%d", time.Now().UnixMilli()), "")
	flag.StringVar(&s.protocol, "protocol", "classic", "of the group: classic, or consumer (KIP-848)")
	flag.IntVar(&s.orders, "orders", 3000, "how many")
	// Flags may come before and behind the address.
	flag.Parse()
	if s.address = flag.Arg(0); flag.NArg() > 1 {
		flag.CommandLine.Parse(flag.Args()[1:])
	}
	if s.address == "" || flag.NArg() > 1 || s.protocol != "classic" && s.protocol != "consumer" {
		flag.Usage()
		os.Exit(2)
	}
	switch *as {
	case "shop":
		shop(s)
	case "fulfil":
		fulfil(s)
	default:
		run(s)
	}
}
