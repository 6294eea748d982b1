//! The crate rdkafka, with a librdkafka of its own.
use std::collections::BTreeSet;
use std::time::Duration;

use futures::executor::block_on;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};
use tailrace_e2e::*;

type Sender = ThreadedProducer<DefaultProducerContext>;

struct Client<'a> {
    address: &'a str,
    topic: &'a str,
}

fn places(topic: &str, offset: impl Fn(i32) -> Offset) -> Result<TopicPartitionList, String> {
    let mut list = TopicPartitionList::new();
    for p in 0..PARTITIONS {
        told(list.add_partition_offset(topic, p, offset(p)), "list")?;
    }
    Ok(list)
}

fn send(producer: &Sender, topic: &str, records: &[Record]) -> Told {
    for one in records {
        let mut record: BaseRecord<[u8], [u8]> = BaseRecord::to(topic).partition(one.partition);
        if let Some(key) = &one.key {
            record = record.key(key);
        }
        if let Some(value) = &one.value {
            record = record.payload(value);
        }
        if one.time_ms > 0 {
            record = record.timestamp(one.time_ms);
        }
        let mut headers = OwnedHeaders::new();
        for (key, value) in &one.headers {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        if !one.headers.is_empty() {
            record = record.headers(headers);
        }
        told(producer.send(record).map_err(|(error, _)| error), "send")?;
    }
    told(producer.flush(WAIT), "flush")
}

impl Client<'_> {
    fn config(&self, settings: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.address).set("log_level", "2");
        for (key, value) in settings {
            config.set(*key, *value);
        }
        config
    }

    fn producer(&self, settings: &[(&str, &str)]) -> Result<Sender, String> {
        told(self.config(settings).create(), "producer")
    }

    fn consumer(&self, settings: &[(&str, &str)]) -> Result<BaseConsumer, String> {
        let mut config = self.config(&[
            ("group.id", self.topic),
            ("auto.offset.reset", "earliest"),
            ("enable.auto.commit", "false"),
        ]);
        for (key, value) in settings {
            config.set(*key, *value);
        }
        told(config.create(), "consumer")
    }

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>, String> {
        told(self.config(&[]).create(), "admin")
    }

    fn create(&self, topic: &str, partitions: i32) -> Told {
        let wanted = NewTopic::new(topic, partitions, TopicReplication::Fixed(1))
            .set("retention.ms", "-1");
        let done = block_on(self.admin()?.create_topics([&wanted], &AdminOptions::new()));
        let results = told(done, "create topics")?;
        results[0].clone().map(|_| ()).map_err(|(_, code)| format!("create topic: {code}"))
    }

    fn fill(&self, first: i32, count: i32) -> Told {
        send(&self.producer(&[])?, self.topic, &plain(first, count, MEMBER_PARTITIONS, ""))
    }

    /// Exactly `count` records of the partitions from the given offsets.
    fn read(
        &self,
        topic: &str,
        from: impl Fn(i32) -> Offset,
        count: usize,
        isolation: &str,
    ) -> Result<Vec<Record>, String> {
        let consumer = self.consumer(&[("isolation.level", isolation)])?;
        told(consumer.assign(&places(topic, from)?), "assign")?;
        let mut found = vec![];
        wait_for("records", || {
            if let Some(message) = consumer.poll(Duration::from_millis(200)) {
                let message = told(message, "consume")?;
                let headers = message.headers().map_or(vec![], |all| {
                    all.iter()
                        .map(|h| (h.key.to_string(), h.value.unwrap_or(b"null").to_vec()))
                        .collect()
                });
                found.push(Record {
                    partition: message.partition(),
                    offset: message.offset(),
                    time_ms: message.timestamp().to_millis().unwrap_or(-1),
                    key: message.key().map(<[u8]>::to_vec),
                    value: message.payload().map(<[u8]>::to_vec),
                    headers,
                });
            }
            Ok(found.len() >= count)
        })?;
        let beyond = consumer.poll(Duration::from_millis(500)).is_none();
        equal(beyond, true, "nothing beyond the end")?;
        Ok(found)
    }

    fn round_trip(&self, codec: &str, idempotent: &str) -> Told {
        self.create(self.topic, PARTITIONS)?;
        let producer = self.producer(&[
            ("compression.type", codec),
            ("enable.idempotence", idempotent),
            ("linger.ms", "20"),
        ])?;
        send(&producer, self.topic, &records(codec))?;
        let all = self.read(self.topic, |_| Offset::Beginning, COUNT as usize, "read_committed")?;
        compare(all, codec)
    }

    fn seek(&self) -> Told {
        self.create(self.topic, PARTITIONS)?;
        send(&self.producer(&[])?, self.topic, &records("seek"))?;
        let consumer = self.consumer(&[])?;
        let marks = told(consumer.fetch_watermarks(self.topic, 1, WAIT), "watermarks")?;
        equal(marks, (0, 200), "watermarks")?;
        let asked = places(self.topic, |_| Offset::Offset(START_MS + 450_000))?;
        let by_time = told(consumer.offsets_for_times(asked, WAIT), "offsets for times")?;
        let found: Vec<Offset> = by_time.elements().iter().map(|e| e.offset()).collect();
        equal(found, vec![Offset::Offset(150); 3], "by time")?;
        let tail = self.read(self.topic, |_| Offset::Offset(150), 150, "read_committed")?;
        let first = tail.iter().filter(|r| r.partition == 1).map(|r| r.time_ms).min();
        equal(first, Some(START_MS + 451_000), "first from the time")
    }

    fn member(&self, kind: &str, instance: &str) -> Result<Member, String> {
        let mut settings = vec![("enable.auto.commit", "true"), ("auto.commit.interval.ms", "200")];
        match kind {
            "kip848" => settings.push(("group.protocol", "consumer")),
            "cooperative" => {
                settings.push(("partition.assignment.strategy", "cooperative-sticky"))
            }
            _ => settings.push(("partition.assignment.strategy", "range")),
        }
        if kind != "kip848" {
            settings.push(("session.timeout.ms", "6000"));
        }
        if !instance.is_empty() {
            settings.push(("group.instance.id", instance));
        }
        let consumer = self.consumer(&settings)?;
        told(consumer.subscribe(&[self.topic]), "subscribe")?;
        Ok(Member { consumer, seen: BTreeSet::new() })
    }

    fn resume(&self) -> Told {
        self.create(self.topic, MEMBER_PARTITIONS)?;
        for (first, count) in [(0, 200), (200, 4), (204, 0), (204, 40)] {
            self.fill(first, count)?;
            let mut one = self.member("group", "")?;
            wait_for("records from a commit on", || {
                one.poll()?;
                Ok(one.owned()? == 4 && one.seen.len() >= count as usize)
            })?;
            (0..20).try_for_each(|_| one.poll())?;
            let wanted = (first..first + count).map(|n| (n % 4, i64::from(n / 4))).collect();
            equal(one.seen.clone(), wanted, "records from a commit on")?;
        }
        Ok(())
    }

    fn share(&self, kind: &str) -> Told {
        self.create(self.topic, MEMBER_PARTITIONS)?;
        self.fill(0, 400)?;
        let mut first = self.member(kind, "")?;
        wait_for("all records", || first.poll().map(|()| first.seen.len() == 400))?;
        let mut second = self.member(kind, "static-2")?;
        wait_for("two each", || {
            first.poll()?;
            second.poll()?;
            Ok(first.owned()? == 2 && second.owned()? == 2)
        })?;
        self.fill(400, 400)?;
        wait_for("all records of both", || {
            first.poll()?;
            second.poll()?;
            Ok(first.seen.union(&second.seen).count() == 800)
        })?;
        drop(first);
        wait_for("all for who stays", || second.poll().and(Ok(second.owned()? == 4)))?;
        drop(second);
        self.fill(800, 4)?;
        let mut third = self.member(kind, "static-2")?;
        wait_for("what came since", || third.poll().map(|()| third.seen.len() >= 4))?;
        equal(third.seen.clone(), (0..4).map(|p| (p, 200)).collect(), "only what came since")
    }

    fn group_admin(&self) -> Told {
        self.create(self.topic, MEMBER_PARTITIONS)?;
        self.fill(0, 80)?;
        let mut one = self.member("group", "")?;
        wait_for("all records", || one.poll().map(|()| one.seen.len() == 80))?;
        drop(one);
        let consumer = self.consumer(&[])?;
        let groups = told(consumer.fetch_group_list(Some(self.topic), WAIT), "group list")?;
        equal(groups.groups()[0].state(), "Empty", "state")?;
        let gone = block_on(self.admin()?.delete_groups(&[self.topic], &AdminOptions::new()));
        equal(told(gone, "delete groups")?[0].is_ok(), true, "the group is deleted")
    }

    fn transactional(&self) -> Result<Sender, String> {
        let producer = self.producer(&[("transactional.id", self.topic)])?;
        told(producer.init_transactions(WAIT), "init transactions")?;
        Ok(producer)
    }

    fn expect_values(&self, topic: &str, isolation: &str, wanted: &[Record]) -> Told {
        let found = self.read(topic, |_| Offset::Beginning, wanted.len(), isolation)?;
        equal(values(&found), values(wanted), isolation)
    }

    fn transaction(&self) -> Told {
        self.create(self.topic, PARTITIONS)?;
        let producer = self.transactional()?;
        let (mut seen, mut all) = (vec![], vec![]);
        for (step, count) in [("kept ", 60), ("aborted ", 30), ("again ", 9), ("open ", 3)] {
            let batch = plain(0, count, PARTITIONS, step);
            told(producer.begin_transaction(), "begin")?;
            send(&producer, self.topic, &batch)?;
            all.extend_from_slice(&batch);
            match step {
                "aborted " => told(producer.abort_transaction(WAIT), "abort")?,
                "open " => (),
                _ => {
                    told(producer.commit_transaction(WAIT), "commit")?;
                    seen.extend_from_slice(&batch);
                }
            }
        }
        self.expect_values(self.topic, "read_committed", &seen)?;
        self.expect_values(self.topic, "read_uncommitted", &all)?;
        told(producer.commit_transaction(WAIT), "commit")?;
        seen.extend_from_slice(&plain(0, 3, PARTITIONS, "open "));
        self.expect_values(self.topic, "read_committed", &seen)
    }

    /// Consume, transform, produce: an aborted round leaves no trace, the next does it all.
    fn exactly_once(&self) -> Told {
        let out = format!("{}-out", self.topic);
        self.create(self.topic, PARTITIONS)?;
        self.create(&out, PARTITIONS)?;
        send(&self.producer(&[])?, self.topic, &plain(0, 90, PARTITIONS, ""))?;
        let producer = self.transactional()?;
        for commit in [false, true] {
            told(producer.begin_transaction(), "begin")?;
            let consumer = self.consumer(&[("isolation.level", "read_committed")])?;
            told(consumer.subscribe(&[self.topic]), "subscribe")?;
            let mut got: Vec<Record> = vec![];
            wait_for("records consumed", || {
                if let Some(message) = consumer.poll(Duration::from_millis(200)) {
                    let message = told(message, "consume")?;
                    let text = [b"out ", message.payload().unwrap_or(b"")].concat();
                    let partition = message.partition();
                    got.push(Record { partition, value: Some(text), ..Record::default() });
                }
                Ok(got.len() >= 90)
            })?;
            send(&producer, &out, &got)?;
            let at = told(consumer.position(), "position")?;
            let group = consumer.group_metadata().ok_or("no group metadata")?;
            told(producer.send_offsets_to_transaction(&at, &group, WAIT), "send offsets")?;
            if commit {
                told(producer.commit_transaction(WAIT), "commit")?;
            } else {
                told(producer.abort_transaction(WAIT), "abort")?;
            }
        }
        self.expect_values(&out, "read_committed", &plain(0, 90, PARTITIONS, "out "))?;
        let asked = places(self.topic, |_| Offset::Invalid)?;
        let kept = told(self.consumer(&[])?.committed_offsets(asked, WAIT), "committed")?;
        let found: Vec<Offset> = kept.elements().iter().map(|e| e.offset()).collect();
        equal(found, vec![Offset::Offset(30); 3], "offsets")
    }

    fn fenced(&self) -> Told {
        self.create(self.topic, PARTITIONS)?;
        let first = self.transactional()?;
        told(first.begin_transaction(), "begin")?;
        send(&first, self.topic, &plain(0, 9, PARTITIONS, "first "))?;
        let second = self.transactional()?;
        match first.commit_transaction(WAIT) {
            Err(KafkaError::Transaction(error)) if error.is_fatal() => (),
            other => return Err(format!("a commit of who was shut out: {other:?}")),
        }
        let batch = plain(0, 9, PARTITIONS, "second ");
        told(second.begin_transaction(), "begin")?;
        send(&second, self.topic, &batch)?;
        told(second.commit_transaction(WAIT), "commit")?;
        self.expect_values(self.topic, "read_committed", &batch)
    }

    fn administer(&self) -> Told {
        self.create(self.topic, PARTITIONS)?;
        equal(self.create(self.topic, 1).is_err(), true, "the same topic again is refused")?;
        send(&self.producer(&[])?, self.topic, &records("admin"))?;
        let (admin, options) = (self.admin()?, AdminOptions::new());
        let resource = ResourceSpecifier::Topic(self.topic);
        let retention = || -> Result<String, String> {
            let all = told(block_on(admin.describe_configs([&resource], &options)), "describe")?;
            let one = all[0].as_ref().map_err(|code| format!("describe: {code}"))?;
            Ok(one.get("retention.ms").and_then(|e| e.value.clone()).unwrap_or_default())
        };
        equal(retention()?, "-1".to_string(), "retention.ms as created")?;
        let change = AlterConfig::new(resource.clone()).set("retention.ms", "86400000");
        told(block_on(admin.alter_configs([&change], &options)), "alter")?;
        wait_for("retention.ms altered", || Ok(retention()? == "86400000"))?;
        let mut before = TopicPartitionList::new();
        told(before.add_partition_offset(self.topic, 0, Offset::Offset(40)), "list")?;
        told(block_on(admin.delete_records(&before, &options)), "delete records")?;
        let left = told(self.consumer(&[])?.fetch_watermarks(self.topic, 0, WAIT), "watermarks")?;
        equal(left, (40, 200), "watermarks")?;
        let more = NewPartitions::new(self.topic, 5);
        let grown = told(block_on(admin.create_partitions([&more], &options)), "grow")?;
        equal(grown[0].is_ok(), true, "more partitions")?;
        let gone = told(block_on(admin.delete_topics(&[self.topic], &options)), "delete")?;
        equal(gone[0].is_ok(), true, "the topic is deleted")
    }
}

struct Member {
    consumer: BaseConsumer,
    seen: BTreeSet<(i32, i64)>,
}

impl Member {
    fn poll(&mut self) -> Told {
        if let Some(message) = self.consumer.poll(Duration::from_millis(20)) {
            let message = told(message, "consume by group")?;
            self.seen.insert((message.partition(), message.offset()));
        }
        Ok(())
    }

    fn owned(&self) -> Result<usize, String> {
        Ok(told(self.consumer.assignment(), "assignment")?.count())
    }
}

fn main() {
    let (_, version) = rdkafka::util::get_rdkafka_version();
    let said = format!("0.39.0, librdkafka {version}");
    tailrace_e2e::main("rdkafka", &said, |address, feature, topic| {
        let client = Client { address, topic };
        match feature {
            "admin" => client.administer(),
            "idempotent" => client.round_trip("none", "true"),
            "seek" => client.seek(),
            "resume" => client.resume(),
            "group" | "cooperative" | "kip848" => client.share(feature),
            "group-admin" => client.group_admin(),
            "transaction" => client.transaction(),
            "exactly-once" => client.exactly_once(),
            "fenced" => client.fenced(),
            codec => client.round_trip(codec, "false"),
        }
    });
}
