"""confluent-kafka for Python, with librdkafka inside."""
import functools
import time

import confluent_kafka
from confluent_kafka import (OFFSET_BEGINNING, Consumer, ConsumerGroupState,
                             ConsumerGroupTopicPartitions, IsolationLevel, Producer,
                             TopicPartition)
from confluent_kafka.admin import (AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource,
                                   NewPartitions, NewTopic, OffsetSpec, ResourceType)

import story
from story import COUNT, PARTITIONS, START_MS, WAIT_S, expect_equal, expect_error


class Member(story.Thread):
    def __init__(self, address, topic, group, kind, instance):
        super().__init__()
        settings = {"bootstrap.servers": address, "group.id": group,
                    "auto.offset.reset": "earliest"}
        if kind == "kip848":
            settings["group.protocol"] = "consumer"
        else:
            settings["session.timeout.ms"] = 6000
            settings["partition.assignment.strategy"] = \
                "cooperative-sticky" if kind == "cooperative" else "range"
        if instance is not None:
            settings["group.instance.id"] = instance
        self.consumer = Consumer(settings)
        self.consumer.subscribe([topic])
        self.start()

    def poll(self):
        for message in self.consumer.consume(100, 0.1):
            expect_equal(message.error(), None, "an error instead of a record")
            self.found.add((message.partition(), message.offset()))
        self.owned = len(self.consumer.assignment())

    def close(self):
        self.consumer.close()


class Transactional:
    def __init__(self, address, name):
        self.address = address
        self.producer = Producer({"bootstrap.servers": address, "transactional.id": name})
        self.producer.init_transactions(WAIT_S)
        self.begin = self.producer.begin_transaction
        self.consumer = None

    def send(self, topic, batch):
        for partition, _, key, value, _ in batch:
            self.producer.produce(topic, value, key, partition)
        expect_equal(self.producer.flush(WAIT_S), 0, "records left")

    def commit(self):
        self.producer.commit_transaction(WAIT_S)

    def abort(self):
        self.producer.abort_transaction(WAIT_S)

    def consume(self, topic, group, count):
        self.consumer = Consumer({
            "bootstrap.servers": self.address, "group.id": group, "enable.auto.commit": False,
            "auto.offset.reset": "earliest", "isolation.level": "read_committed"})
        self.consumer.subscribe([topic])
        values, end = [], time.monotonic() + WAIT_S
        while len(values) < count and time.monotonic() < end:
            values += [m.value() for m in self.consumer.consume(100, 0.5)]
        expect_equal(len(values), count, "records consumed")
        return values

    def send_offsets(self):
        positions = self.consumer.position(self.consumer.assignment())
        self.producer.send_offsets_to_transaction(
            positions, self.consumer.consumer_group_metadata(), WAIT_S)

    def done_consuming(self):
        self.consumer.close()

    def close(self):
        pass


