"""confluent-kafka (librdkafka) by the consumer protocol (KIP-848): three members share, one leaves,
commits are resumed, a pattern finds a new topic. With a second argument only: one member that
reads what came since the commit (after a restart of the broker)."""
import sys
import time

import confluent_kafka
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

PARTITIONS = 6
RECORDS = 300
TOPIC = "confluent-848"


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
    def __init__(self, address, topic, **settings):
        self.consumer = Consumer({
            "bootstrap.servers": address, "group.id": TOPIC, "group.protocol": "consumer",
            "auto.offset.reset": "earliest", "enable.auto.commit": False, **settings})
        self.found = []
        self.consumer.subscribe([topic])

    def poll(self, seconds=0.2):
        for message in self.consumer.consume(100, seconds):
            expect_equal(message.error(), None, "an error instead of a record")
            self.found.append((message.topic(), message.partition(), message.offset()))

    def count(self):
        return len(self.consumer.assignment())


def poll_until(members, done, what, seconds=60):
    end = time.monotonic() + seconds
    while not done():
        expect_equal(time.monotonic() < end, True, f"in time: {what}")
        for member in members:
            member.poll()


def create(address, topic):
    admin = AdminClient({"bootstrap.servers": address})  # Its answers go when it goes.
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(30)


def commit(members):
    for member in members:
        if member.count() > 0 and member.found:
            member.consumer.commit(asynchronous=False)


def share(address):
    create(address, TOPIC)
    produce(address, TOPIC, 0, RECORDS)
    members = [Member(address, TOPIC)]
    poll_until(members, lambda: len(members[0].found) == RECORDS, "all records")
    commit(members)
    for assignor in [None, "uniform"]:
        more = {"group.remote.assignor": assignor} if assignor else {}
        members.append(Member(address, TOPIC, **more))
    poll_until(members, lambda: [m.count() for m in members] == [2, 2, 2], "two each")
    produce(address, TOPIC, RECORDS, RECORDS)
    poll_until(members, lambda: len(set(sum((m.found for m in members), []))) == 2 * RECORDS,
               "all records of all three")
    commit(members)
    members.pop(0).consumer.close()
    poll_until(members, lambda: [m.count() for m in members] == [3, 3], "three each")
    produce(address, TOPIC, 2 * RECORDS, PARTITIONS)
    for member in members:
        member.consumer.close()
    resume(address, 2 * RECORDS // PARTITIONS)


def resume(address, at):
    member = Member(address, TOPIC)
    poll_until([member], lambda: len(member.found) >= PARTITIONS, "what came since the commit")
    member.poll(1)
    expect_equal(sorted(member.found), [(TOPIC, p, at) for p in range(PARTITIONS)],
                 "only what came since")
    member.consumer.commit(asynchronous=False)
    member.consumer.close()


def pattern(address):
    member = Member(address, "^confluent-later-.*", **{
        "group.id": TOPIC + "-pattern", "topic.metadata.refresh.interval.ms": 1000})
    member.poll(1)
    topic = "confluent-later-1"
    create(address, topic)
    produce(address, topic, 0, PARTITIONS)
    poll_until([member], lambda: len(member.found) == PARTITIONS, "records of the new topic")
    member.consumer.close()


def main():
    address = sys.argv[1]
    print(f"confluent-kafka {confluent_kafka.__version__}, librdkafka "
          f"{confluent_kafka.libversion()[0]}")
    if len(sys.argv) > 2:
        at = int(sys.argv[2])
        produce(address, TOPIC, at * PARTITIONS, PARTITIONS)
        resume(address, at)
    else:
        share(address)
        pattern(address)
    print("OK")


main()
