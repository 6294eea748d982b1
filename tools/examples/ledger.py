#!/usr/bin/env python3
"""A ledger with transactions: every transfer is booked once, whoever is killed.

    ledger.py HOST:PORT [--transfers N] [--seconds N]

Transfers between accounts go into a topic. Two workers of one group read them; each books a few at
a time in a transaction: two entries, a debit and a credit, for every transfer, and the offsets of
what it has read. Some transactions are aborted on purpose, and workers are ended with kill -9 at
random and started again. At the end every transfer must be booked exactly once, and the balances
must add up to nothing. Needs confluent-kafka (pip install confluent-kafka).

The parts alone, for a test that also kills the broker; NAME is the ledger's name:
    ledger.py HOST:PORT --name NAME create | feed FIRST COUNT | work ID | check COUNT
"""
import argparse
import json
import random
import subprocess
import sys
import threading
import time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

ACCOUNTS = 20
PARTITIONS = 3
BOOKED_AT_ONCE = 10
ABORTED_SHARE = 0.1
WAIT_S = 120
# Rebootstrapping is off because of librdkafka's issue 5511 (seen with 2.16): once all brokers were
# away, the group's coordinator stays remembered as a broker handle that is gone, and the offsets
# of a transaction are never sent.
RETRY = {"reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 200, "retry.backoff.ms": 20,
         "metadata.recovery.strategy": "none", "log_level": 0}


class Ledger:
    def __init__(self, address, name):
        self.settings = {"bootstrap.servers": address, **RETRY}
        self.transfers = name + "-transfers"
        self.entries = name + "-entries"

    def create(self):
        admin = AdminClient(self.settings)
        wanted = [NewTopic(topic, PARTITIONS, 1) for topic in (self.transfers, self.entries)]
        for done in admin.create_topics(wanted).values():
            done.result(30)

    def feed(self, first, count):
        """Transfer n is drawn from the seed n: whoever checks knows what it should be."""
        producer = Producer({**self.settings, "enable.idempotence": True,
                             "message.timeout.ms": 600000})
        failed = []
        for number in range(first, first + count):
            producer.produce(self.transfers, json.dumps(transfer(number)),
                             partition=number % PARTITIONS,
                             on_delivery=lambda error, _: error and failed.append(str(error)))
            producer.poll(0.002)
        left = producer.flush(WAIT_S)
        if left or failed:
            sys.exit(f"{left} transfers were not taken: {failed[:1]}")

    # --- A worker. One transaction after the other; what goes wrong in one is begun again from the
    # committed offsets, with a new producer if the old one was shut out.
    def work(self, name, stop):
        while not stop.is_set():
            try:
                self.work_on(name, stop)
            except KafkaException as error:
                print(f"{name}: {error.args[0]}", file=sys.stderr, flush=True)
                time.sleep(0.05)

    def work_on(self, name, stop):
        producer = Producer({**self.settings, "transactional.id": f"{self.entries}-{name}",
                             "transaction.timeout.ms": 10000})
        retried(lambda: producer.init_transactions(10), stop)
        consumer = Consumer({**self.settings, "group.id": self.transfers,
                             "enable.auto.commit": False, "auto.offset.reset": "earliest",
                             "isolation.level": "read_committed", "session.timeout.ms": 6000,
                             "group.instance.id": name})
        try:
            consumer.subscribe([self.transfers])
            while not stop.is_set():
                batch = [m for m in consumer.consume(BOOKED_AT_ONCE, 0.2) if m.error() is None]
                if batch:
                    self.book(producer, consumer, batch, stop)
        finally:
            consumer.close()

    def book(self, producer, consumer, batch, stop):
        producer.begin_transaction()
        try:
            for message in batch:
                one = json.loads(message.value())
                for account, amount in ((one["from"], -one["amount"]), (one["to"], one["amount"])):
                    producer.produce(self.entries, json.dumps(
                        {"id": one["id"], "account": account, "amount": amount}),
                        key=str(account), partition=account % PARTITIONS)
            if random.random() < ABORTED_SHARE:
                producer.flush(10)
                raise Aborted()
            at = consumer.position(consumer.assignment())
            group = consumer.consumer_group_metadata()
            retried(lambda: producer.send_offsets_to_transaction(
                [p for p in at if p.offset >= 0], group, 10), stop)
            retried(lambda: producer.commit_transaction(10), stop)
        except Aborted:
            retried(lambda: producer.abort_transaction(10), stop)
            rewind(consumer)
        except KafkaException as error:
            if not error.args[0].txn_requires_abort():
                raise
            retried(lambda: producer.abort_transaction(10), stop)
            rewind(consumer)

    # --- The check.
    def check(self, count):
        """Reads committed entries until every transfer is there twice, and a little more."""
        consumer = Consumer({**self.settings, "group.id": "unused", "enable.auto.commit": False,
                             "isolation.level": "read_committed"})
        consumer.assign([TopicPartition(self.entries, p, 0) for p in range(PARTITIONS)])
        booked, balances, quiet = {}, {}, 0
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end and quiet < 3:
            messages = consumer.consume(1000, 0.2)
            for message in messages:
                if message.error() is not None:
                    continue
                entry = json.loads(message.value())
                booked.setdefault(entry["id"], []).append((entry["account"], entry["amount"]))
                balances[entry["account"]] = balances.get(entry["account"], 0) + entry["amount"]
            complete = len(booked) >= count and all(len(b) >= 2 for b in booked.values())
            quiet = quiet + 1 if complete and not messages else 0
        consumer.close()
        wrong = [f"transfer {n}: booked {booked.get(n, [])}, wanted {entries_of(n)}"
                 for n in range(count) if sorted(booked.get(n, [])) != entries_of(n)]
        wrong += [f"transfer {n} was never fed" for n in booked if n >= count]
        if sum(balances.values()) != 0:
            wrong.append(f"the balances add up to {sum(balances.values())}")
        return wrong


