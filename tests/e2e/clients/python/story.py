"""What every Python client of the matrix is asked to do; a client is an adapter with the methods
that are called here as `client.NAME`. Usage of a program: PROGRAM HOST:PORT [FEATURE...]."""
import sys
import threading
import time
import traceback

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
FEATURES = ["admin", *CODECS, "idempotent", "seek", "resume", "group", "cooperative", "kip848",
            "group-admin", "transaction", "exactly-once", "fenced"]
PARTITIONS = 3
MEMBER_PARTITIONS = 4
COUNT = 600
START_MS = 1_700_000_000_000
WAIT_S = 40


class Unsupported(Exception):
    """The client library lacks this; the text says what."""


class Wrong(Exception):
    pass


def expect_equal(found, wanted, what):
    if found != wanted:
        raise Wrong(f"{what}: found {found!r}, wanted {wanted!r}"[:600])


def expect_error(names, what, run):
    """`run` fails with one of the errors, by class or Kafka's name."""
    try:
        run()
    except Exception as error:  # pylint: disable=broad-exception-caught
        text = f"{type(error).__name__} {error}"
        expect_equal(any(name in text for name in names), True, f"{what}: {text}, one of {names}")
        return
    raise Wrong(f"{what}: accepted")


def wait_for(done, what, seconds=WAIT_S):
    end = time.monotonic() + seconds
    while not done():
        expect_equal(time.monotonic() < end, True, f"in time: {what}")
        time.sleep(0.05)


def record(tag, number, null_headers=True):
    """(partition, time, key, value, headers): some without key, some empty, some without value."""
    gone = number % 97 == 96
    key = None if number % 7 == 0 and not gone else f"{tag}-{number}".encode()
    value = None if gone else (f"{tag} {number} " * (number % 40)).encode()
    headers = [("n", str(number).encode()), ("empty", b""), ("null", None)]
    kept = headers[:min(number % 4, 3 if null_headers else 2)]
    return number % PARTITIONS, START_MS + 1000 * number, key, value, kept


def records(client, tag):
    return [record(tag, n, getattr(client, "null_headers", True)) for n in range(COUNT)]


def plain(first, count, partitions, text=""):
    return [(n % partitions, None, None, f"{text}{n}".encode(), []) for n in
            range(first, first + count)]


