"""confluent-kafka (librdkafka): commit and abort at both isolation levels, offsets in transactions,
a producer of old is fenced.

    confluent_transactions.py ADDRESS              all of that; ends with OK
    confluent_transactions.py ADDRESS hold ID MS   begins a transaction, says "open", waits for a
                                                   line, commits, says what came of it
"""
import sys
import time

import confluent_kafka
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

TOPIC = "confluent-transactions"
PARTITIONS = 3


def expect_equal(found, wanted, what):
    if found != wanted:
        print(f"{what}: found {found!r}, wanted {wanted!r}")
        sys.exit(1)


def make_topic(address, topic):
    admin = AdminClient({"bootstrap.servers": address})
    for made in admin.create_topics([NewTopic(topic, PARTITIONS, 1)]).values():
        made.result()


def producer_of(address, name, timeout_ms=60000):
    return Producer({"bootstrap.servers": address, "transactional.id": name,
                     "transaction.timeout.ms": timeout_ms})


def send(producer, topic, count):
    for number in range(count):
        producer.produce(topic, str(number), partition=number % PARTITIONS)
    producer.flush()  # An abort drops what was not sent yet.


def count(address, topic, isolation):
    consumer = Consumer({"bootstrap.servers": address, "group.id": "none",
                         "isolation.level": isolation, "enable.auto.commit": False,
                         "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, n, 0) for n in range(PARTITIONS)])
    found, at_end = 0, set()
    end = time.monotonic() + 60
    while len(at_end) < PARTITIONS:
        expect_equal(time.monotonic() < end, True, "in time: read to the end")
        message = consumer.poll(1)
        if message is None:
            continue
        if message.error() is not None:
            expect_equal(message.error().code(), confluent_kafka.KafkaError._PARTITION_EOF,
                         "an error instead of a record")
            at_end.add(message.partition())
        else:
            found += 1
    consumer.close()
    return found


def expect_count(address, topic, isolation, wanted, what):
    """A commit is told when it is decided; its markers come a moment later."""
    end = time.monotonic() + 20
    found = count(address, topic, isolation)
    while found != wanted and time.monotonic() < end:
        found = count(address, topic, isolation)
    expect_equal(found, wanted, what)


def committed(address):
    reader = Consumer({"bootstrap.servers": address, "group.id": TOPIC})
    found = reader.committed([TopicPartition(TOPIC, 0)], 30)[0].offset
    reader.close()
    return found


def story(address):
    make_topic(address, TOPIC)
    reader = Consumer({"bootstrap.servers": address, "group.id": TOPIC})
    group = reader.consumer_group_metadata()
    first = producer_of(address, "confluent")
    first.init_transactions(30)
    for number in range(10):
        first.begin_transaction()
        send(first, TOPIC, 10)
        first.send_offsets_to_transaction([TopicPartition(TOPIC, 0, number)], group, 30)
        if number % 2 == 0:
            first.commit_transaction(30)
        else:
            first.abort_transaction(30)
        expect_equal(committed(address), number - number % 2, "the offset committed")
    expect_count(address, TOPIC, "read_committed", 50, "records committed")
    first.begin_transaction()
    send(first, TOPIC, 10)
    first.flush(30)
    expect_count(address, TOPIC, "read_uncommitted", 110, "records written")
    expect_count(address, TOPIC, "read_committed", 50, "records committed, others open")
    second = producer_of(address, "confluent")
    second.init_transactions(30)
    try:
        first.commit_transaction(30)
        expect_equal(True, False, "the producer of old is fenced")
    except KafkaException as error:
        expect_equal(error.args[0].fatal(), True, "it is told that it is")
    second.begin_transaction()
    send(second, TOPIC, 5)
    second.commit_transaction(30)
    expect_count(address, TOPIC, "read_committed", 55, "records committed by both")
    reader.close()
    print(f"confluent-kafka {confluent_kafka.version()}, "
          f"librdkafka {confluent_kafka.libversion()[0]}")
    print("OK")


def hold(address, name, timeout_ms):
    make_topic(address, name)
    producer = producer_of(address, name, timeout_ms)
    producer.init_transactions(30)
    producer.begin_transaction()
    send(producer, name, 30)
    producer.flush(30)
    print("open", flush=True)
    sys.stdin.readline()
    try:
        producer.commit_transaction(60)
        said = "committed"
        expect_count(address, name, "read_committed", 30, "records committed")
    except KafkaException as error:
        said = f"refused {error.args[0].name()}"
    print(said, count(address, name, "read_committed"), count(address, name, "read_uncommitted"),
          flush=True)


if __name__ == "__main__":
    if sys.argv[2:3] == ["hold"]:
        hold(sys.argv[1], sys.argv[3], int(sys.argv[4]))
    else:
        story(sys.argv[1])
