"""Kafka Connect in standalone mode, unmodified: Kafka's file source reads lines into a topic, its
file sink writes them into another file."""
import os
import re
import subprocess
import threading
import time

import toolchains
from harness import Case, Failed, expect_equal
from wire import Connection

TOPIC = "connect-lines"
START_SECONDS_MAX = 90
ARRIVE_SECONDS_MAX = 60

WORKER = """
bootstrap.servers={address}
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.storage.StringConverter
offset.storage.file.filename={folder}/offsets
offset.flush.interval.ms=500
listeners=http://127.0.0.1:0
plugin.discovery=service_load
# So that the group is soon there again after the broker was away.
consumer.session.timeout.ms=6000
consumer.heartbeat.interval.ms=1000
"""
SOURCE = """
name=lines-in
connector.class=FileStreamSource
file={folder}/in.txt
topic={topic}
"""
SINK = """
name=lines-out
connector.class=FileStreamSink
file={folder}/out.txt
topics={topic}
"""


class Writer(threading.Thread):
    """Appends lines to the source's file, a few at a time, until it is stopped."""

    def __init__(self, path, first):
        super().__init__(daemon=True)
        self.path = path
        self.next = first
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.is_set():
            with open(self.path, "a", encoding="ascii") as file:
                for _ in range(5):
                    file.write(f"line {self.next}\n")
                    self.next += 1
            time.sleep(0.02)

    def stop(self):
        self.stopping.set()
        self.join()


class Connect:
    """One worker process with both connectors; its files stay over restarts."""

    def __init__(self, context, command):
        self.folder = os.path.join(context.folder, "connect")
        os.makedirs(self.folder)
        paths = []
        for name, text in [("worker", WORKER), ("source", SOURCE), ("sink", SINK)]:
            paths.append(os.path.join(self.folder, name + ".properties"))
            with open(paths[-1], "w", encoding="ascii") as file:
                file.write(text.format(address=context.broker.address, folder=self.folder,
                                       topic=TOPIC))
        self.command = [*command, "org.apache.kafka.connect.cli.ConnectStandalone", *paths]
        self.process = None
        self.next = 0

    def path(self, name):
        return os.path.join(self.folder, name)

    def said(self):
        with open(self.path("connect.log"), encoding="utf-8", errors="replace") as log:
            return log.read()

    def start(self):
        with open(self.path("connect.log"), "wb") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log)

    def stop(self):
        """As an operator would; offsets are written on the way out."""
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired as error:
            raise Failed(f"Connect does not end: {self.said()[-3000:]}") from error

    def give_up(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def write(self, seconds, meanwhile=None):
        """Lines are appended for so long."""
        writer = Writer(self.path("in.txt"), self.next)
        writer.start()
        time.sleep(seconds)
        if meanwhile is not None:
            meanwhile()
            time.sleep(seconds)
        writer.stop()
        self.next = writer.next

    def arrived(self):
        try:
            with open(self.path("out.txt"), encoding="ascii") as file:
                return file.read().splitlines()
        except FileNotFoundError:
            return []

    def wait_arrival(self, seconds_max):
        """Until the last line is there; what is there then."""
        last = f"line {self.next - 1}"
        end = time.monotonic() + seconds_max
        while last not in self.arrived()[-1:]:
            if time.monotonic() > end or self.process.poll() is not None:
                raise Failed(f"{last} is not there; last is {self.arrived()[-1:]}; Connect "
                             f"says:\n{self.complaints()}")
            time.sleep(0.1)
        return self.arrived()

    def complaints(self):
        lines = [l for l in self.said().splitlines() if re.search(r"ERROR|WARN|Exception", l)]
        return "\n".join(lines[-30:])[-4000:]


def expect_lines(found, wanted_count, what):
    wanted = [f"line {n}" for n in range(wanted_count)]
    if found != wanted:
        place = 0
        while found[place:place + 1] == wanted[place:place + 1]:
            place += 1
        raise Failed(f"{what}: {len(found)} lines, {len(set(found))} different, wanted "
                     f"{wanted_count}; {found[place:place + 3]} for line {place}")


def standalone(context):
    """Lines arrive once each and in order, also over a stop of Connect; over kill -9 of the broker
    at least once (the source's producer is not idempotent), and each first time in order."""
    connect = Connect(context, toolchains.connect_ready())
    with Connection(context.broker.port) as peer:
        expect_equal(peer.create_topic(TOPIC, 1), 0, "create topic")
    try:
        connect.start()
        connect.write(2)
        expect_lines(connect.wait_arrival(START_SECONDS_MAX), connect.next, "first run")
        connect.write(1)
        connect.stop()
        connect.write(0.5)
        connect.start()
        connect.write(1)
        found = connect.wait_arrival(START_SECONDS_MAX)
        expect_lines(found, connect.next, "after a stop")

        def broker_dies():
            context.broker.kill9()
            context.broker.start()
        connect.write(1, broker_dies)
        connect.write(1, broker_dies)
        found = connect.wait_arrival(ARRIVE_SECONDS_MAX)
        expect_lines(list(dict.fromkeys(found)), connect.next, "after kill -9")
        connect.stop()
        context.note(f"{connect.next} lines, {len(found) - connect.next} more than once")
    finally:
        connect.give_up()


CASES = [Case("standalone", standalone, seconds_max=1800)]
