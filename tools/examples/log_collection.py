#!/usr/bin/env python3
"""Log collection: files are followed into a topic, line by line, and read back.

    log_collection.py HOST:PORT [FILE...]      follows the files until interrupted
    log_collection.py HOST:PORT --check        writes files of its own, follows them while they
                                               grow and are rotated, and compares what arrived

The key of a record is the file's name, so the lines of a file keep their order; an idempotent
producer writes none twice. Needs confluent-kafka (pip install confluent-kafka).
"""
import argparse
import os
import sys
import tempfile
import threading
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

PARTITIONS = 4


class Follower:
    """One file: its complete lines since the last look, over a rotation by renaming."""

    def __init__(self, path):
        self.path = path
        self.file = None
        self.rest = b""

    def lines(self):
        found = []
        if self.file is not None:
            found += self.read()
            if not os.path.exists(self.path) or \
                    os.stat(self.path).st_ino != os.fstat(self.file.fileno()).st_ino:
                found += self.read()  # What was written before the renaming was seen.
                self.file.close()
                self.file = None
        if self.file is None and os.path.exists(self.path):
            self.file = open(self.path, "rb")  # pylint: disable=consider-using-with
            found += self.read()
        return found

    def read(self):
        *lines, self.rest = (self.rest + self.file.read()).split(b"\n")
        return lines


def follow(address, topic, paths, stop):
    failed = []
    producer = Producer({"bootstrap.servers": address, "enable.idempotence": True,
                         "compression.type": "zstd", "linger.ms": 50})
    followers = [Follower(path) for path in paths]
    last = False
    while not last:
        last = stop.is_set()  # One more look after the end.
        for one in followers:
            for line in one.lines():
                producer.produce(topic, line, os.path.basename(one.path), on_delivery=lambda
                                 error, _: error and failed.append(str(error)))
                producer.poll(0)
        producer.poll(0.05)
    if producer.flush(60) or failed:
        sys.exit(f"not everything was taken: {failed[:1]}")


def create(address, topic):
    admin = AdminClient({"bootstrap.servers": address})
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(30)


def write_logs(paths, wanted):
    for number in range(3000):
        for path in paths:
            line = f"{os.path.basename(path)} line {number}"
            with open(path, "a", encoding="ascii") as file:
                file.write(line + "\n")
            wanted[os.path.basename(path)].append(line)
        if number % 1000 == 999:
            time.sleep(0.3)  # As rotation does: the writer goes on after a while.
            for path in paths:
                os.rename(path, f"{path}.{number}")


def check(address, topic):
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, name) for name in ("web.log", "db.log", "mail.log")]
        wanted = {os.path.basename(path): [] for path in paths}
        create(address, topic)
        stop = threading.Event()
        follower = threading.Thread(target=follow, args=(address, topic, paths, stop))
        follower.start()
        write_logs(paths, wanted)
        time.sleep(0.5)
        stop.set()
        follower.join()
    consumer = Consumer({"bootstrap.servers": address, "group.id": "unused"})
    consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(PARTITIONS)])
    found = {name: [] for name in wanted}
    end = time.monotonic() + 60
    while sum(map(len, found.values())) < sum(map(len, wanted.values())) and \
            time.monotonic() < end:
        for message in consumer.consume(1000, 0.5):
            found[message.key().decode()].append(message.value().decode())
    consumer.close()
    if found != wanted:
        print({name: (len(found[name]), len(wanted[name])) for name in wanted})
        return 1
    print(f"OK: {sum(map(len, wanted.values()))} lines of {len(wanted)} files, in order")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("address", metavar="HOST:PORT")
    parser.add_argument("files", nargs="*")
    parser.add_argument("--topic", default=f"logs-{int(time.time())}")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if options.check:
        return check(options.address, options.topic)
    try:
        return follow(options.address, options.topic, options.files, threading.Event())
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