def round_trip(codec, idempotent=False):
    """Written with the codec, read from assigned partitions, compared byte by byte."""
    def run(client, topic):
        if codec not in client.codecs:
            raise Unsupported(f"no {codec}")
        client.create(topic, PARTITIONS)
        sent = records(client, codec)
        told = client.produce(topic, sent, codec, idempotent)
        if told is not None:
            expect_equal(told, [n // PARTITIONS for n in range(COUNT)], "offsets told")
        found = client.read(topic, PARTITIONS, None, COUNT)
        for partition in range(PARTITIONS):
            wanted = [(n, *one[1:]) for n, one in
                      enumerate(r for r in sent if r[0] == partition)]
            expect_equal(len(found[partition]), len(wanted), f"count of partition {partition}")
            for got, right in zip(found[partition], wanted):
                expect_equal(got, right, f"a record of partition {partition}")
    return run


def seek(client, topic):
    """By offset and by time; beginning and end."""
    client.create(topic, PARTITIONS)
    client.produce(topic, records(client, "seek"), "none", False)
    end = COUNT // PARTITIONS
    for asked, wanted in [("earliest", 0), ("latest", end), (START_MS + 450_000, 150)]:
        expect_equal(client.offset_at(topic, 1, asked), wanted, f"offset by {asked}")
    found = client.read(topic, PARTITIONS, {p: end - 2 for p in range(PARTITIONS)}, 6)
    expect_equal([r[0] for r in found[2]], [end - 2, end - 1], "offsets after a seek")
    at = client.offset_at(topic, 0, START_MS + 300_000)
    found = client.read(topic, PARTITIONS, {0: at, 1: end, 2: end}, end - 100)
    expect_equal(found[0][0][:2], (100, START_MS + 300_000), "first from the time")


def resume(client, topic):
    """What was committed is not read again, what came since is."""
    client.create(topic, MEMBER_PARTITIONS)
    client.produce(topic, plain(0, 200, MEMBER_PARTITIONS), "none", False)
    for first, count in [(0, 200), (200, 4), (204, 0), (204, 40)]:
        client.produce(topic, plain(max(200, first), count if first else 0, MEMBER_PARTITIONS),
                       "none", False)
        member = client.member(topic, topic, "group", None)
        wait_for(lambda m=member: m.count() == MEMBER_PARTITIONS, "all for the only member")
        wait_for(lambda m=member, c=count: len(m.found) >= c, f"{count} records from {first}")
        time.sleep(0.3)
        member.stop()
        wanted = {(n % MEMBER_PARTITIONS, n // MEMBER_PARTITIONS) for n in
                  range(first, first + count)}
        expect_equal(sorted(member.found), sorted(wanted), f"records from {first}")


def share(kind):
    """Two members share, one leaves, the commits of both are resumed; static ones where the client
    has them."""
    def run(client, topic):
        client.create(topic, MEMBER_PARTITIONS)

        def produce(first, count):
            client.produce(topic, plain(first, count, MEMBER_PARTITIONS), "none", False)
        produce(0, 400)
        first = client.member(topic, topic, kind, None)
        wait_for(lambda: len(first.found) == 400, "all records")
        instance = None if "static" in client.unsupported else "static-2"
        second = client.member(topic, topic, kind, instance)
        wait_for(lambda: first.count() == 2 and second.count() == 2, "two partitions each")
        produce(400, 400)
        wait_for(lambda: len(first.found | second.found) == 800, "all records of both")
        first.stop()
        wait_for(lambda: second.count() == MEMBER_PARTITIONS, "all for who stays")
        second.stop()
        produce(800, 4)
        third = client.member(topic, topic, kind, instance)
        wait_for(lambda: len(third.found) >= 4, "what came since")
        third.stop()
        expect_equal(sorted(third.found), [(p, 200) for p in range(4)], "only what came since")
    return run


def group_admin(client, topic):
    client.create(topic, MEMBER_PARTITIONS)
    client.produce(topic, plain(0, 80, MEMBER_PARTITIONS), "none", False)
    member = client.member(topic, topic, "group", None)
    wait_for(lambda: len(member.found) == 80, "all records")
    member.stop()
    client.group_admin(topic)


def committed_values(client, topic, committed, count):
    found = client.read(topic, PARTITIONS, None, count, committed)
    return sorted(r[3].decode() for part in found for r in part)


def transaction(client, topic):
    """Committed, aborted, committed again, left open: what both isolation levels see of it."""
    client.create(topic, PARTITIONS)
    producer = client.transactional(topic)
    seen, all_values = [], []
    for step, count in [("kept", 60), ("aborted", 30), ("again", 9), ("open", 3)]:
        producer.begin()
        producer.send(topic, plain(0, count, PARTITIONS, step + " "))
        values = [f"{step} {n}" for n in range(count)]
        all_values += values
        if step == "aborted":
            producer.abort()
        elif step != "open":
            producer.commit()
            seen += values
    expect_equal(committed_values(client, topic, True, len(seen)), sorted(seen), "committed")
    expect_equal(committed_values(client, topic, False, len(all_values)), sorted(all_values),
                 "uncommitted")
    producer.commit()
    seen += [f"open {n}" for n in range(3)]
    expect_equal(committed_values(client, topic, True, len(seen)), sorted(seen), "at the end")
    producer.close()


def exactly_once(client, topic):
    """Consume, transform, produce: an aborted round leaves no trace, the next one does it all."""
    client.create(topic, PARTITIONS)
    client.create(topic + "-out", PARTITIONS)
    client.produce(topic, plain(0, 90, PARTITIONS), "none", False)
    producer = client.transactional(topic)
    for end in [producer.abort, producer.commit]:
        producer.begin()
        values = producer.consume(topic, topic, 90)
        producer.send(topic + "-out", [(int(v) % PARTITIONS, None, None, b"out " + v, [])
                                       for v in values])
        producer.send_offsets()
        end()
        producer.done_consuming()
    producer.close()
    expect_equal(committed_values(client, topic + "-out", True, 90),
                 sorted(f"out {n}" for n in range(90)), "the result")
    expect_equal(client.committed(topic, topic, PARTITIONS), [30] * PARTITIONS, "offsets")


def fenced(client, topic):
    """A second producer of the same transactional id shuts the first out."""
    client.create(topic, PARTITIONS)
    first = client.transactional(topic)
    first.begin()
    first.send(topic, plain(0, 9, PARTITIONS, "first "))
    second = client.transactional(topic)
    expect_error(["FENCED", "Fenced", "INVALID_PRODUCER_EPOCH", "InvalidProducerEpoch"],
                 "a commit of who was shut out", first.commit)
    second.begin()
    second.send(topic, plain(0, 9, PARTITIONS, "second "))
    second.commit()
    expect_equal(committed_values(client, topic, True, 9), [f"second {n}" for n in range(9)],
                 "committed")
    second.close()


STORIES = {"admin": lambda client, topic: client.admin(topic),
           **{codec: round_trip(codec) for codec in CODECS},
           "idempotent": round_trip("none", True), "seek": seek, "resume": resume,
           "group": share("group"), "cooperative": share("cooperative"),
           "kip848": share("kip848"), "group-admin": group_admin, "transaction": transaction,
           "exactly-once": exactly_once, "fenced": fenced}


class Thread(threading.Thread):
    """A group member polls on a thread of its own: poll() adds to `found`, until `stop`."""

    def __init__(self):
        super().__init__(daemon=True)
        self.found = set()
        self.owned = 0
        self.failed = None
        self.stopping = False

    def run(self):
        try:
            while not self.stopping:
                self.poll()
            self.close()
        except Exception as error:  # pylint: disable=broad-exception-caught
            self.failed = error

    def count(self):
        if self.failed is not None:
            raise self.failed
        return self.owned

    def stop(self):
        self.stopping = True
        self.join(WAIT_S)
        self.count()
        expect_equal(self.is_alive(), False, "a member that stops is still there")


def main(client):
    """One line for each feature. Ends with 0 even when some are bad: the lines tell."""
    address, *chosen = sys.argv[1:]
    print(f"version {client.version}", flush=True)
    client.address = address
    for feature in chosen or FEATURES:
        topic = f"{client.name}-{feature}-{time.time_ns() // 1_000_000 % 10**9}"
        try:
            if feature in client.unsupported:
                raise Unsupported(client.unsupported[feature])
            STORIES[feature](client, topic)
            said = "ok"
        except Unsupported as why:
            said = f"unsupported {why}"
        except Exception as error:  # pylint: disable=broad-exception-caught
            if not isinstance(error, Wrong):
                traceback.print_exc(-3)
            said = f"bad {type(error).__name__}: {error}".replace("\n", " ")[:500]
        print(f"feature {feature} {said}", flush=True)
