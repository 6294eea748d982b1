"""What the protocol promises beyond what client libraries ask for, said with raw sockets."""
import struct
import time

from harness import Case, expect, expect_equal
from wire import (API_VERSIONS, CREATE_TOPICS, FETCH, METADATA, PRODUCE, Connection, array, batch,
                  records, string)

NONE, CORRUPT_MESSAGE, UNKNOWN_TOPIC, TOO_LARGE, UNSUPPORTED_VERSION = 0, 2, 3, 10, 35
INVALID_TOPIC, TOPIC_EXISTS, INVALID_ACKS, OUT_OF_ORDER, INVALID_EPOCH = 17, 36, 21, 45, 47


def connect(context):
    return Connection(context.broker.port)


def make_topic(connection, name, partitions=1, configs=()):
    expect_equal(connection.create_topic(name, partitions, configs), NONE, f"create topic {name}")
    return name


def api_versions_unknown(context):
    """Version 99: an answer in version 0 with error 35 and our own range; the connection lives."""
    with connect(context) as peer:
        peer.send(API_VERSIONS, 99, b"\x01\x02\x03\x04", header_tags=b"\0")
        correlation, body = peer.receive()
        expect_equal(correlation, 1, "correlation id")
        error, count, key, low, high = struct.unpack(">hihhh", body)
        expect_equal((error, count, key), (UNSUPPORTED_VERSION, 1, API_VERSIONS), "answer")
        expect(low == 0 and high >= 3, f"own range {low}..{high}")
        expect(len(peer.api_versions()) > 10, "the connection is no longer usable")


def api_versions_flexible(context):
    """Version 3: header v0 all the same; a malformed software name is INVALID_REQUEST."""
    with connect(context) as peer:
        name, bad = b"\x08library\x041.0\0", b"\x09 library\x041.0\0"
        body = peer.call(API_VERSIONS, 3, name, header_tags=b"\0")
        expect_equal(struct.unpack_from(">h", body)[0], NONE, "error code")
        expect_equal(body[2] - 1, len(peer.api_versions()), "APIs in a compact array")
        body = peer.call(API_VERSIONS, 3, bad, header_tags=b"\0")
        expect_equal(struct.unpack_from(">h", body)[0], 42, "error of a bad software name")


def advertised_ranges(context):
    with connect(context) as peer:
        ranges = peer.api_versions()
    expect(all(low <= high for low, high in ranges.values()), f"min above max in {ranges}")
    expect_equal(ranges[PRODUCE][0], 0, "Produce advertised from")  # KAFKA-18659
    expect(ranges[FETCH][0] <= 4, "Fetch from 4 for old clients")


def unknown_api_closes(context):
    for key, version in [(999, 0), (-1, 0), (PRODUCE, 99), (FETCH, 0), (PRODUCE, 2)]:
        with connect(context) as peer:
            peer.send(key, version, b"")
            expect(peer.closed_by_peer(), f"API {key} version {version} leaves the connection open")


def answers_in_order(context):
    """A long poll first, quick requests behind it: the answers keep the order of the requests."""
    with connect(context) as peer:
        topic = make_topic(peer, "order")
        wanted = [peer.send(FETCH, 4, peer.fetch_body(topic, 0, 0, wait_ms=700))]
        for _ in range(5):
            wanted.append(peer.send(API_VERSIONS, 0, b""))
            wanted.append(peer.send(METADATA, 1, array([string(topic)])))
        begun = time.monotonic()
        got = [peer.receive()[0] for _ in wanted]
        expect_equal(got, wanted, "order of correlation ids")
        expect(time.monotonic() - begun > 0.5, "the long poll did not wait")


def fetch_wakes_on_data(context):
    with connect(context) as reader, connect(context) as writer:
        topic = make_topic(writer, "wake")
        begun = time.monotonic()
        wanted = reader.send(FETCH, 4, reader.fetch_body(topic, 0, 0, wait_ms=20000))
        time.sleep(0.3)
        expect_equal(writer.produce(topic, 0, batch([b"wake"])), (NONE, 0), "produce")
        expect_equal(reader.receive()[0], wanted, "correlation id")
        seconds = time.monotonic() - begun
        expect(0.3 <= seconds < 5, f"the fetch took {seconds:.2f} s")


