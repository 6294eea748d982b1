"""confluent-kafka (librdkafka inside): admin, every codec, seeks, configs, deletes."""
import sys
import time

import confluent_kafka
from confluent_kafka import (OFFSET_BEGINNING, Consumer, IsolationLevel, Producer,
                             TopicPartition)
from confluent_kafka.admin import (AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource,
                                   NewPartitions, NewTopic, OffsetSpec, ResourceType)

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
PARTITIONS = 3
PER_CODEC = 600
TOPIC = "confluent"
START_MS = 1_700_000_000_000


def expect_equal(found, wanted, what):
    if found != wanted:
        print(f"{what}: found {found!r}, wanted {wanted!r}")
        sys.exit(1)


def record(codec, number):
    """(key, value, headers) of a record; some without key, some with an empty value."""
    key = None if number % 7 == 0 else f"{codec}-{number}".encode()
    value = None if number % 97 == 96 else (f"{codec} {number} " * (number % 40)).encode()
    headers = [("n", str(number).encode()), ("empty", b""), ("null", None)]
    return key, value, headers[:number % 4]


def create(admin):
    wanted = NewTopic(TOPIC, PARTITIONS, 1, config={"retention.ms": "-1"})
    admin.create_topics([wanted])[TOPIC].result(30)
    topic = admin.list_topics(TOPIC, timeout=30).topics[TOPIC]
    expect_equal(sorted(topic.partitions), [0, 1, 2], "partitions")
    try:
        admin.create_topics([wanted])[TOPIC].result(30)
        expect_equal("created", "refused", "the same topic again")
    except confluent_kafka.KafkaException as error:
        expect_equal(error.args[0].name(), "TOPIC_ALREADY_EXISTS", "the same topic again")


def produce(address):
    """All codecs, one after the other, idempotent; each delivery report has the right offset."""
    offsets = [0] * PARTITIONS
    failed = []
    for codec in CODECS:
        producer = Producer({"bootstrap.servers": address, "enable.idempotence": True,
                             "compression.type": codec, "linger.ms": 20})

        def told(error, message):
            if error is not None:
                failed.append(str(error))
            elif message.offset() != offsets[message.partition()]:
                failed.append(f"offset {message.offset()} of partition {message.partition()}")
            else:
                offsets[message.partition()] += 1

        for number in range(PER_CODEC):
            key, value, headers = record(codec, number)
            producer.produce(TOPIC, value, key, number % PARTITIONS, on_delivery=told,
                             timestamp=START_MS + 1000 * number, headers=headers)
        expect_equal(producer.flush(60), 0, f"records left of {codec}")
    expect_equal(failed, [], "delivery reports")


