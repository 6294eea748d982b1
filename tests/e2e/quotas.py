"""Client quotas are kept within ten per cent, whatever number of cores serves the client.

Raw connections, so that the broker alone keeps the rate: no client here waits for what it is told.
"""
import os
import struct
import threading
import time

from broker import Broker, write_profile
from harness import Case, expect, expect_equal
from wire import API_VERSIONS, FETCH, PRODUCE, Connection, array, batch, string

ALTER_CLIENT_QUOTAS = 49
RATE = 500_000
CONNECTIONS = 8
# The first second's worth may go at once; what follows is measured.
WARM_UP_S = 3
MEASURE_S = 12


def set_quota(port, key, value):
    """For the client id of the raw connections; a value of None takes it back."""
    entity = array([string("client-id") + string("raw")])
    change = array([string(key) + struct.pack(">db", value or 0, value is None)])
    with Connection(port) as peer:
        answer = peer.call(ALTER_CLIENT_QUOTAS, 0, array([entity + change]) + b"\0")
    throttle, count, error = struct.unpack_from(">iih", answer)
    expect_equal((count, error), (1, 0), f"AlterClientQuotas, throttled {throttle} ms")


class Load:
    """`step(connection, number)` -> bytes, over and over on several connections."""

    def __init__(self, port, step):
        self.port = port
        self.step = step
        self.done = threading.Event()
        self.counts = [0] * CONNECTIONS
        self.errors = []
        self.threads = [threading.Thread(target=self.run, args=(n,)) for n in range(CONNECTIONS)]

    def run(self, number):
        try:
            with Connection(self.port, timeout=60) as peer:
                while not self.done.is_set():
                    self.counts[number] += self.step(peer, number)
        except Exception as error:  # pylint: disable=broad-exception-caught
            self.errors.append(error)

    def rate(self, warm_up=WARM_UP_S, measured=MEASURE_S):
        for thread in self.threads:
            thread.start()
        time.sleep(warm_up)
        before, begun = sum(self.counts), time.monotonic()
        time.sleep(measured)
        rate = (sum(self.counts) - before) / (time.monotonic() - begun)
        self.done.set()
        for thread in self.threads:
            thread.join()
        expect(not self.errors, f"{self.errors[:1]}")
        return rate


def produce_step(peer, number):
    body = peer.produce_body("quotas", number, batch([b"x" * 16000]))
    answer = peer.call(PRODUCE, 7, body)
    expect_equal(peer.produce_answer(answer, "quotas")[0], 0, "produce")
    return len(body)


def fetch_step(peer, number):
    """An answer over the quota has no topics."""
    body = peer.fetch_body("quotas", number, 0, bytes_max=40000)
    answer = peer.call(FETCH, 4, body)
    throttle, topics = struct.unpack_from(">ii", answer)
    expect((throttle > 0) == (topics == 0), f"throttle {throttle} ms, {topics} topics")
    return len(answer) if topics else 0


def within_ten_per_cent(context, cores):
    profile = write_profile(os.path.join(context.folder, "quotas.toml"), cores=cores)
    broker = Broker(context.program, context.folder, profile).start()
    try:
        with Connection(broker.port) as peer:
            expect_equal(peer.create_topic("quotas", CONNECTIONS), 0, "create topic")
        for key, step in [("producer_byte_rate", produce_step),
                          ("consumer_byte_rate", fetch_step)]:
            set_quota(broker.port, key, RATE)
            rate = Load(broker.port, step).rate()
            context.note(f"{key} {rate / RATE * 100:.1f} %")
            expect(0.9 <= rate / RATE <= 1.1, f"{key}: {rate:.0f} bytes/s, allowed {RATE}")
            set_quota(broker.port, key, None)
        expect_equal(broker.stop(), 0, "exit code")
    finally:
        broker.kill9()


def rates_on_one_core(context):
    within_ten_per_cent(context, 1)


def rates_on_two_cores(context):
    within_ten_per_cent(context, 2)


def time_on_a_core(context):
    """A client that keeps a core busy is told to wait once it has used its share."""
    def step(peer, _):
        answer = peer.call(API_VERSIONS, 1, b"")
        throttled.append(struct.unpack_from(">i", answer, len(answer) - 4)[0])
        return 1

    throttled = []
    set_quota(context.broker.port, "request_percentage", 1)
    slow = Load(context.broker.port, step).rate(1, 4)
    expect(any(throttled), "nobody was told to wait")
    expect(max(throttled) <= 1000, f"{max(throttled)} ms are told at once")
    set_quota(context.broker.port, "request_percentage", None)
    throttled.clear()
    fast = Load(context.broker.port, step).rate(1, 4)
    expect(not any(throttled), "throttled without a quota")
    context.note(f"{slow:.0f} requests/s with 1 % of a core, {fast:.0f} without a quota")
    expect(slow < fast / 2, "the quota made no difference")


CASES = [Case("time_on_a_core", time_on_a_core),
         Case("rates_on_one_core", rates_on_one_core, own_broker=True),
         Case("rates_on_two_cores", rates_on_two_cores, own_broker=True)]
