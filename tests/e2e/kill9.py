"""kill -9 under load, round after round: no acknowledged record is lost, none of an idempotent
producer is there twice, and each producer's records keep their order.

Every producer counts: its n-th record says so. A partition is right when it holds 0, 1, 2, ... of
each idempotent producer, without gap or repeat, as far as acknowledged or further.
"""
import json
import os
import random
import socket
import struct
import subprocess
import threading
import time

import toolchains
from broker import Broker, write_profile
from harness import ROOT, Case, Failed, Skip, expect, expect_equal, run_client
from wire import PRODUCE, Connection, batch, records

ROUNDS_LONG = 200
LEDGER_ROUNDS_LONG = 100
ADD_PARTITIONS_TO_TXN = 24
ROUNDS_MIN = 5
SECONDS_MIN = 40
PARTITIONS = 4
TOPIC = "load"
IN_FLIGHT = 5
# A node that does its own TCP/IP tells its peers nothing when it is killed, unlike a kernel: who
# waits for an answer then waits for its own timeout, a minute by default.
PROGRESS_SECONDS_MAX = 90
FULL_READ_EVERY = 20
# Errors after which the same batch is sent again.
RETRIABLE = {3, 5, 6, 7, 56}


class RawProducer(threading.Thread):
    """Idempotent when `idempotent`: then up to five batches are in flight, and after a lost
    connection all that were not acknowledged are sent again as they were."""

    def __init__(self, name, port, partition, idempotent, seed):
        super().__init__(daemon=True)
        self.name = name
        self.port = port
        self.partition = partition
        self.idempotent = idempotent
        self.dice = random.Random(seed)
        self.acked = 0  # records 0 .. acked-1
        self.retries = 0
        self.error = None
        self.producer = (-1, -1)
        self.waiting = []  # (first, count, bytes), oldest first
        self.next = 0
        self.stop_wanted = threading.Event()

    def run(self):
        while not self.stop_wanted.is_set() and self.error is None:
            try:
                with Connection(self.port, timeout=20) as peer:
                    self.session(peer)
            except (ConnectionError, socket.timeout, OSError):
                self.retries += 1
                time.sleep(0.02)
            except (Failed, struct.error, ValueError) as error:
                self.error = f"{self.name}: {error}"

    def session(self, peer):
        if self.idempotent and self.producer[0] < 0:
            self.producer = peer.init_producer_id()
        for _, _, data in self.waiting:
            self.send(peer, data)
        while not (self.stop_wanted.is_set() and not self.waiting):
            if len(self.waiting) < (IN_FLIGHT if self.idempotent else 1) and \
                    not self.stop_wanted.is_set():
                self.send(peer, self.make_batch())
                continue
            if not self.take_answer(peer):
                return

    def make_batch(self):
        count = self.dice.randrange(1, 9)
        padding = b"." * self.dice.choice([0, 10, 100, 1000])
        values = [b"%s %d %s" % (self.name.encode(), n, padding)
                  for n in range(self.next, self.next + count)]
        sequence = self.next if self.idempotent else -1
        data = batch(values, int(time.time() * 1000), (*self.producer, sequence))
        self.waiting.append((self.next, count, data))
        self.next += count
        return data

    def send(self, peer, data):
        peer.send(PRODUCE, 7, peer.produce_body(TOPIC, self.partition, data))

    def take_answer(self, peer):
        """False: an error to try again after; the connection is given up for it."""
        error, _ = peer.produce_answer(peer.receive()[1], TOPIC)
        first, count, _ = self.waiting[0]
        if error in RETRIABLE:
            time.sleep(0.05)
            return False
        if error:
            raise Failed(f"error {error} for record {first}")
        self.waiting.pop(0)
        self.acked = first + count
        time.sleep(0.002)
        return True