class Aborted(Exception):
    """On purpose."""


def transfer(number):
    dice = random.Random(number)
    one, other = dice.sample(range(ACCOUNTS), 2)
    return {"id": number, "from": one, "to": other, "amount": dice.randrange(1, 1000)}


def entries_of(number):
    one = transfer(number)
    return sorted([(one["from"], -one["amount"]), (one["to"], one["amount"])])


def retried(run, stop):
    """A retriable error says nothing about what happened: the same call tells."""
    while True:
        try:
            return run()
        except KafkaException as error:
            if not error.args[0].retriable() or stop.is_set():
                raise


def rewind(consumer):
    """To what is committed: the aborted batch is read again."""
    for place in consumer.committed(consumer.assignment(), 30):
        consumer.seek(TopicPartition(place.topic, place.partition, max(place.offset, 0)))


def until_input_ends():
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    return stop


def demonstrate(address, name, count, seconds):
    def start(worker):
        return subprocess.Popen([sys.executable, __file__, address, "--name", name, "work", worker],
                                stdin=subprocess.PIPE)
    ledger = Ledger(address, name)
    ledger.create()
    workers = {worker: start(worker) for worker in ("a", "b")}
    feeder = threading.Thread(target=ledger.feed, args=(0, count))
    feeder.start()
    kills, end = 0, time.monotonic() + seconds
    try:
        while time.monotonic() < end or feeder.is_alive():
            time.sleep(random.uniform(0.5, 2))
            worker = random.choice(list(workers))
            workers[worker].kill()
            workers[worker].wait()
            workers[worker] = start(worker)
            kills += 1
        wrong = ledger.check(count)
    finally:
        for worker in workers.values():
            worker.kill()
    print("\n".join(wrong[:20]) or f"OK: {count} transfers are booked once each, the balances add "
          f"up to nothing, {kills} kills")
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("address", metavar="HOST:PORT")
    parser.add_argument("--name", default=f"ledger-{int(time.time())}")
    parser.add_argument("--transfers", type=int, default=2000)
    parser.add_argument("--seconds", type=int, default=20, help="how long workers are killed")
    parser.add_argument("part", nargs="*", help="create | feed FIRST COUNT | work ID | check COUNT")
    options = parser.parse_intermixed_args()
    ledger = Ledger(options.address, options.name)
    match options.part:
        case []:
            return demonstrate(options.address, options.name, options.transfers, options.seconds)
        case ["create"]:
            return ledger.create()
        case ["feed", first, count]:
            return ledger.feed(int(first), int(count))
        case ["work", name]:
            return ledger.work(name, until_input_ends())
        case ["check", count]:
            wrong = ledger.check(int(count))
            print("\n".join(wrong[:20]) or "OK")
            return 1 if wrong else 0
    parser.error("no such part")
    return 2


if __name__ == "__main__":
    sys.exit(main())
