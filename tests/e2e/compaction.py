"""Compacted topics: only the newest of each key is left, deletions go after their time, kill -9 in
the middle of it loses nothing; __consumer_offsets shrinks and a restart keeps its offsets."""
import os
import random
import struct
import time

import kcat
from broker import Broker, write_profile
from harness import Case, Failed, expect, expect_equal
from wire import Connection, array, batch, string

KEYS = 200
ROUNDS = 12
OFFSET_COMMITS = 3000
WAIT_SECONDS_MAX = 60
INVALID_RECORD = 87
CONFIGS = [("cleanup.policy", "compact"), ("segment.ms", "300"),
           ("min.cleanable.dirty.ratio", "0.01"), ("delete.retention.ms", "2000")]


def start(context):
    """A broker that makes checkpoints, and looks for dirty topics, every second."""
    profile = write_profile(os.path.join(context.folder, "compaction.toml"), checkpoint_s=1)
    with open(profile, "a", encoding="utf-8") as file:
        file.write("[compaction]\ncheck_s = 1\nmemory_bytes = 65536\n")
    return Broker(context.program, context.folder, profile).start()


def with_broker(run):
    def wrapped(context):
        broker = start(context)
        context.broker = broker
        try:
            run(context)
        finally:
            context.broker = None
            broker.kill9()
    return wrapped


def write(context, topic, lines):
    kcat.kcat(context, "-P", "-t", topic, "-p", "0", "-K", ":", "-Z", "-z", "lz4",
              input="\n".join(lines).encode() + b"\n")


def read(context, topic):
    """[(offset, key, value)], the value None for a deletion."""
    text = kcat.kcat(context, "-C", "-t", topic, "-p", "0", "-o", "beginning", "-e", "-f",
                     "%o|%k|%S|%s\n").decode()
    found = [line.split("|") for line in text.splitlines()]
    return [(int(offset), key, None if size == "-1" else value)
            for offset, key, size, value in found]


def close_segment(context, topic):
    """Two records, so that the segment in which the others lie is closed."""
    for _ in range(2):
        time.sleep(0.4)
        write(context, topic, ["end:end"])


def wait_until(check, what):
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while True:
        found = check()
        if found is None:
            return
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not after {WAIT_SECONDS_MAX} s: {found}")
        time.sleep(0.5)


def differs(context, topic, wanted):
    """None when the topic holds exactly the records `wanted`, else what is different."""
    found = read(context, topic)
    offsets = [offset for offset, _, _ in found]
    expect(offsets == sorted(set(offsets)), f"offsets of {topic} are not in order")
    left = [(key, value) for _, key, value in found if key != "end"]
    if len(left) == len(wanted) and dict(left) == wanted:
        return None
    return f"{len(left)} records of {len(wanted)} keys"


def create(context, topic, configs=()):
    with Connection(context.broker.port) as peer:
        expect_equal(peer.create_topic(topic, 1, [*CONFIGS, *configs]), 0, "create topic")


def latest_stays(context):
    create(context, "latest")
    wanted = {}
    for number in range(ROUNDS):
        lines = {f"key{n}": f"round {number} {'x' * (n % 300)}" for n in range(KEYS)}
        wanted.update(lines)
        write(context, "latest", [f"{key}:{value}" for key, value in lines.items()])
        time.sleep(0.35)
    write(context, "latest", [f"key{n}:" for n in range(0, KEYS, 4)])
    for n in range(0, KEYS, 4):
        del wanted[f"key{n}"]
    close_segment(context, "latest")
    wait_until(lambda: differs(context, "latest", wanted), "only the newest is left")
    found = read(context, "latest")
    # In a gap the next record is what is read.
    text = kcat.kcat(context, "-C", "-t", "latest", "-p", "0", "-o", "5", "-c", "1", "-f", "%o")
    expect_equal(int(text), found[0][0], "the first record from offset 5")
    expect_equal(context.broker.stop(), 0, "exit code")
    context.broker.start()
    expect_equal(differs(context, "latest", wanted), None, "after a restart")
    context.note(f"{ROUNDS * KEYS} records became {len(found)}")


