// Package story is what every Go client of the matrix is asked to do; a client is an adapter with
// the methods of Client. PROGRAM HOST:PORT [FEATURE...].
package story

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"
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
