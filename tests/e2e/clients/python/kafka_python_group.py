"""kafka-python by group: two members share, commits are resumed, groups are administered."""
import sys
import threading
import time

import kafka
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient

PARTITIONS = 4
RECORDS = 400
GROUP = TOPIC = "kafka-python-group"


def expect_equal(found, wanted, what):
    if found != wanted:
        print(f"{what}: found {found!r}, wanted {wanted!r}")
        sys.exit(1)


def produce(address, first, count):
    producer = KafkaProducer(bootstrap_servers=address)
    for number in range(first, first + count):
        producer.send(TOPIC, str(number).encode(), partition=number % PARTITIONS)
    producer.flush(30)
    producer.close()


class Member(threading.Thread):
    """Polls on a thread of its own: a poll may wait for a rebalance that needs the other. Commits
    by itself, as clients do unless told otherwise: also before a rebalance and when it closes."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.consumer = KafkaConsumer(TOPIC, bootstrap_servers=address, group_id=GROUP,
                                      auto_offset_reset="earliest",
                                      session_timeout_ms=10000, heartbeat_interval_ms=1000)
        self.found = []
        self.count = 0
        self.stopping = False
        self.start()

    def run(self):
        while not self.stopping:
            for messages in self.consumer.poll(200).values():
                self.found += [(m.partition, m.offset) for m in messages]
            self.count = len(self.consumer.assignment())
        self.consumer.close()

    def stop(self):
        self.stopping = True
        self.join(60)
        expect_equal(self.is_alive(), False, "a member that stops is still there")


def wait_for(done, what, seconds=60):
    end = time.monotonic() + seconds
    while not done():
        expect_equal(time.monotonic() < end, True, f"in time: {what}")
        time.sleep(0.05)


def share(address):
    first = Member(address)
    wait_for(lambda: len(first.found) == RECORDS, "all records")
    second = Member(address)
    wait_for(lambda: first.count == 2 and second.count == 2, "two each")
    produce(address, RECORDS, RECORDS)
    wait_for(lambda: len(set(first.found + second.found)) == 2 * RECORDS, "all records of both")
    first.stop()
    wait_for(lambda: second.count == PARTITIONS, "all for who stays")
    second.stop()


def resume(address):
    produce(address, 2 * RECORDS, 4)
    third = Member(address)
    wait_for(lambda: len(third.found) >= 4, "what came since the commit")
    third.stop()
    expect_equal(sorted(third.found), [(p, 2 * RECORDS // PARTITIONS) for p in range(PARTITIONS)],
                 "only what came since")


def administer(admin):
    expect_equal(GROUP in str(admin.list_groups()), True, "the group is listed")
    told = str(admin.describe_groups([GROUP]))
    expect_equal("Empty" in told, True, f"an empty group in {told}")
    offsets = admin.list_group_offsets([GROUP])[GROUP]
    at = 2 * RECORDS // PARTITIONS + 1
    expect_equal({p.partition: o.offset for p, o in offsets.items()},
                 {p: at for p in range(PARTITIONS)}, "offsets")
    admin.delete_groups([GROUP])
    expect_equal(GROUP in str(admin.list_groups()), False, "the group is gone")


def main():
    address = sys.argv[1]
    print(f"kafka-python {kafka.__version__}")
    admin = KafkaAdminClient(bootstrap_servers=address)
    admin.create_topics({TOPIC: {"num_partitions": PARTITIONS, "replication_factor": 1}})
    produce(address, 0, RECORDS)
    share(address)
    resume(address)
    administer(admin)
    admin.close()
    print("OK")


main()