def fetch_bytes_min(context):
    with connect(context) as peer:
        topic = make_topic(peer, "min")
        peer.produce(topic, 0, batch([b"few bytes"]))
        begun = time.monotonic()
        error, watermark, data = peer.fetch(topic, 0, 0, wait_ms=600, bytes_min=1 << 20)
        seconds = time.monotonic() - begun
        expect(seconds > 0.5, f"answered after {seconds:.2f} s though min_bytes was not there")
        expect_equal((error, watermark, records(data)[0]), (NONE, 1, [(0, b"few bytes")]), "fetch")


def fetch_inside_batch(context):
    """An offset within a batch gives the whole batch; a tiny limit gives one batch (KIP-74)."""
    with connect(context) as peer:
        topic = make_topic(peer, "inside")
        peer.produce(topic, 0, batch([b"a", b"b", b"c"]))
        peer.produce(topic, 0, batch([b"d" * 5000]))
        error, watermark, data = peer.fetch(topic, 0, 2)
        expect_equal((error, watermark), (NONE, 4), "fetch inside a batch")
        expect_equal([offset for offset, _ in records(data)[0]], [0, 1, 2, 3], "offsets")
        error, _, data = peer.fetch(topic, 0, 3, bytes_max=10)
        expect_equal(records(data)[0], [(3, b"d" * 5000)], "one batch above the limit")
        expect_equal(peer.fetch(topic, 0, 5)[0], 1, "error beyond the end")
        expect_equal(peer.fetch(topic, 0, -5)[0], 1, "error before the start")
        expect_equal(peer.fetch("nowhere", 0, 0)[0], UNKNOWN_TOPIC, "error of an unknown topic")


def metadata_all_and_none(context):
    """Version 0: empty means all. From 1: null means all, empty means none."""
    with connect(context) as peer:
        make_topic(peer, "listed")
        expect(peer.topic_count(0, array([]))[0] > 0, "version 0, empty list: no topics")
        count, controller, ids = peer.topic_count(1, struct.pack(">i", -1))
        expect(count > 0, "version 1, null: no topics")
        expect(controller in ids, f"controller {controller} is not among {ids}")
        expect_equal(peer.topic_count(1, array([]))[0], 0, "topics of version 1, empty list")


def no_answer_for_acks_0(context):
    with connect(context) as peer:
        topic = make_topic(peer, "acks0")
        for number in range(10):
            peer.send(PRODUCE, 7, peer.produce_body(topic, 0, batch([b"%d" % number]), acks=0))
        wanted = peer.send(API_VERSIONS, 0, b"")
        expect_equal(peer.receive()[0], wanted, "the first answer is the one of ApiVersions")
        found = wait_for_records(peer, topic, 10)
        expect_equal(found, [(n, b"%d" % n) for n in range(10)], "records")
    with connect(context) as peer:
        peer.send(PRODUCE, 7, peer.produce_body("nowhere-0", 0, batch([b"x"]), acks=0))
        expect(peer.closed_by_peer(), "acks=0 with an error does not close the connection")


def wait_for_records(peer, topic, count, seconds=10):
    deadline = time.monotonic() + seconds
    found = []
    while len(found) < count and time.monotonic() < deadline:
        found = records(peer.fetch(topic, 0, 0)[2])[0]
    return found


def acks_other_values(context):
    with connect(context) as peer:
        topic = make_topic(peer, "acks")
        expect_equal(peer.produce(topic, 0, batch([b"x"]), acks=1), (NONE, 0), "acks=1")
        expect_equal(peer.produce(topic, 0, batch([b"x"]), acks=5)[0], INVALID_ACKS, "acks=5")


def duplicate_batch(context):
    """The same batch again is acknowledged with its first offset; gaps and old epochs are not."""
    with connect(context) as peer:
        topic = make_topic(peer, "duplicates")
        producer, epoch = peer.init_producer_id()
        sent = [batch([b"%d" % n], producer=(producer, epoch, n)) for n in range(6)]
        for number, data in enumerate(sent):
            expect_equal(peer.produce(topic, 0, data), (NONE, number), f"batch {number}")
        for number, data in list(enumerate(sent))[1:]:
            expect_equal(peer.produce(topic, 0, data), (NONE, number), f"batch {number} again")
        error, _ = peer.produce(topic, 0, sent[0])
        expect(error in (OUT_OF_ORDER, 46), f"a batch older than the last five: error {error}")
        gap = batch([b"x"], producer=(producer, epoch, 9))
        expect_equal(peer.produce(topic, 0, gap)[0], OUT_OF_ORDER, "error of a gap")
        newer = batch([b"y"], producer=(producer, epoch + 1, 0))
        expect_equal(peer.produce(topic, 0, newer), (NONE, 6), "new epoch from 0")
        old = batch([b"z"], producer=(producer, epoch, 6))
        expect_equal(peer.produce(topic, 0, old)[0], INVALID_EPOCH, "error of an old epoch")
        expect_equal(len(records(peer.fetch(topic, 0, 0)[2])[0]), 7, "records")


