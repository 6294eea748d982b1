"""Kafka Connect, unmodified: Kafka's file source reads lines into a topic, its file sink writes
them into another file; one worker by itself, and two that share the work and keep it in topics."""
import json
import os
import re
import subprocess
import threading
import time
import urllib.error
import urllib.request

import kcat
import toolchains
from broker import free_port
from harness import Case, Failed, expect, expect_equal
from wire import Connection

START_SECONDS_MAX = 180
ARRIVE_SECONDS_MAX = 120

WORKER = """
bootstrap.servers={address}
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.storage.StringConverter
offset.flush.interval.ms=500
listeners=http://127.0.0.1:{port}
plugin.discovery=service_load
# So that the sink's group is soon there again after the broker was away.
consumer.session.timeout.ms=6000
consumer.heartbeat.interval.ms=1000
consumer.isolation.level=read_committed
"""
STANDALONE = """
offset.storage.file.filename={folder}/offsets
"""
DISTRIBUTED = """
group.id=connect
config.storage.topic=connect-configs
offset.storage.topic=connect-offsets
status.storage.topic=connect-status
config.storage.replication.factor=1
offset.storage.replication.factor=1
status.storage.replication.factor=1
offset.storage.partitions=5
status.storage.partitions=2
exactly.once.source.support=enabled
session.timeout.ms=6000
heartbeat.interval.ms=1000
scheduled.rebalance.max.delay.ms=1000
"""


def connectors(lines):
    return {"lines-in": {"connector.class": "FileStreamSource", "file": lines.path("in.txt"),
                         "topic": lines.topic},
            "lines-out": {"connector.class": "FileStreamSink", "file": lines.path("out.txt"),
                          "topics": lines.topic}}


def properties(path, settings):
    """Writes them into a file as Java reads it; the path."""
    if isinstance(settings, dict):
        settings = "\n".join(f"{key}={value}" for key, value in settings.items()) + "\n"
    with open(path, "w", encoding="ascii") as file:
        file.write(settings)
    return path


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


class Lines:
    """The file that the source reads, the topic, the file that the sink writes."""

    def __init__(self, folder, topic):
        os.makedirs(folder)
        self.folder = folder
        self.topic = topic
        self.next = 0

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, seconds, meanwhile=None):
        """Lines are appended for so long, before and after what happens meanwhile."""
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

    def wait_arrival(self, workers, seconds_max=ARRIVE_SECONDS_MAX):
        """Until the last line is there; all lines that are there then."""
        last = f"line {self.next - 1}"
        end = time.monotonic() + seconds_max
        while last not in self.arrived():
            if time.monotonic() > end or not any(one.alive() for one in workers):
                said = "\n".join(one.complaints() for one in workers)
                raise Failed(f"{last} is not there; last is {self.arrived()[-1:]}; Connect "
                             f"says:\n{said}")
            time.sleep(0.1)
        return self.arrived()

    def expect_all(self, found, what):
        wanted = [f"line {n}" for n in range(self.next)]
        place = 0
        while place < self.next and found[place:place + 1] == wanted[place:place + 1]:
            place += 1
        if found != wanted:
            raise Failed(f"{what}: {len(found)} lines, {len(set(found))} different, wanted "
                         f"{self.next}; {found[place:place + 3]} for line {place}")