class Client:
    name = "confluent-python"
    version = f"{confluent_kafka.__version__}, librdkafka {confluent_kafka.libversion()[0]}"
    codecs = story.CODECS
    unsupported = {}
    address = None

    @functools.cache
    def admin_client(self):  # Kept: its futures fail when it is collected.
        return AdminClient({"bootstrap.servers": self.address})

    def create(self, topic, partitions, **configs):
        wanted = NewTopic(topic, partitions, 1, config=configs)
        self.admin_client().create_topics([wanted])[topic].result(30)

    def produce(self, topic, batch, codec, idempotent):
        """Each delivery report's offset."""
        producer = Producer({"bootstrap.servers": self.address, "enable.idempotence": idempotent,
                             "compression.type": codec, "linger.ms": 20})
        offsets = [None] * len(batch)

        def told(number):
            def on_delivery(error, message):
                offsets[number] = message.offset() if error is None else str(error)
            return on_delivery

        for number, (partition, at_ms, key, value, headers) in enumerate(batch):
            producer.produce(topic, value, key, partition, on_delivery=told(number),
                             timestamp=at_ms or 0, headers=headers)
        expect_equal(producer.flush(60), 0, "records left")
        return offsets

    def read(self, topic, partitions, start, count, committed=True):
        consumer = Consumer({
            "bootstrap.servers": self.address, "group.id": "unused", "enable.auto.commit": False,
            "isolation.level": "read_committed" if committed else "read_uncommitted"})
        consumer.assign([TopicPartition(topic, p, (start or {}).get(p, OFFSET_BEGINNING))
                         for p in range(partitions)])
        found = [[] for _ in range(partitions)]
        end = time.monotonic() + WAIT_S
        while sum(map(len, found)) < count and time.monotonic() < end:
            for one in consumer.consume(500, 0.5):
                expect_equal(one.error(), None, "consume")
                found[one.partition()].append((one.offset(), one.timestamp()[1], one.key(),
                                               one.value(), one.headers() or []))
        expect_equal(consumer.poll(0.5), None, "a message beyond the end")
        consumer.close()
        return found

    def offset_at(self, topic, partition, asked):
        spec = {"earliest": OffsetSpec.earliest, "latest": OffsetSpec.latest}.get(asked)
        spec = spec() if spec else OffsetSpec.for_timestamp(asked)
        place = TopicPartition(topic, partition)
        told = self.admin_client().list_offsets({place: spec},
                                                isolation_level=IsolationLevel.READ_COMMITTED)
        consumer = Consumer({"bootstrap.servers": self.address, "group.id": "unused"})
        low, high = consumer.get_watermark_offsets(place, 30)
        by_time = consumer.offsets_for_times([TopicPartition(topic, partition, asked)], 30) \
            if isinstance(asked, int) else None
        consumer.close()
        found = told[place].result(30).offset
        other = {"earliest": low, "latest": high}.get(asked)
        expect_equal(found, by_time[0].offset if by_time else other, "offset of the consumer")
        return found

    def member(self, topic, group, kind, instance):
        return Member(self.address, topic, group, kind, instance)

    def transactional(self, name):
        return Transactional(self.address, name)

    def committed(self, group, topic, partitions):
        consumer = Consumer({"bootstrap.servers": self.address, "group.id": group})
        told = consumer.committed([TopicPartition(topic, p) for p in range(partitions)], 30)
        consumer.close()
        return [p.offset for p in told]

    def admin(self, topic):
        admin = self.admin_client()
        expect_equal(len(admin.describe_cluster().result(30).nodes), 1, "nodes")
        self.create(topic, PARTITIONS, **{"retention.ms": "-1"})
        expect_error(["TOPIC_ALREADY_EXISTS"], "the same topic again",
                     lambda: self.create(topic, PARTITIONS))
        found = admin.list_topics(topic, timeout=30).topics[topic]
        expect_equal(sorted(found.partitions), [0, 1, 2], "partitions")
        self.produce(topic, story.records(self, "admin"), "none", False)
        self.configs(admin, ConfigResource(ResourceType.TOPIC, topic))
        told = admin.delete_records([TopicPartition(topic, 0, 40), TopicPartition(topic, 2, -1)])
        low = {place.partition: future.result(30).low_watermark for place, future in told.items()}
        expect_equal(low, {0: 40, 2: COUNT // PARTITIONS}, "low watermarks")
        found = self.read(topic, PARTITIONS, None, COUNT * 2 // PARTITIONS - 40)
        expect_equal(([len(f) for f in found], found[0][0][0]), ([160, 200, 0], 40), "left")
        told = admin.list_offsets({TopicPartition(topic, 1): OffsetSpec.max_timestamp()})
        expect_equal([f.result(30).offset for f in told.values()], [199], "newest")
        admin.create_partitions([NewPartitions(topic, PARTITIONS + 2)])[topic].result(30)
        found = admin.list_topics(topic, timeout=30).topics[topic]
        expect_equal(len(found.partitions), PARTITIONS + 2, "partitions after growing")
        admin.delete_topics([topic])[topic].result(30)
        expect_equal(topic in admin.list_topics(timeout=30).topics, False, "it is listed")

    @staticmethod
    def configs(admin, resource):
        def value(key):
            return admin.describe_configs([resource])[resource].result(30)[key]

        def alter(kind, wanted):
            change = ConfigResource(ResourceType.TOPIC, resource.name, incremental_configs=[
                ConfigEntry("retention.ms", wanted, incremental_operation=kind)])
            admin.incremental_alter_configs([change])[change].result(30)

        expect_equal(value("retention.ms").value, "-1", "retention.ms as created")
        expect_equal((value("cleanup.policy").value, value("cleanup.policy").is_default),
                     ("delete", True), "cleanup.policy")
        alter(AlterConfigOpType.SET, "86400000")
        expect_equal(value("retention.ms").value, "86400000", "retention.ms altered")
        alter(AlterConfigOpType.DELETE, None)
        expect_equal(value("retention.ms").value, "604800000", "retention.ms by default")
        expect_error(["INVALID_CONFIG"], "a bad value",
                     lambda: alter(AlterConfigOpType.SET, "soon"))

    def group_admin(self, group):
        admin = self.admin_client()

        def names():
            return [g.group_id for g in admin.list_consumer_groups().result(30).valid]

        def offsets():
            asked = ConsumerGroupTopicPartitions(group)
            told = admin.list_consumer_group_offsets([asked])[group].result(30).topic_partitions
            return sorted((p.partition, p.offset) for p in told)

        expect_equal(group in names(), True, "the group is listed")
        told = admin.describe_consumer_groups([group])[group].result(30)
        expect_equal(told.state, ConsumerGroupState.EMPTY, "state")
        expect_equal(offsets(), [(p, 20) for p in range(4)], "offsets")
        change = ConsumerGroupTopicPartitions(group, [TopicPartition(group, 0, 7)])
        admin.alter_consumer_group_offsets([change])[group].result(30)
        expect_equal(offsets()[0], (0, 7), "an offset that was changed")
        admin.delete_consumer_groups([group])[group].result(30)
        expect_equal(group in names(), False, "the group is listed")


if __name__ == "__main__":
    story.main(Client())