def consume(address, start, count):
    """`count` messages of the assigned partitions, by partition."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "unused",
                         "enable.auto.commit": False, "isolation.level": "read_committed"})
    consumer.assign([TopicPartition(TOPIC, p, start.get(p, OFFSET_BEGINNING)) for p in
                     range(PARTITIONS)])
    found = [[] for _ in range(PARTITIONS)]
    deadline = time.monotonic() + 60
    while sum(map(len, found)) < count and time.monotonic() < deadline:
        for message in consumer.consume(500, 1):
            expect_equal(message.error(), None, "consume")
            found[message.partition()].append(message)
    extra = consumer.poll(0.5)
    expect_equal(extra, None, "a message beyond the end")
    consumer.close()
    return found


def compare(found):
    wanted = [[] for _ in range(PARTITIONS)]
    for codec in CODECS:
        for number in range(PER_CODEC):
            wanted[number % PARTITIONS].append((number, record(codec, number)))
    for partition in range(PARTITIONS):
        expect_equal(len(found[partition]), len(wanted[partition]), f"count of {partition}")
        for offset, (message, (number, right)) in enumerate(zip(found[partition],
                                                                wanted[partition])):
            got = (message.key(), message.value(), message.headers() or [])
            expect_equal((message.offset(), message.timestamp()[1], got),
                         (offset, START_MS + 1000 * number, right), f"record {offset}")


def offsets(address, admin):
    per_partition = PER_CODEC // PARTITIONS * len(CODECS)
    for spec, wanted in [(OffsetSpec.earliest(), 0), (OffsetSpec.latest(), per_partition),
                         (OffsetSpec.for_timestamp(START_MS + 300_000), 100),
                         (OffsetSpec.max_timestamp(), 199)]:
        asked = {TopicPartition(TOPIC, p): spec for p in range(PARTITIONS)}
        told = admin.list_offsets(asked, isolation_level=IsolationLevel.READ_COMMITTED)
        for place, future in told.items():
            expect_equal(future.result(30).offset, wanted, f"offset of {place} by {spec}")
    consumer = Consumer({"bootstrap.servers": address, "group.id": "unused"})
    expect_equal(consumer.get_watermark_offsets(TopicPartition(TOPIC, 1), 30),
                 (0, per_partition), "watermarks")
    asked = [TopicPartition(TOPIC, p, START_MS + 450_000) for p in range(PARTITIONS)]
    expect_equal([p.offset for p in consumer.offsets_for_times(asked, 30)], [150] * 3, "by time")
    consumer.close()


def describe(admin, resource):
    return admin.describe_configs([resource])[resource].result(30)


def configs(admin):
    resource = ConfigResource(ResourceType.TOPIC, TOPIC)
    before = describe(admin, resource)
    expect_equal(before["retention.ms"].value, "-1", "retention.ms as created")
    expect_equal(before["cleanup.policy"].value, "delete", "cleanup.policy")
    expect_equal(before["cleanup.policy"].is_default, True, "cleanup.policy is the default")
    change = ConfigResource(ResourceType.TOPIC, TOPIC, incremental_configs=[
        ConfigEntry("retention.ms", "86400000",
                    incremental_operation=AlterConfigOpType.SET),
        ConfigEntry("max.message.bytes", "500000",
                    incremental_operation=AlterConfigOpType.SET)])
    admin.incremental_alter_configs([change])[change].result(30)
    after = describe(admin, resource)
    expect_equal((after["retention.ms"].value, after["max.message.bytes"].value),
                 ("86400000", "500000"), "altered")
    change = ConfigResource(ResourceType.TOPIC, TOPIC, incremental_configs=[
        ConfigEntry("retention.ms", None, incremental_operation=AlterConfigOpType.DELETE)])
    admin.incremental_alter_configs([change])[change].result(30)
    expect_equal(describe(admin, resource)["retention.ms"].value, "604800000", "deleted")
    bad = ConfigResource(ResourceType.TOPIC, TOPIC, incremental_configs=[
        ConfigEntry("retention.ms", "soon", incremental_operation=AlterConfigOpType.SET)])
    try:
        admin.incremental_alter_configs([bad])[bad].result(30)
        expect_equal("altered", "refused", "a bad value")
    except confluent_kafka.KafkaException as error:
        expect_equal(error.args[0].name(), "INVALID_CONFIG", "a bad value")


def delete_records(address, admin):
    per_partition = PER_CODEC // PARTITIONS * len(CODECS)
    told = admin.delete_records([TopicPartition(TOPIC, 0, 400), TopicPartition(TOPIC, 2, -1)])
    low = {place.partition: future.result(30).low_watermark for place, future in told.items()}
    expect_equal(low, {0: 400, 2: per_partition}, "low watermarks")
    found = consume(address, {}, 2 * per_partition - 400)
    expect_equal([len(f) for f in found], [per_partition - 400, per_partition, 0], "left")
    expect_equal(found[0][0].offset(), 400, "first offset")


def grow_and_delete(admin):
    admin.create_partitions([NewPartitions(TOPIC, PARTITIONS + 2)])[TOPIC].result(30)
    topic = admin.list_topics(TOPIC, timeout=30).topics[TOPIC]
    expect_equal(len(topic.partitions), PARTITIONS + 2, "partitions after growing")
    admin.delete_topics([TOPIC])[TOPIC].result(30)
    expect_equal(TOPIC in admin.list_topics(timeout=30).topics, False, "the topic is listed")


def main():
    address = sys.argv[1]
    print(f"confluent-kafka {confluent_kafka.__version__}, "
          f"librdkafka {confluent_kafka.libversion()[0]}")
    admin = AdminClient({"bootstrap.servers": address})
    expect_equal(len(admin.describe_cluster().result(30).nodes), 1, "nodes")
    create(admin)
    produce(address)
    compare(consume(address, {}, PER_CODEC * len(CODECS)))
    offsets(address, admin)
    configs(admin)
    delete_records(address, admin)
    grow_and_delete(admin)
    print("OK")


main()
