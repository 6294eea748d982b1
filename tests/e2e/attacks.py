"""Floods against a broker that does its own TCP/IP: its memory stays as it is, and others are
served meanwhile. The whole list of attacks, with a test for each, is in
tests/unit/net/attacks_test.cc."""
import random
import shutil
import socket
import struct
import threading
import time
import urllib.request

import network
from broker import Broker, free_port
from harness import Case, Skip, expect, expect_equal, run_client

FLOOD_SECONDS = 4
GROWTH_KIB_MAX = 2048     # from the middle of a flood to its end
SYN, RST, ACK = 2, 4, 16
MAC = b"\x02\xaa\0\0\0\x01"


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    total = (total & 0xffff) + (total >> 16)
    return ~(total + (total >> 16)) & 0xffff


class RawHost:
    """A station that sends what it wants, on the kernel's side of a broker's device."""

    def __init__(self, broker):
        number = network.current.number_of(broker.port)
        self.port = broker.port
        self.ours = socket.inet_aton(f"10.78.{number}.1")
        self.net = f"10.78.{number}."
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
        self.socket.bind((f"tr{number}", 0))
        self.socket.settimeout(2)
        self.broker_mac = None

    def close(self):
        self.socket.close()

    def introduce(self, last):
        """The broker learns the link address of 10.78.N.last, and we the broker's."""
        sender = socket.inet_aton(f"{self.net}{last}")
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806)) as arp:
            arp.bind((self.socket.getsockname()[0], 0))
            arp.settimeout(2)
            arp.send(b"\xff" * 6 + MAC + b"\x08\x06" +
                     struct.pack(">HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, MAC, sender, b"\0" * 6,
                                 self.ours))
            while True:
                answer = arp.recv(64)
                if answer[:6] == MAC and answer[20:22] == b"\0\x02":
                    self.broker_mac = answer[6:12]
                    return

    # pylint: disable=too-many-arguments
    def segment(self, last, port, seq, ack, flags, payload=b"", options=b""):
        source = socket.inet_aton(f"{self.net}{last}")
        tcp = struct.pack(">HHIIBBHHH", port, self.port, seq & 0xffffffff, ack,
                          (5 + len(options) // 4) << 4, flags, 65535, 0, 0) + options + payload
        pseudo = source + self.ours + struct.pack(">HH", 6, len(tcp))
        tcp = tcp[:16] + struct.pack(">H", checksum(pseudo + tcp)) + tcp[18:]
        head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, 0, source,
                           self.ours)
        head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
        return self.broker_mac + MAC + b"\x08\0" + head + tcp

    def send(self, frame):
        try:
            self.socket.send(frame)
        except OSError:
            time.sleep(0.0005)   # The device's queue is full: the flood waits.

    def open(self, last, port):
        """A connection by hand; (our next number, the broker's)."""
        options = b"\x02\x04\x05\xb4\x04\x02\x01\x01"   # MSS 1460, SACK permitted
        self.send(self.segment(last, port, 1000, 0, SYN, options=options))
        while True:
            frame = self.socket.recv(2048)
            tcp = frame[34:]
            if frame[23] == 6 and tcp[2:4] == struct.pack(">H", port) and tcp[13] == SYN | ACK:
                their = struct.unpack(">I", tcp[4:8])[0] + 1
                self.send(self.segment(last, port, 1001, their, ACK))
                return 1001, their


def need_kcat():
    if shutil.which("kcat") is None:
        raise Skip("kcat is not installed; tools/dev setup installs it")


def count_of(broker, name):
    with urllib.request.urlopen(f"http://{broker.admin}/metrics", timeout=10) as page:
        for line in page.read().decode().splitlines():
            if line.startswith(f"tailrace_net_{name}"):
                return int(float(line.split()[-1]))
    return 0


def serve(broker, topic):
    lines = b"".join(b"%d\n" % n for n in range(500))
    kcat = ["kcat", "-q", "-b", broker.address, "-t", topic, "-p", "0"]
    run_client([*kcat, "-P", "-X", "acks=all"], "kcat -P in a flood", 50, input=lines)
    found = run_client([*kcat, "-C", "-o", "beginning", "-e", "-f", "%s\n"], "kcat -C in a flood",
                       50).stdout
    expect_equal(found, lines, "records in a flood")


def flood(context, broker, frames, what):
    """Frames over and over, and a client meanwhile; how much memory that took."""
    host, sent, stop = frames[0], 0, threading.Event()

    def run():
        nonlocal sent
        while not stop.is_set():
            for number, frame in enumerate(frames[1]):
                host.send(frame)
                sent += 1
                # More would only be lost in front of the device, and others with it.
                if number % 250 == 0:
                    time.sleep(0.002)
                    if stop.is_set():
                        return

    sender = threading.Thread(target=run)
    start = broker.memory_kib()
    sender.start()
    try:
        time.sleep(FLOOD_SECONDS / 2)
        middle = broker.memory_kib()
        begun = time.monotonic()
        serve(broker, what)
        served = time.monotonic() - begun
        time.sleep(FLOOD_SECONDS / 2)
    finally:
        stop.set()
        sender.join()
    end = broker.memory_kib()
    context.note(f"{what}: {sent} frames, {middle - start} + {end - middle} KiB, "
                 f"kcat served in {served:.1f} s")
    expect(end - middle < GROWTH_KIB_MAX, f"{what}: memory grew by {end - middle} KiB")
    expect(middle - start < 8 * GROWTH_KIB_MAX, f"{what}: memory grew by {middle - start} KiB")


def attacked(attack):
    def run(context):
        need_kcat()
        broker = Broker(context.program, context.folder,
                        admin=f"127.0.0.1:{free_port()}").start()
        host = RawHost(broker)
        try:
            attack(context, broker, host, random.Random(context.options.seed))
            serve(broker, "afterwards")
            expect_equal(broker.stop(), 0, "exit code")
        finally:
            host.close()
            broker.kill9()
    return Case(attack.__name__, run, own_broker=True, seconds_max=120)


def syn_flood(context, broker, host, dice):
    stations = range(100, 200)
    for last in stations:
        host.introduce(last)
    frames = [host.segment(dice.choice(stations), dice.randrange(1024, 65536),
                           dice.getrandbits(32), 0, SYN, options=b"\x02\x04\x05\xb4")
              for _ in range(20_000)]
    flood(context, broker, (host, frames), "syn-flood")
    cookies = count_of(broker, "cookies_out")
    expect(cookies > 1000, f"only {cookies} cookies")
    expect_equal(count_of(broker, "cookies_bad"), 0, "wrong cookies")


def out_of_order_flood(context, broker, host, dice):
    """Of many connections at once: single bytes with gaps between them."""
    frames, resets = [], []
    for last in range(100, 140):
        host.introduce(last)
        mine, theirs = host.open(last, 40_000)
        resets.append(host.segment(last, 40_000, mine, 0, RST))
        frames += [host.segment(last, 40_000, mine + 1 + 2 * dice.randrange(30_000), theirs, ACK,
                                payload=b"x") for _ in range(500)]
    dice.shuffle(frames)
    flood(context, broker, (host, frames), "out-of-order")
    expect(count_of(broker, "out_of_order") > 5000, "too few came out of order")
    # Or the end of the broker would wait for theirs.
    for frame in resets:
        host.send(frame)


def foreign_segments(context, broker, host, dice):
    """Segments of no connection, of every kind, and half of them malformed."""
    host.introduce(100)
    frames = []
    for _ in range(10_000):
        frame = bytearray(host.segment(100, dice.randrange(1024, 65536), dice.getrandbits(32),
                                       dice.getrandbits(32), dice.getrandbits(8),
                                       options=dice.randbytes(8)))
        if dice.random() < 0.5:
            frame[dice.randrange(14, len(frame))] ^= 1 << dice.randrange(8)
        frames.append(bytes(frame))
    flood(context, broker, (host, frames), "foreign")


def cases(_options):
    """What the kernel's TCP/IP does is not our business."""
    attacks = [] if network.current.name == "kernel" else [syn_flood, out_of_order_flood,
                                                           foreign_segments]
    return [attacked(attack) for attack in attacks]
