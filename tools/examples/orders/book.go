package main

import (
	"encoding/json"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
)

const customers = 20

// An order's number counts the orders of its customer.
type order struct {
	Customer string
	Number   int
	By       string // Who fulfilled it.
}

func orderOf(n int) order {
	return order{Customer: fmt.Sprintf("customer-%d", n%customers), Number: n / customers}
}

// The customer is the key: its orders stay in one partition.
func (o order) record(topic string) *kgo.Record {
	value, err := json.Marshal(o)
	check(err, "an order")
	return &kgo.Record{Topic: topic, Key: []byte(o.Customer), Value: value}
}

// A book of what was fulfilled: of each customer 0, 1, 2, ..., perhaps some of them again, none left
// out.
type book struct {
	next         map[string]int
	by           map[string]int
	count, again int
}

func newBook() *book {
	return &book{next: map[string]int{}, by: map[string]int{}}
}

func (b *book) take(record *kgo.Record) error {
	var one order
	if err := json.Unmarshal(record.Value, &one); err != nil {
		return err
	}
	b.by[one.By]++
	switch next := b.next[one.Customer]; {
	case string(record.Key) != one.Customer:
		return fmt.Errorf("key %q with %+v", record.Key, one)
	case one.Number < next:
		b.again++
	case one.Number > next:
		return fmt.Errorf("%+v, but order %d was not fulfilled", one, next)
	default:
		b.next[one.Customer]++
		b.count++
	}
	return nil
}
