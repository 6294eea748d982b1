"""aiokafka, on asyncio; its event loop runs on a thread of its own."""
import asyncio
import functools
import threading
import time

import aiokafka
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

import story
from story import COUNT, PARTITIONS, WAIT_S, expect_equal, expect_error

LOOP = asyncio.new_event_loop()


def wait(coroutine, seconds=WAIT_S + 20):
    return asyncio.run_coroutine_threadsafe(coroutine, LOOP).result(seconds)


async def started(make):
    one = make()
    await one.start()
    return one


class Member(story.Thread):
    def __init__(self, address, topic, group, kind, instance):
        super().__init__()
        assignor = RoundRobinPartitionAssignor if kind == "roundrobin" else RangePartitionAssignor
        self.consumer = wait(started(lambda: AIOKafkaConsumer(
            topic, bootstrap_servers=address, group_id=group, auto_offset_reset="earliest",
            session_timeout_ms=6000, heartbeat_interval_ms=1000, group_instance_id=instance,
            partition_assignment_strategy=[assignor])))
        self.start()

    def poll(self):
        for messages in wait(self.consumer.getmany(timeout_ms=200)).values():
            self.found |= {(m.partition, m.offset) for m in messages}
        self.owned = len(self.consumer.assignment())

    def close(self):
        wait(self.consumer.stop())


class Transactional:
    def __init__(self, address, name):
        self.address = address
        self.producer = wait(started(lambda: AIOKafkaProducer(
            bootstrap_servers=address, transactional_id=name)))
        self.consumer = self.group = None

    def begin(self):
        wait(self.producer.begin_transaction())

    def commit(self):
        wait(self.producer.commit_transaction())

    def abort(self):
        wait(self.producer.abort_transaction())

    def send(self, topic, batch):
        async def send():
            told = [await self.producer.send(topic, value, key, partition)
                    for partition, _, key, value, _ in batch]
            await asyncio.gather(*told)
        wait(send())

    def consume(self, topic, group, count):
        self.group = group
        self.consumer = wait(started(lambda: AIOKafkaConsumer(
            topic, bootstrap_servers=self.address, group_id=group, enable_auto_commit=False,
            auto_offset_reset="earliest", isolation_level="read_committed")))
        values, end = [], time.monotonic() + WAIT_S
        while len(values) < count and time.monotonic() < end:
            polled = wait(self.consumer.getmany(timeout_ms=500))
            values += [m.value for part in polled.values() for m in part]
        expect_equal(len(values), count, "records consumed")
        return values

    def send_offsets(self):
        positions = {p: wait(self.consumer.position(p)) for p in self.consumer.assignment()}
        wait(self.producer.send_offsets_to_transaction(positions, self.group))

    def done_consuming(self):
        wait(self.consumer.stop())

    def close(self):
        wait(self.producer.stop())


