"""kafka-python, in pure Python."""
import functools
import time

import kafka
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.structs import OffsetAndMetadata

import story
from story import COUNT, PARTITIONS, WAIT_S, expect_equal, expect_error


class Member(story.Thread):
    """Commits by itself, as clients do unless told otherwise: also before a rebalance and when it
    closes."""

    def __init__(self, address, topic, group, kind, instance):
        super().__init__()
        assignor = CooperativeStickyAssignor if kind == "cooperative" else RangePartitionAssignor
        self.consumer = KafkaConsumer(
            topic, bootstrap_servers=address, group_id=group, auto_offset_reset="earliest",
            session_timeout_ms=10000, heartbeat_interval_ms=1000, group_instance_id=instance,
            partition_assignment_strategy=[assignor])
        self.start()

    def poll(self):
        for messages in self.consumer.poll(200).values():
            self.found |= {(m.partition, m.offset) for m in messages}
        self.owned = len(self.consumer.assignment())

    def close(self):
        self.consumer.close()


class Transactional:
    def __init__(self, address, name):
        self.address = address
        self.producer = KafkaProducer(bootstrap_servers=address, transactional_id=name)
        self.producer.init_transactions()
        self.begin = self.producer.begin_transaction
        self.commit = self.producer.commit_transaction
        self.abort = self.producer.abort_transaction
        self.consumer = None

    def send(self, topic, batch):
        told = [self.producer.send(topic, value, key, partition=partition)
                for partition, _, key, value, _ in batch]
        self.producer.flush(WAIT_S)
        for one in told:
            one.get(WAIT_S)

    def consume(self, topic, group, count):
        self.consumer = KafkaConsumer(
            topic, bootstrap_servers=self.address, group_id=group, enable_auto_commit=False,
            auto_offset_reset="earliest", isolation_level="read_committed")
        values, end = [], time.monotonic() + WAIT_S
        while len(values) < count and time.monotonic() < end:
            values += [m.value for part in self.consumer.poll(500).values() for m in part]
        expect_equal(len(values), count, "records consumed")
        return values

    def send_offsets(self):
        positions = {p: OffsetAndMetadata(self.consumer.position(p), "", -1)
                     for p in self.consumer.assignment()}
        self.producer.send_offsets_to_transaction(positions, self.consumer.group_metadata())

    def done_consuming(self):
        self.consumer.close()

    def close(self):
        self.producer.close()


class Client:
    name = "kafka-python"
    version = kafka.__version__
    codecs = story.CODECS  # With python-snappy, lz4 and zstandard beside it.
    null_headers = False
    unsupported = {"kip848": "the classic protocol only"}
    address = None

    @functools.cache
    def admin_client(self):
        return KafkaAdminClient(bootstrap_servers=self.address)

    def create(self, topic, partitions, **configs):
        self.admin_client().create_topics({topic: {
            "num_partitions": partitions, "replication_factor": 1, "configs": configs}},
            timeout_ms=30000)

    def produce(self, topic, batch, codec, idempotent):
        producer = KafkaProducer(
            bootstrap_servers=self.address, compression_type=None if codec == "none" else codec,
            linger_ms=20, enable_idempotence=idempotent, acks="all")
        told = [producer.send(topic, value, key, headers, partition, at_ms)
                for partition, at_ms, key, value, headers in batch]
        producer.flush(60)
        producer.close()
        return [one.get(1).offset for one in told]

    def read(self, topic, partitions, start, count, committed=True):
        consumer = KafkaConsumer(
            bootstrap_servers=self.address, enable_auto_commit=False, group_id=None,
            auto_offset_reset="earliest",
            isolation_level="read_committed" if committed else "read_uncommitted")
        consumer.assign([TopicPartition(topic, p) for p in range(partitions)])
        for partition, offset in (start or {}).items():
            consumer.seek(TopicPartition(topic, partition), offset)
        found = [[] for _ in range(partitions)]
        end = time.monotonic() + WAIT_S
        while sum(map(len, found)) < count and time.monotonic() < end:
            for place, messages in consumer.poll(500).items():
                found[place.partition] += [(m.offset, m.timestamp, m.key, m.value,
                                            list(m.headers)) for m in messages]
        expect_equal(consumer.poll(500), {}, "what is beyond the end")
        consumer.close()
        return found

    def offset_at(self, topic, partition, asked):
        place = TopicPartition(topic, partition)
        consumer = KafkaConsumer(bootstrap_servers=self.address)
        if asked == "earliest":
            found = consumer.beginning_offsets([place])[place]
        elif asked == "latest":
            found = consumer.end_offsets([place])[place]
        else:
            found = consumer.offsets_for_times({place: asked})[place].offset
        consumer.close()
        return found

    def member(self, topic, group, kind, instance):
        return Member(self.address, topic, group, kind, instance)

    def transactional(self, name):
        return Transactional(self.address, name)

    def committed(self, group, topic, partitions):
        told = self.admin_client().list_group_offsets([group])[group]
        return [told[TopicPartition(topic, p)].offset for p in range(partitions)]

    def admin(self, topic):
        admin = self.admin_client()
        self.create(topic, PARTITIONS, **{"retention.ms": "-1"})
        expect_error(["TopicAlreadyExists"], "the same topic again",
                     lambda: self.create(topic, PARTITIONS))
        expect_equal(topic in admin.list_topics(), True, "the topic is listed")
        self.produce(topic, story.records(self, "admin"), "none", False)
        self.configs(admin, topic)
        place = TopicPartition(topic, 0)
        told = admin.delete_records({place: 40}, timeout_ms=30000)
        expect_equal(told[place]["low_watermark"], 40, "low watermark")
        found = self.read(topic, PARTITIONS, None, COUNT - 40)
        expect_equal(found[0][0][0], 40, "first record left")
        admin.create_partitions({topic: PARTITIONS + 1}, timeout_ms=30000)
        found = admin.describe_topics([topic])[0]
        expect_equal(len(found["partitions"]), PARTITIONS + 1, "partitions after growing")
        expect_equal(len(admin.describe_log_dirs()), 1, "nodes with log directories")
        admin.delete_topics([topic], timeout_ms=30000)
        expect_equal(topic in admin.list_topics(), False, "the deleted topic is listed")

    @staticmethod
    def configs(admin, topic):
        def value():
            told = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)],
                                          config_filter="all")
            return [by_name[topic]["retention.ms"]["value"] for by_name in told.values()][0]

        def alter(change):
            admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic,
                                                {"retention.ms": change})])

        expect_equal(value(), "-1", "retention.ms as created")
        alter("86400000")
        expect_equal(value(), "86400000", "retention.ms altered")
        alter(("DELETE", None))
        expect_equal(value(), "604800000", "retention.ms by default")

    def group_admin(self, group):
        admin = self.admin_client()
        expect_equal(group in str(admin.list_groups()), True, "the group is listed")
        told = str(admin.describe_groups([group]))
        expect_equal("Empty" in told, True, f"an empty group in {told}")
        expect_equal(self.committed(group, group, 4), [20] * 4, "offsets")
        place = TopicPartition(group, 0)
        admin.alter_group_offsets(group, {place: OffsetAndMetadata(7, "", -1)})
        expect_equal(self.committed(group, group, 1), [7], "an offset that was changed")
        admin.delete_group_offsets(group, [place])
        expect_equal(place in admin.list_group_offsets([group])[group], False, "is deleted")
        admin.delete_groups([group])
        expect_equal(group in str(admin.list_groups()), False, "the group is gone")


if __name__ == "__main__":
    story.main(Client())
