#!/usr/bin/env python3
"""A relay: reads a topic, transforms each record, writes it to another topic, exactly once.

    relay.py HOST:PORT [--records N]

Fills the first topic, then relays in transactions of 100 that carry the offsets as well. Every
third relay process gives up in the middle of a transaction, as a crash would; the next one goes
on. At the end each record must be in the second topic once. Needs confluent-kafka.
"""
import argparse
import sys
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

PARTITIONS = 3
BATCH = 100
WAIT_S = 60


def fill(settings, topic, count):
    producer = Producer({**settings, "enable.idempotence": True})
    for number in range(count):
        producer.produce(topic, f"order {number}", partition=number % PARTITIONS)
    if producer.flush(WAIT_S):
        sys.exit("the first topic was not filled")


def relay(settings, source, target, gives_up):
    """Until nothing comes any more; False: given up, with a transaction open."""
    producer = Producer({**settings, "transactional.id": target})
    producer.init_transactions(WAIT_S)  # Aborts what an earlier relay has left open.
    consumer = Consumer({**settings, "group.id": target, "enable.auto.commit": False,
                         "auto.offset.reset": "earliest", "isolation.level": "read_committed"})
    consumer.subscribe([source])
    begun = time.monotonic()
    batches = 0
    try:
        while True:
            batch = [m for m in consumer.consume(BATCH, 1) if m.error() is None]
            if not batch:
                if batches > 0 or time.monotonic() > begun + 15:
                    return True
                continue
            producer.begin_transaction()
            for message in batch:
                producer.produce(target, message.value().upper(), partition=message.partition())
            if gives_up and batches == 2:
                producer.flush(WAIT_S)
                return False
            producer.send_offsets_to_transaction(consumer.position(consumer.assignment()),
                                                 consumer.consumer_group_metadata(), WAIT_S)
            producer.commit_transaction(WAIT_S)
            batches += 1
    finally:
        consumer.close()


def read(settings, topic, count):
    consumer = Consumer({**settings, "group.id": "unused", "isolation.level": "read_committed"})
    consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(PARTITIONS)])
    found, end = [], time.monotonic() + WAIT_S
    while len(found) < count and time.monotonic() < end:
        found += [m.value().decode() for m in consumer.consume(1000, 0.5)]
    found += [m.value().decode() for m in consumer.consume(1000, 1)]
    consumer.close()
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("address", metavar="HOST:PORT")
    parser.add_argument("--records", type=int, default=3000)
    options = parser.parse_args()
    settings = {"bootstrap.servers": options.address, "log_level": 2}
    source = f"relay-{int(time.time())}"
    target = source + "-out"
    admin = AdminClient(settings)
    wanted = [NewTopic(topic, PARTITIONS, 1) for topic in (source, target)]
    for done in admin.create_topics(wanted).values():
        done.result(30)
    fill(settings, source, options.records)
    rounds = 1
    while not relay(settings, source, target, gives_up=rounds % 3 != 0):
        rounds += 1
    found = read(settings, target, options.records)
    if sorted(found) != sorted(f"ORDER {n}" for n in range(options.records)):
        print(f"{len(found)} records, {len(set(found))} different, wanted {options.records}")
        return 1
    print(f"OK: {options.records} records once each, {rounds - 1} relays gave up")
    return 0


if __name__ == "__main__":
    sys.exit(main())
