// franz-go: transactions right behind one another, from several producers at once, so that each one
// begins while the markers of the one before are being written. chain HOST:PORT.
package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	. "tailrace/e2e/story"
)

const (
	producers    = 4
	transactions = 100
	partitions   = 8
)

func open(options ...kgo.Opt) *kgo.Client {
	client, err := kgo.NewClient(append(options, kgo.SeedBrokers(os.Args[1]))...)
	Check(err, "client")
	return client
}

// One record to each partition; every third transaction is aborted.
func produce(ctx context.Context, topic string, id int) {
	name := fmt.Sprintf("%s-%d", topic, id)
	client := open(kgo.TransactionalID(name), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer client.Close()
	for n := range transactions {
		Check(client.BeginTransaction(), "begin")
		records := []*kgo.Record{}
		for p := range int32(partitions) {
			records = append(records, &kgo.Record{Topic: topic, Partition: p,
				Value: fmt.Appendf(nil, "%d %d", id, n)})
		}
		err := client.ProduceSync(ctx, records...).FirstErr()
		Check(err, fmt.Sprintf("transaction %d of %s: produce", n, name))
		commit := kgo.TransactionEndTry(n%3 != 2)
		Check(client.EndTransaction(ctx, commit), fmt.Sprintf("transaction %d: end", n))
	}
}

// In each partition those of each producer that were committed, in order.
func check(ctx context.Context, topic string) {
	reader := open(kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer reader.Close()
	next := map[string]int{}
	for left := producers * partitions * (transactions - transactions/3); left > 0; {
		fetches := reader.PollFetches(ctx)
		Check(ctx.Err(), fmt.Sprintf("%d records to come", left))
		fetches.EachRecord(func(record *kgo.Record) {
			var id, n int
			_, err := fmt.Sscanf(string(record.Value), "%d %d", &id, &n)
			Check(err, "a value")
			where := fmt.Sprintf("producer %d in partition %d", id, record.Partition)
			if next[where]%3 == 2 {
				next[where]++
			}
			Equal(n, next[where], where)
			next[where]++
			left--
		})
	}
}

func main() {
	if len(os.Args) != 2 {
		fmt.Println("chain HOST:PORT")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	topic := fmt.Sprintf("chain-%d", time.Now().UnixMilli())
	client := open()
	_, err := kadm.NewClient(client).CreateTopic(ctx, partitions, 1, nil, topic)
	Check(err, "create topic")
	client.Close()
	begun := time.Now()
	var all sync.WaitGroup
	for id := range producers {
		all.Go(func() { produce(ctx, topic, id) })
	}
	all.Wait()
	fmt.Printf("franz-go, %d transactions in %.1f s\n", producers*transactions,
		time.Since(begun).Seconds())
	check(ctx, topic)
	fmt.Println("OK")
}