class Client:
    name = "aiokafka"
    version = aiokafka.__version__
    codecs = story.CODECS
    unsupported = {"cooperative": "no cooperative assignor", "kip848": "the classic protocol only"}
    address = None

    @functools.cache
    def admin_client(self):
        return wait(started(lambda: AIOKafkaAdminClient(bootstrap_servers=self.address)))

    def create(self, topic, partitions, **configs):
        told = wait(self.admin_client().create_topics(
            [NewTopic(topic, partitions, 1, topic_configs=configs)], timeout_ms=30000))
        expect_equal([e[1] for e in told.topic_errors], [0], f"create: {told}")

    def produce(self, topic, batch, codec, idempotent):
        async def produce():
            producer = await started(lambda: AIOKafkaProducer(
                bootstrap_servers=self.address, linger_ms=20, enable_idempotence=idempotent,
                compression_type=None if codec == "none" else codec))
            told = [await producer.send(topic, value, key, partition, at_ms, headers)
                    for partition, at_ms, key, value, headers in batch]
            done = await asyncio.gather(*told)
            await producer.stop()
            return [one.offset for one in done]
        return wait(produce())

    def read(self, topic, partitions, start, count, committed=True):
        async def read():
            consumer = await started(lambda: AIOKafkaConsumer(
                bootstrap_servers=self.address, group_id=None, auto_offset_reset="earliest",
                isolation_level="read_committed" if committed else "read_uncommitted"))
            consumer.assign([TopicPartition(topic, p) for p in range(partitions)])
            for partition, offset in (start or {}).items():
                consumer.seek(TopicPartition(topic, partition), offset)
            found = [[] for _ in range(partitions)]
            end = time.monotonic() + WAIT_S
            while sum(map(len, found)) < count and time.monotonic() < end:
                for place, messages in (await consumer.getmany(timeout_ms=500)).items():
                    found[place.partition] += [(m.offset, m.timestamp, m.key, m.value,
                                                list(m.headers)) for m in messages]
            extra = await consumer.getmany(timeout_ms=500)
            await consumer.stop()
            expect_equal(extra, {}, "what is beyond the end")
            return found
        return wait(read())

    def offset_at(self, topic, partition, asked):
        async def ask():
            place = TopicPartition(topic, partition)
            consumer = await started(lambda: AIOKafkaConsumer(bootstrap_servers=self.address))
            if asked == "earliest":
                found = (await consumer.beginning_offsets([place]))[place]
            elif asked == "latest":
                found = (await consumer.end_offsets([place]))[place]
            else:
                found = (await consumer.offsets_for_times({place: asked}))[place].offset
            await consumer.stop()
            return found
        return wait(ask())

    def member(self, topic, group, kind, instance):
        return Member(self.address, topic, group, kind, instance)

    def transactional(self, name):
        return Transactional(self.address, name)

    def committed(self, group, topic, partitions):
        told = wait(self.admin_client().list_consumer_group_offsets(group))
        return [told[TopicPartition(topic, p)].offset for p in range(partitions)]

    def admin(self, topic):
        admin = self.admin_client()
        self.create(topic, PARTITIONS, **{"retention.ms": "-1"})
        expect_error(["TopicAlreadyExists", "already exists"], "the same topic again",
                     lambda: self.create(topic, PARTITIONS))
        expect_equal(topic in wait(admin.list_topics()), True, "the topic is listed")
        self.produce(topic, story.records(self, "admin"), "none", False)
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)

        def retention():
            told = wait(admin.describe_configs([resource]))
            return [c[1] for r in told for one in r.resources for c in one[4]
                    if c[0] == "retention.ms"]
        expect_equal(retention(), ["-1"], "retention.ms as created")
        # AlterConfigs, the older call: what is not named goes back to its default.
        wait(admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic,
                                                 {"retention.ms": "86400000"})]))
        expect_equal(retention(), ["86400000"], "retention.ms altered")
        wait(admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(40)}))
        found = self.read(topic, PARTITIONS, None, COUNT - 40)
        expect_equal(found[0][0][0], 40, "first record left")
        wait(admin.create_partitions({topic: NewPartitions(PARTITIONS + 1)}))
        told = wait(admin.describe_topics([topic]))
        expect_equal(len(told[0]["partitions"]), PARTITIONS + 1, "partitions after growing")
        wait(admin.delete_topics([topic]))
        expect_equal(topic in wait(admin.list_topics()), False, "the deleted topic is listed")

    def group_admin(self, group):
        admin = self.admin_client()
        expect_equal(group in str(wait(admin.list_consumer_groups())), True, "it is listed")
        told = str(wait(admin.describe_consumer_groups([group])))
        expect_equal("Empty" in told, True, f"an empty group in {told}")
        expect_equal(self.committed(group, group, 4), [20] * 4, "offsets")


if __name__ == "__main__":
    threading.Thread(target=LOOP.run_forever, daemon=True).start()
    story.main(Client())