def deletions_stay_for_their_time(context):
    create(context, "deletions", [("delete.retention.ms", "600000")])
    write(context, "deletions", ["a:1", "b:1"])
    write(context, "deletions", ["a:"])
    close_segment(context, "deletions")
    wait_until(lambda: differs(context, "deletions", {"a": None, "b": "1"}), "compacted")
    time.sleep(3)
    expect_equal(differs(context, "deletions", {"a": None, "b": "1"}), None, "deletions")
    with Connection(context.broker.port) as peer:
        alter_config(peer, "deletions", "delete.retention.ms", "1000")
    wait_until(lambda: differs(context, "deletions", {"b": "1"}), "the deletion goes")


def without_a_key_refused(context):
    create(context, "keys")
    with Connection(context.broker.port) as peer:
        expect_equal(peer.produce("keys", 0, batch([b"x"]))[0], INVALID_RECORD, "without a key")


def killed_in_the_middle(context):
    create(context, "killed")
    dice = random.Random(7)
    wanted = {}
    for number in range(8):
        lines = {f"key{n}": f"round {number} {'y' * dice.randrange(400)}" for n in range(1500)}
        deleted = dice.sample(sorted(lines), 100)
        lines.update(dict.fromkeys(deleted, ""))
        wanted.update(lines)
        write(context, "killed", [f"{key}:{value}" for key, value in lines.items()])
        time.sleep(0.4 + dice.random() * 2)
        context.broker.kill9()
        context.broker.start()
        newest = {}
        for _, key, value in read(context, "killed"):
            newest[key] = value
        for key, value in wanted.items():
            expect_equal(newest.get(key) or "", value, f"round {number}: the newest of {key}")
    close_segment(context, "killed")
    wanted = {key: value for key, value in wanted.items() if value}
    wait_until(lambda: differs(context, "killed", wanted), "only the newest is left")


def alter_config(peer, topic, name, value):
    """IncrementalAlterConfigs 0: SET."""
    config = string(name) + b"\0" + string(value)
    answer = peer.call(44, 0, array([b"\2" + string(topic) + array([config])]) + b"\0")
    expect_equal(struct.unpack_from(">h", answer, 8)[0], 0, f"{name} of {topic}")


def commit(peer, group, topic, offset):
    """OffsetCommit 2 of somebody who is in no group; the error of its partition."""
    part = struct.pack(">iq", 0, offset) + string("note")
    body = string(group) + struct.pack(">i", -1) + string("") + struct.pack(">q", -1) + \
        array([string(topic) + array([part])])
    return struct.unpack(">h", peer.call(8, 2, body)[-2:])[0]


def committed(peer, group, topic):
    """OffsetFetch 1."""
    answer = peer.call(9, 1, string(group) + array([string(topic) + array([struct.pack(">i", 0)])]))
    return struct.unpack_from(">q", answer, 4 + 2 + len(topic) + 4 + 4)[0]


def commits_stored(context):
    return len(kcat.kcat(context, "-C", "-t", "__consumer_offsets", "-o", "beginning", "-e", "-f",
                         "%p:%o\n").split())


def offsets_topic_shrinks(context):
    broker = context.broker
    groups = ["first", "second"]
    with Connection(broker.port) as peer:
        expect_equal(peer.create_topic("mine", 1), 0, "create topic")
        for group in groups:
            peer.call(10, 0, string(group))  # FindCoordinator: the topic is made when asked for.
            wait_until(lambda g=group: commit(peer, g, "mine", 0) or None, "the first commit")
        for name, value in [("segment.ms", "300"), ("min.cleanable.dirty.ratio", "0.01")]:
            alter_config(peer, "__consumer_offsets", name, value)
        for number in range(OFFSET_COMMITS):
            expect_equal(commit(peer, groups[number % 2], "mine", number), 0, "commit")
        def is_large():
            for group in groups:  # So that segments are closed.
                commit(peer, group, "mine", OFFSET_COMMITS)
            left = commits_stored(context)
            return None if left * 10 < OFFSET_COMMITS else f"{left} records"

        wait_until(is_large, "the offsets topic shrinks")
    context.note(f"of {OFFSET_COMMITS} commits {commits_stored(context)} are left")
    broker.kill9()
    broker.start()
    with Connection(broker.port) as peer:
        def is_lost():
            found = [committed(peer, group, "mine") for group in groups]
            return None if found == [OFFSET_COMMITS] * 2 else f"committed {found}"
        wait_until(is_lost, "offsets after kill -9")


CASES = [Case(run.__name__, with_broker(run), own_broker=True)
         for run in [latest_stays, deletions_stay_for_their_time, without_a_key_refused,
                     killed_in_the_middle, offsets_topic_shrinks]]
