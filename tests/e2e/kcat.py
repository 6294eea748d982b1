"""kcat (librdkafka of the distribution) writes and reads: every codec, keys, headers, seeks."""
import hashlib
import json
import os
import random
import shutil
import threading
import time

from harness import Case, Skip, expect, expect_equal, run_client

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
FORMAT = "%p|%o|%k|%h|%s\n"


def kcat(context, *arguments, **options):
    if shutil.which("kcat") is None:
        raise Skip("kcat is not installed; tools/dev setup installs it")
    command = ["kcat", "-q", "-b", context.broker.address, *arguments]
    return run_client(command, f"kcat {' '.join(arguments)[:80]}", 90, **options).stdout


def listing(context):
    """kcat -L -J shows one broker, which is the controller, and a topic made by asking for it."""
    kcat(context, "-P", "-t", "listed", "-p", "0", input=b"x\n")
    found = json.loads(kcat(context, "-L", "-J"))
    expect_equal(len(found["brokers"]), 1, "brokers")
    expect_equal(found["controllerid"], found["brokers"][0]["id"], "controller")
    expect_equal(found["brokers"][0]["name"], context.broker.address, "advertised address")
    topics = {t["topic"]: t for t in found["topics"]}
    partition = topics["listed"]["partitions"][0]
    expect_equal((partition["leader"], len(partition["isrs"])), (found["controllerid"], 1),
                 "leader and in-sync replicas")


def round_trip(codec, *extra):
    def run(context):
        topic = f"kcat-{codec}-{len(extra)}"
        lines = [f"key{n}:value {n} {'ü' * (n % 50)}" for n in range(3000)]
        kcat(context, "-P", "-t", topic, "-p", "0", "-z", codec, "-K", ":", "-H", "a=1", "-H",
             "b=two", "-X", "acks=all", *extra, input="\n".join(lines).encode() + b"\n")
        found = kcat(context, "-C", "-t", topic, "-p", "0", "-o", "beginning", "-e", "-f", FORMAT)
        wanted = [f"0|{n}|key{n}|a=1,b=two|value {n} {'ü' * (n % 50)}" for n in range(3000)]
        expect_equal(found.decode().splitlines(), wanted, f"records of {topic}")
    return run


def offsets_and_tail(context):
    kcat(context, "-P", "-t", "tail", "-p", "0", input=b"".join(b"%d\n" % n for n in range(100)))
    end = kcat(context, "-Q", "-t", "tail:0:-1").decode()
    expect(end.split()[-1] == "100", f"-Q latest says {end!r}")
    last = kcat(context, "-C", "-t", "tail", "-p", "0", "-o", "-5", "-e", "-f", "%s ")
    expect_equal(last, b"95 96 97 98 99 ", "the last five")
    middle = kcat(context, "-C", "-t", "tail", "-p", "0", "-o", "41", "-c", "2", "-f", "%s ")
    expect_equal(middle, b"41 42 ", "from offset 41")


def seek_by_time(context):
    kcat(context, "-P", "-t", "time", "-p", "0", input=b"old\n")
    time.sleep(0.3)
    split_ms = int(time.time() * 1000)
    time.sleep(0.1)
    kcat(context, "-P", "-t", "time", "-p", "0", input=b"new\n")
    found = kcat(context, "-C", "-t", "time", "-p", "0", "-o", f"s@{split_ms}", "-e", "-f", "%s")
    expect_equal(found, b"new", "from the time between")


def large_values(context):
    """Values up to just below max.message.bytes, compared by SHA-256."""
    dice = random.Random(context.options.seed)
    files = []
    for number in range(12):
        path = os.path.join(context.folder, f"value{number}")
        with open(path, "wb") as file:
            file.write(dice.randbytes(dice.choice([1, 1000, 100_000, 1_000_000 - 1000])))
        files.append(path)
    kcat(context, "-P", "-t", "large", "-p", "0", "-X", "acks=all", *files)
    out = os.path.join(context.folder, "out")
    for number, path in enumerate(files):
        found = kcat(context, "-C", "-t", "large", "-p", "0", "-o", str(number), "-c", "1", "-f",
                     "%s")
        with open(path, "rb") as file:
            wanted = hashlib.sha256(file.read()).hexdigest()
        expect_equal(hashlib.sha256(found).hexdigest(), wanted, f"value {number}")
    expect(not os.path.exists(out), "nothing is left behind")


def tail_while_writing(context):
    """A consumer that waits at the end sees what others write, in order."""
    kcat(context, "-P", "-t", "live", "-p", "0", input=b"first\n")
    found = []
    reader = threading.Thread(target=lambda: found.append(kcat(
        context, "-C", "-u", "-t", "live", "-p", "0", "-o", "beginning", "-c", "501", "-f",
        "%s\n")))
    reader.start()
    for part in range(5):
        lines = b"".join(b"%d\n" % n for n in range(part * 100, part * 100 + 100))
        kcat(context, "-P", "-t", "live", "-p", "0", input=lines)
    reader.join(60)
    expect(len(found) == 1, "the waiting consumer did not get all records")
    expect_equal(found[0].split(), [b"first"] + [b"%d" % n for n in range(500)], "records")


def after_restart(context):
    """A clean stop and a start: the same records, and the next offset goes on."""
    lines = b"".join(b"line %d\n" % n for n in range(2000))
    kcat(context, "-P", "-t", "kept", "-p", "0", "-z", "zstd", input=lines)
    expect_equal(context.broker.stop(), 0, "exit code of a clean stop")
    context.broker.start()
    kcat(context, "-P", "-t", "kept", "-p", "0", input=b"after\n")
    found = kcat(context, "-C", "-t", "kept", "-p", "0", "-o", "beginning", "-e", "-f", "%s\n")
    expect_equal(found, lines + b"after\n", "records after the restart")


CASES = [Case("listing", listing),
         *[Case(f"round_trip_{codec}", round_trip(codec)) for codec in CODECS],
         Case("round_trip_idempotent", round_trip("lz4", "-X", "enable.idempotence=true")),
         *[Case(run.__name__, run) for run in [
             offsets_and_tail, seek_by_time, large_values, tail_while_writing, after_restart]]]