def bad_batches(context):
    """Bytes that are no batch are refused with a code, and nothing of them is stored."""
    good = batch([b"value" * 20])
    flipped = bytearray(good)
    flipped[80] ^= 1
    magic = bytearray(good)
    magic[16] = 1
    with connect(context) as peer:
        topic = make_topic(peer, "bad", configs=[("max.message.bytes", "2000")])
        for data, wanted, what in [
                (bytes(flipped), (CORRUPT_MESSAGE,), "flipped bit"),
                (good[:-1], (CORRUPT_MESSAGE, 42, 87), "cut batch"),
                (bytes(magic), (43, CORRUPT_MESSAGE, 42, 87), "magic 1"),
                (good + b"\0", (CORRUPT_MESSAGE, 42, 87), "a byte more"),
                (b"", (CORRUPT_MESSAGE, 42, 87), "no batch"),
                (batch([b"x" * 3000]), (TOO_LARGE,), "too large")]:
            error, _ = peer.produce(topic, 0, data)
            expect(error in wanted, f"{what}: error {error}, wanted one of {wanted}")
        expect_equal(peer.produce(topic, 0, good), (NONE, 0), "a good batch behind them")


def offsets_by_time(context):
    with connect(context) as peer:
        topic = make_topic(peer, "times")
        expect_equal(peer.list_offset(topic, 0, -1)[::2], (NONE, 0), "end of an empty partition")
        for number in range(5):
            peer.produce(topic, 0, batch([b"%d" % number], timestamp=1000 * (number + 1)))
        for timestamp, wanted in [(0, (NONE, 1000, 0)), (1000, (NONE, 1000, 0)),
                                  (1001, (NONE, 2000, 1)), (5000, (NONE, 5000, 4)),
                                  (5001, (NONE, -1, -1))]:
            expect_equal(peer.list_offset(topic, 0, timestamp), wanted, f"time {timestamp}")
        expect_equal(peer.list_offset(topic, 0, -1)[::2], (NONE, 5), "latest")
        expect_equal(peer.list_offset(topic, 0, -2)[::2], (NONE, 0), "earliest")


def topic_rules(context):
    with connect(context) as peer:
        make_topic(peer, "rules")
        expect_equal(peer.create_topic("rules"), TOPIC_EXISTS, "same name again")
        for name in ["", ".", "..", "a/b", "a b", "x" * 250]:
            expect_equal(peer.create_topic(name), INVALID_TOPIC, f"topic {name!r}")
        expect_equal(peer.create_topic("zero", partitions=0), 37, "no partitions")
        expect_equal(peer.create_topic("conf", configs=[("no.such", "1")]), 40, "unknown config")
        expect_equal(peer.create_topic("conf", configs=[("retention.ms", "x")]), 40, "bad value")
        make_topic(peer, "x" * 249)
        expect_equal(peer.delete_topic("rules"), NONE, "delete")
        expect_equal(peer.delete_topic("rules"), UNKNOWN_TOPIC, "delete again")
        make_topic(peer, "rules")
        expect_equal(peer.list_offset("rules", 0, -1)[::2], (NONE, 0), "end of the new namesake")


def many_topics_one_request(context):
    """One result per topic, the bad ones among the good ones."""
    names = ["many-1", "bad name", "many-2", "many-1"]
    topics = [string(n) + struct.pack(">ihii", 1, 1, 0, 0) for n in names]
    with connect(context) as peer:
        data = peer.call(CREATE_TOPICS, 2, array(topics) + struct.pack(">ib", 30000, 0))
        count, = struct.unpack_from(">i", data, 4)
        expect(count in (3, 4), f"{count} results for 4 topics, one named twice")
        expect_equal(peer.list_offset("many-2", 0, -1)[0], NONE, "a good topic beside bad ones")


CASES = [Case(run.__name__, run) for run in [
    api_versions_unknown, api_versions_flexible, advertised_ranges, unknown_api_closes,
    answers_in_order, fetch_wakes_on_data, fetch_bytes_min, fetch_inside_batch,
    metadata_all_and_none, no_answer_for_acks_0, acks_other_values, duplicate_batch, bad_batches,
    offsets_by_time, topic_rules, many_topics_one_request]]