class ClientProducer:
    """confluent-kafka with enable.idempotence, a process of its own, which writes what it has
    acknowledged to its standard output."""

    def __init__(self, name, address, partition):
        self.name = name
        self.idempotent = True
        self.partition = partition
        self.acked = 0
        self.retries = 0
        self.error = None
        self.process = subprocess.Popen(
            toolchains.python_program("load_producer.py", address, TOPIC, str(partition), name),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            said = json.loads(line)
            self.acked = said.get("acked", self.acked)
            self.error = said.get("error", self.error)

    def start(self):
        pass

    def stop(self):
        self.process.stdin.close()
        self.process.wait(60)
        self.reader.join(10)


class Checker:
    """Reads a partition on and on; the state says how far and what must come next."""

    def __init__(self, partition, producers):
        self.partition = partition
        self.producers = {p.name: p for p in producers if p.partition == partition}
        self.start_over()

    def start_over(self):
        self.offset = 0
        self.next = {name: 0 for name in self.producers}
        self.plain_seen = {name: set() for name, p in self.producers.items() if not p.idempotent}
        self.repeats = 0

    def take(self, offset, value):
        name, number = value.split(b" ", 2)[:2]
        name, number = name.decode(), int(number)
        where = f"partition {self.partition} offset {offset}: record {number} of {name}"
        if name in self.plain_seen:
            self.repeats += number in self.plain_seen[name]
            self.plain_seen[name].add(number)
            return
        expect(number >= self.next[name], f"{where} is there again, wanted {self.next[name]}")
        expect(number == self.next[name], f"{where}, wanted {self.next[name]}: records are lost")
        self.next[name] += 1

    def read_on(self, peer):
        """Up to the high watermark."""
        while True:
            error, watermark, data = peer.fetch(TOPIC, self.partition, self.offset, wait_ms=0)
            expect_equal(error, 0, f"fetch of partition {self.partition} at {self.offset}, "
                                   f"which was readable, high watermark {watermark}")
            found, offset_next = records(data)
            for offset, value in found:
                if offset >= self.offset:
                    expect_equal(offset, self.offset, f"offset in partition {self.partition}")
                    self.take(offset, value)
                    self.offset += 1
            if offset_next is None:
                expect(self.offset >= watermark, f"nothing at {self.offset} of {watermark}")
                return

    def check(self, peer, acked):
        """`acked`: counts by name, taken before the read."""
        self.read_on(peer)
        for name, count in acked.items():
            if name in self.plain_seen:
                missing = set(range(count)) - self.plain_seen[name]
                expect(not missing, f"{name}: {len(missing)} acknowledged records are lost, the "
                                    f"first is {min(missing, default=None)}")
            else:
                expect(self.next[name] >= count,
                       f"{name}: {count} acknowledged, {self.next[name]} are there")


class Run:
    def __init__(self, context, plan_seed):
        self.context = context
        self.dice = random.Random(plan_seed)
        self.profiles = [write_profile(os.path.join(context.folder, f"cores{n}.toml"), cores=n)
                         for n in (1, 2)]
        self.broker = Broker(context.program, context.folder, profile=self.profiles[1])
        self.producers = []
        self.checkers = []
        self.restart_seconds = []
        self.core_changes = 0

    def begin(self):
        self.broker.start()
        with Connection(self.broker.port) as peer:
            expect_equal(peer.create_topic(TOPIC, PARTITIONS), 0, "create topic")
        port = self.broker.port
        for partition in range(PARTITIONS):
            self.producers.append(RawProducer(f"raw{partition}", port, partition, True,
                                              self.dice.random()))
        self.producers.append(RawProducer("plain", port, 0, False, self.dice.random()))
        try:
            self.producers += [ClientProducer(f"client{p}", self.broker.address, p)
                               for p in (1, 2)]
        except Skip as why:
            self.context.note(f"without confluent-kafka: {why}")
        self.checkers = [Checker(p, self.producers) for p in range(PARTITIONS)]
        for producer in self.producers:
            producer.start()

    def acked(self):
        return {p.name: p.acked for p in self.producers}

    def check_errors(self):
        for producer in self.producers:
            expect(producer.error is None, str(producer.error))

    def wait_progress(self):
        """Every producer gets something acknowledged after the restart."""
        before = self.acked()
        deadline = time.monotonic() + PROGRESS_SECONDS_MAX
        stuck = list(before)
        while stuck:
            self.check_errors()
            expect(self.broker.alive(), f"the broker ended, code {self.broker.process.returncode}")
            expect(time.monotonic() < deadline, f"no progress of {stuck}")
            time.sleep(0.05)
            stuck = [p.name for p in self.producers if p.acked <= before[p.name]]

    def verify(self, from_start):
        acked = self.acked()
        with Connection(self.broker.port) as peer:
            for checker in self.checkers:
                if from_start:
                    checker.start_over()
                checker.check(peer, {n: c for n, c in acked.items() if n in checker.producers})

    def round(self, number):
        time.sleep(self.dice.uniform(0.02, 0.6))
        self.check_errors()
        self.broker.kill9()
        if number % 5 == 4:
            other = self.profiles[self.profiles.index(self.broker.profile) - 1]
            self.broker.profile = other
            self.core_changes += 1
        for _ in range(self.dice.choice([0, 0, 0, 1, 2])):  # Killed again while it starts.
            self.broker.start(wait=False)
            time.sleep(self.dice.uniform(0.0, 0.3))
            self.broker.kill9()
        begun = time.monotonic()
        self.broker.start()
        self.restart_seconds.append(time.monotonic() - begun)
        self.wait_progress()
        self.verify(from_start=number % FULL_READ_EVERY == FULL_READ_EVERY - 1)

    def end(self):
        for producer in self.producers:
            if isinstance(producer, RawProducer):
                producer.stop_wanted.set()
        for producer in self.producers:
            if isinstance(producer, RawProducer):
                producer.join(60)
                expect(not producer.is_alive(), f"{producer.name} does not end")
            else:
                producer.stop()
        self.check_errors()
        self.verify(from_start=True)
        expect_equal(self.broker.stop(), 0, "exit code")
        self.broker.start()
        self.verify(from_start=True)
        for checker in self.checkers:
            for name, producer in checker.producers.items():
                if producer.idempotent and isinstance(producer, RawProducer):
                    expect_equal(checker.next[name], producer.acked, f"records of {name}")
        expect_equal(self.broker.stop(), 0, "exit code")

    def give_up(self):
        self.broker.kill9()
        for producer in self.producers:
            if isinstance(producer, RawProducer):
                producer.stop_wanted.set()
            else:
                producer.process.kill()


def rounds(context):
    options = context.options
    left = options.seconds - (time.monotonic() - options.begun)
    deadline = time.monotonic() + max(SECONDS_MIN, left - 20)
    count = 0
    run = Run(context, options.seed)
    try:
        run.begin()
        run.wait_progress()
        while count < (ROUNDS_LONG if options.long else ROUNDS_MIN) or \
                (not options.long and count < ROUNDS_LONG and time.monotonic() < deadline):
            run.round(count)
            count += 1
            if count % 20 == 0:
                print(f"     kill9: {count} rounds, {sum(run.acked().values())} acked", flush=True)
        run.end()
    except Exception as error:
        raise Failed(f"in round {count + 1}, seed {options.seed}: {error}") from error
    finally:
        run.give_up()
    context.note(f"{count} rounds, {run.core_changes} with another number of cores, "
                 f"{sum(run.acked().values())} records acknowledged, "
                 f"{sum(c.repeats for c in run.checkers)} repeats of the plain producer, restart "
                 f"{min(run.restart_seconds):.2f} to {max(run.restart_seconds):.2f} s")


class Ledger:
    """tools/examples/ledger.py under kill -9 of the broker, and now and then of a worker: after
    every round each transfer that was fed is booked exactly once, and the balances add up."""

    WORKERS = ("a", "b")
    FED_A_ROUND = 60

    def __init__(self, context, seed):
        self.dice = random.Random(seed)
        self.profiles = [write_profile(os.path.join(context.folder, f"cores{n}.toml"), cores=n)
                         for n in (1, 2)]
        self.folder = context.folder
        self.broker = Broker(context.program, context.folder, profile=self.profiles[1])
        self.workers = {}
        self.fed = 0
        self.worker_kills = 0

    def program(self, *arguments):
        path = os.path.join(ROOT, "tools", "examples", "ledger.py")
        return [*toolchains.python_program(path), self.broker.address, "--name", "ledger",
                *arguments]

    def start_worker(self, name):
        # pylint: disable=consider-using-with
        with open(os.path.join(self.folder, f"worker-{name}.log"), "ab") as log:
            self.workers[name] = subprocess.Popen(self.program("work", name), stderr=log,
                                                  stdin=subprocess.PIPE)

    def begin(self):
        self.broker.start()
        with Connection(self.broker.port) as peer:
            if ADD_PARTITIONS_TO_TXN not in peer.api_versions():
                raise Skip("the broker has no transactions")
        run_client(self.program("create"), "the ledger's topics")
        for name in self.WORKERS:
            self.start_worker(name)

    def round(self, number):
        with subprocess.Popen(self.program("feed", str(self.fed), str(self.FED_A_ROUND)),
                              stderr=subprocess.PIPE) as feeder:
            time.sleep(self.dice.uniform(0.1, 1.5))
            self.broker.kill9()
            if number % 5 == 4:
                self.broker.profile = self.profiles[self.profiles.index(self.broker.profile) - 1]
            if number % 3 == 2:
                name = self.dice.choice(self.WORKERS)
                self.workers[name].kill()
                self.workers[name].wait()
                self.start_worker(name)
                self.worker_kills += 1
            self.broker.start()
            said = feeder.communicate(timeout=120)[1].decode()
        expect_equal(feeder.returncode, 0, f"the feeder: {said[-1000:]}")
        self.fed += self.FED_A_ROUND
        run_client(self.program("check", str(self.fed)), "the ledger")
        for name, worker in self.workers.items():
            expect(worker.poll() is None, f"worker {name} ended, code {worker.returncode}")

    def give_up(self):
        self.broker.kill9()
        for worker in self.workers.values():
            worker.kill()
            worker.wait()


def ledger(context):
    options = context.options
    left = options.seconds - (time.monotonic() - options.begun)
    deadline = time.monotonic() + max(SECONDS_MIN, left / 2)
    count = 0
    run = Ledger(context, options.seed)
    try:
        run.begin()
        while count < (LEDGER_ROUNDS_LONG if options.long else ROUNDS_MIN) or \
                (not options.long and count < LEDGER_ROUNDS_LONG and time.monotonic() < deadline):
            run.round(count)
            count += 1
            if count % 10 == 0:
                print(f"     kill9/ledger: {count} rounds, {run.fed} transfers", flush=True)
        expect_equal(run.broker.stop(), 0, "exit code")
        run.broker.start()
        run_client(run.program("check", str(run.fed)), "the ledger")
    except Skip:
        raise
    except Exception as error:
        raise Failed(f"in round {count + 1}, seed {options.seed}: {error}") from error
    finally:
        run.give_up()
    context.note(f"{count} rounds, {run.fed} transfers booked once each, {run.worker_kills} "
                 "workers killed as well")


def cases(options):
    seconds_max = 7200 if options.long else 1800
    return [Case("ledger", ledger, own_broker=True, seconds_max=seconds_max),
            Case("rounds", rounds, own_broker=True, seconds_max=seconds_max)]
