"""confluent-kafka (librdkafka) by group: two members share, one leaves, commits are resumed."""
import sys
import time

import confluent_kafka
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

PARTITIONS = 4
RECORDS = 400
STRATEGIES = {"confluent-range": "range", "confluent-sticky": "cooperative-sticky"}


def expect_equal(found, wanted, what):
    if found != wanted:
        print(f"{what}: found {found!r}, wanted {wanted!r}")
        sys.exit(1)


def produce(address, topic, first, count):
    producer = Producer({"bootstrap.servers": address})
    for number in range(first, first + count):
        producer.produce(topic, str(number), partition=number % PARTITIONS)
    producer.flush(30)


class Member:
    def __init__(self, address, group, topic, strategy, **settings):
        self.consumer = Consumer({
            "bootstrap.servers": address, "group.id": group, "auto.offset.reset": "earliest",
            "enable.auto.commit": False, "session.timeout.ms": 6000,
            "partition.assignment.strategy": strategy, **settings})
        self.found = []
        self.consumer.subscribe([topic])

    def poll(self, seconds=0.2):
        for message in self.consumer.consume(100, seconds):
            expect_equal(message.error(), None, "an error instead of a record")
            self.found.append((message.partition(), message.offset()))

    def count(self):
        return len(self.consumer.assignment())


def poll_until(members, done, what, seconds=60):
    end = time.monotonic() + seconds
    while not done():
        expect_equal(time.monotonic() < end, True, f"in time: {what}")
        for member in members:
            member.poll()


def share(address, group, strategy):
    topic = group
    admin = AdminClient({"bootstrap.servers": address})
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(30)
    produce(address, topic, 0, RECORDS)
    first = Member(address, group, topic, strategy)
    poll_until([first], lambda: len(first.found) == RECORDS, "all records")
    expect_equal(first.count(), PARTITIONS, "partitions of the only member")
    first.consumer.commit(asynchronous=False)
    second = Member(address, group, topic, strategy, **{"group.instance.id": "static-2"})
    poll_until([first, second], lambda: first.count() == 2 and second.count() == 2, "two each")
    produce(address, topic, RECORDS, RECORDS)
    poll_until([first, second], lambda: len(set(first.found + second.found)) == 2 * RECORDS,
               "all records of both")
    first.consumer.commit(asynchronous=False)
    second.consumer.commit(asynchronous=False)
    first.consumer.close()
    poll_until([second], lambda: second.count() == PARTITIONS, "all for who stays")
    second.consumer.close()
    resume(address, group, strategy)


def resume(address, group, strategy):
    produce(address, group, 2 * RECORDS, 4)
    third = Member(address, group, group, strategy)
    poll_until([third], lambda: len(third.found) >= 4, "what came since the commit")
    third.poll(1)
    expect_equal(sorted(third.found), [(p, 2 * RECORDS // PARTITIONS) for p in range(PARTITIONS)],
                 "only what came since")
    third.consumer.commit(asynchronous=False)
    third.consumer.close()


def administer(address, group):
    admin = AdminClient({"bootstrap.servers": address})
    listed = admin.list_consumer_groups(request_timeout=30).result()
    expect_equal(group in [g.group_id for g in listed.valid], True, "the group is listed")
    end = time.monotonic() + 20  # A static member that was closed stays for its session.
    while True:
        told = admin.describe_consumer_groups([group], request_timeout=30)[group].result()
        if told.state == confluent_kafka.ConsumerGroupState.EMPTY or time.monotonic() > end:
            break
        time.sleep(0.5)
    expect_equal(told.state, confluent_kafka.ConsumerGroupState.EMPTY, "state")
    at = 2 * RECORDS // PARTITIONS + 1
    asked = ConsumerGroupTopicPartitions(group)
    offsets = admin.list_consumer_group_offsets([asked])[group].result().topic_partitions
    expect_equal(sorted((p.partition, p.offset) for p in offsets),
                 [(p, at) for p in range(PARTITIONS)], "offsets")
    change = ConsumerGroupTopicPartitions(group, [TopicPartition(group, 0, 7)])
    admin.alter_consumer_group_offsets([change])[group].result()
    offsets = admin.list_consumer_group_offsets([asked])[group].result().topic_partitions
    expect_equal(sorted((p.partition, p.offset) for p in offsets)[0], (0, 7), "an offset changed")
    admin.delete_consumer_groups([group], request_timeout=30)[group].result()
    listed = admin.list_consumer_groups(request_timeout=30).result()
    expect_equal(group in [g.group_id for g in listed.valid], False, "the group is gone")


def main():
    address = sys.argv[1]
    print(f"confluent-kafka {confluent_kafka.__version__}, librdkafka "
          f"{confluent_kafka.libversion()[0]}")
    for group, strategy in STRATEGIES.items():
        share(address, group, strategy)
        administer(address, group)
    print("OK")


main()
