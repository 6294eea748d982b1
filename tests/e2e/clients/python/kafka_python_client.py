"""kafka-python (pure Python): admin, every codec it has, seeks, configs, deletes."""
import sys

import kafka
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.errors import TopicAlreadyExistsError

CODECS = [None, "gzip"]  # The others need packages beside kafka-python.
PARTITIONS = 3
PER_CODEC = 600
TOPIC = "kafka-python"
START_MS = 1_700_000_000_000


def expect_equal(found, wanted, what):
    if found != wanted:
        print(f"{what}: found {found!r}, wanted {wanted!r}")
        sys.exit(1)


def record(codec, number):
    key = None if number % 7 == 0 else f"{codec}-{number}".encode()
    value = (f"{codec} {number} " * (number % 40 + 1)).encode()
    return key, value, [("n", str(number).encode()), ("empty", b"")][:number % 3]


def create(admin):
    topics = {TOPIC: {"num_partitions": PARTITIONS, "replication_factor": 1,
                      "configs": {"retention.ms": "-1"}}}
    admin.create_topics(topics, timeout_ms=30000)
    try:
        admin.create_topics(topics, timeout_ms=30000)
        expect_equal("created", "refused", "the same topic again")
    except TopicAlreadyExistsError:
        pass
    expect_equal(TOPIC in admin.list_topics(), True, "the topic is listed")


def produce(address):
    for codec in CODECS:
        producer = KafkaProducer(bootstrap_servers=address, compression_type=codec, linger_ms=20,
                                 enable_idempotence=True, acks="all")
        told = []
        for number in range(PER_CODEC):
            key, value, headers = record(codec, number)
            told.append(producer.send(TOPIC, value, key, headers, number % PARTITIONS,
                                      START_MS + 1000 * number))
        producer.flush(60)
        base = CODECS.index(codec) * PER_CODEC // PARTITIONS
        for number, future in enumerate(told):
            expect_equal(future.get(1).offset, base + number // PARTITIONS, "offset told")
        producer.close()


def open_consumer(address):
    consumer = KafkaConsumer(bootstrap_servers=address, enable_auto_commit=False, group_id=None,
                             auto_offset_reset="earliest")
    consumer.assign([TopicPartition(TOPIC, p) for p in range(PARTITIONS)])
    return consumer


def consume(consumer, count):
    found = [[] for _ in range(PARTITIONS)]
    while sum(map(len, found)) < count:
        polled = consumer.poll(20000)
        expect_equal(bool(polled), True, f"more than {sum(map(len, found))} of {count} records")
        for place, messages in polled.items():
            found[place.partition] += messages
    return found


def compare(consumer):
    consumer.seek_to_beginning()
    found = consume(consumer, PER_CODEC * len(CODECS))
    wanted = [[] for _ in range(PARTITIONS)]
    for codec in CODECS:
        for number in range(PER_CODEC):
            wanted[number % PARTITIONS].append((START_MS + 1000 * number, *record(codec, number)))
    for partition in range(PARTITIONS):
        got = [(m.timestamp, m.key, m.value, list(m.headers)) for m in found[partition]]
        expect_equal(len(got), len(wanted[partition]), f"count of partition {partition}")
        for number, (one, right) in enumerate(zip(got, wanted[partition])):
            expect_equal(one, right, f"record {number} of partition {partition}")


def offsets(consumer):
    places = [TopicPartition(TOPIC, p) for p in range(PARTITIONS)]
    end = PER_CODEC // PARTITIONS * len(CODECS)
    expect_equal(consumer.beginning_offsets(places), dict.fromkeys(places, 0), "beginning")
    expect_equal(consumer.end_offsets(places), dict.fromkeys(places, end), "end")
    by_time = consumer.offsets_for_times(dict.fromkeys(places, START_MS + 450_000))
    expect_equal([by_time[p].offset for p in places], [150] * 3, "by time")
    for place in places:
        consumer.seek(place, end - 2)
    found = consume(consumer, 2 * PARTITIONS)
    expect_equal([m.offset for m in found[1]], [end - 2, end - 1], "after a seek")


def value_of(admin, key):
    told = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, TOPIC)],
                                  config_filter="all")
    for by_name in told.values():
        return by_name[TOPIC][key]["value"]
    return None


def configs(admin):
    expect_equal(value_of(admin, "retention.ms"), "-1", "retention.ms as created")
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, TOPIC,
                                        {"retention.ms": "86400000"})])
    expect_equal(value_of(admin, "retention.ms"), "86400000", "retention.ms altered")
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, TOPIC,
                                        {"retention.ms": ("DELETE", None)})])
    expect_equal(value_of(admin, "retention.ms"), "604800000", "retention.ms by default")


def delete(admin, consumer):
    place = TopicPartition(TOPIC, 0)
    told = admin.delete_records({place: 100}, timeout_ms=30000)
    expect_equal(told[place]["low_watermark"], 100, "low watermark")
    expect_equal(consumer.beginning_offsets([place]), {place: 100}, "beginning after it")
    admin.create_partitions({TOPIC: PARTITIONS + 1}, timeout_ms=30000)
    topic = admin.describe_topics([TOPIC])[0]
    expect_equal(len(topic["partitions"]), PARTITIONS + 1, "partitions after growing")
    expect_equal(len(admin.describe_log_dirs()), 1, "nodes with log directories")
    admin.delete_topics([TOPIC], timeout_ms=30000)
    expect_equal(TOPIC in admin.list_topics(), False, "the deleted topic is listed")


def main():
    address = sys.argv[1]
    print(f"kafka-python {kafka.__version__}")
    admin = KafkaAdminClient(bootstrap_servers=address)
    create(admin)
    produce(address)
    consumer = open_consumer(address)
    compare(consumer)
    offsets(consumer)
    configs(admin)
    delete(admin, consumer)
    consumer.close()
    admin.close()
    print("OK")


main()