class Worker:
    """One process of Connect; its files stay over restarts."""

    def __init__(self, lines, name, main_class, files):
        self.log = lines.path(f"{name}.log")
        self.command = [*toolchains.connect_ready(), main_class, *files]
        self.process = None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log)

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self):
        """As an operator would; offsets are written on the way out."""
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired as error:
            raise Failed(f"Connect does not end:\n{self.complaints()}") from error

    def kill9(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def complaints(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            lines = [l for l in log if re.search(r"ERROR|WARN|Exception", l)]
        return "".join(lines[-30:])[-4000:]


def broker_dies(context):
    context.broker.kill9()
    context.broker.start()


def standalone(context):
    """Lines arrive once each and in order, also over a stop of Connect; over kill -9 of the broker
    at least once (the source's producer is not idempotent), and each first time in order."""
    lines = Lines(os.path.join(context.folder, "standalone"), "connect-lines")
    with Connection(context.broker.port) as peer:
        expect_equal(peer.create_topic(lines.topic, 1), 0, "create topic")
    text = (WORKER + STANDALONE).format(address=context.broker.address, port=0,
                                        folder=lines.folder)
    files = [properties(lines.path("worker.properties"), text)]
    files += [properties(lines.path(f"{name}.properties"), {"name": name, **settings})
              for name, settings in connectors(lines).items()]
    worker = Worker(lines, "worker", "org.apache.kafka.connect.cli.ConnectStandalone", files)
    try:
        worker.start()
        lines.write(2)
        lines.expect_all(lines.wait_arrival([worker], START_SECONDS_MAX), "first run")
        lines.write(1)
        worker.stop()
        lines.write(0.5)
        worker.start()
        lines.write(1)
        lines.expect_all(lines.wait_arrival([worker], START_SECONDS_MAX), "after a stop")
        for _ in range(2):
            lines.write(1, lambda: broker_dies(context))
        found = lines.wait_arrival([worker])
        lines.expect_all(list(dict.fromkeys(found)), "after kill -9")
        worker.stop()
        context.note(f"{lines.next} lines, {len(found) - lines.next} more than once")
    finally:
        worker.kill9()


def rest(port, path, settings=None):
    """What Connect's REST interface answers; None while it does not."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method="GET")
    if settings is not None:
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method="PUT",
                                         data=json.dumps(settings).encode(),
                                         headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return None


def wait_rest(port, path, settings=None, good=lambda told: told is not None):
    end = time.monotonic() + START_SECONDS_MAX
    while not good(told := rest(port, path, settings)):
        expect(time.monotonic() < end, f"Connect does not answer {path} as wanted: {told}")
        time.sleep(0.3)
    return told


def is_running(told):
    return told is not None and [t["state"] for t in told["tasks"]] == ["RUNNING"]


def in_topic(context, lines):
    """What a reader of committed records sees."""
    text = kcat.kcat(context, "-C", "-t", lines.topic, "-e", "-o", "beginning", "-X",
                     "isolation.level=read_committed")
    return text.decode().splitlines()


def distributed(context):
    """Two workers, with exactly-once sources. The one with the source's task is ended with kill -9,
    then the broker: in the topic each line is once and in order, in the sink's file at least once.
    """
    lines = Lines(os.path.join(context.folder, "distributed"), "connect-shared")
    with Connection(context.broker.port) as peer:
        expect_equal(peer.create_topic(lines.topic, 1), 0, "create topic")
    workers = {}
    for _ in range(2):
        port = free_port()
        text = (WORKER + DISTRIBUTED).format(address=context.broker.address, port=port)
        file = properties(lines.path(f"{port}.properties"), text)
        workers[port] = Worker(lines, str(port), "org.apache.kafka.connect.cli.ConnectDistributed",
                               [file])
    try:
        for worker in workers.values():
            worker.start()
        port = next(iter(workers))
        for name, settings in connectors(lines).items():
            wait_rest(port, f"/connectors/{name}/config", settings)
        for name in connectors(lines):
            wait_rest(port, f"/connectors/{name}/status", good=is_running)
        lines.write(2)
        lines.expect_all(lines.wait_arrival(workers.values()), "first run")
        told = wait_rest(port, "/connectors/lines-in/status", good=is_running)
        victim = int(told["tasks"][0]["worker_id"].rsplit(":", 1)[1])
        lines.write(2, workers[victim].kill9)
        lines.wait_arrival(workers.values())
        lines.expect_all(in_topic(context, lines), "in the topic after kill -9 of a worker")
        lines.write(2, lambda: broker_dies(context))
        found = lines.wait_arrival(workers.values())
        lines.expect_all(in_topic(context, lines), "in the topic after kill -9 of the broker")
        lines.expect_all(list(dict.fromkeys(found)), "in the file")
        context.note(f"{lines.next} lines, {len(found) - lines.next} more than once in the file")
        workers.pop(victim)
        for worker in workers.values():
            worker.stop()
    finally:
        for worker in workers.values():
            worker.kill9()


CASES = [Case("standalone", standalone, seconds_max=1800),
         Case("distributed", distributed, seconds_max=1800, is_long=True)]
