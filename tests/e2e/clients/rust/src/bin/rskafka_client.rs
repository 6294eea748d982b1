//! rskafka.
use std::collections::BTreeMap;

use chrono::DateTime;
use rskafka::client::partition::{Compression, OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use rskafka::record::Record as Sent;
use tailrace_e2e::*;

fn time(ms: i64) -> DateTime<chrono::Utc> {
    DateTime::from_timestamp_millis(ms).unwrap_or_default()
}

async fn open(address: &str) -> Result<Client, String> {
    told(ClientBuilder::new(vec![address.to_string()]).build().await, "client")
}

async fn create(client: &Client, topic: &str) -> Told {
    let admin = told(client.controller_client(), "controller")?;
    told(admin.create_topic(topic, PARTITIONS, 1, 30_000).await, "create topic")
}

async fn partition(client: &Client, topic: &str, number: i32) -> Result<PartitionClient, String> {
    told(client.partition_client(topic, number, UnknownTopicHandling::Retry).await, "partition")
}

async fn produce(client: &Client, topic: &str, tag: &str, codec: Compression) -> Told {
    for p in 0..PARTITIONS {
        let of_partition = records(tag).into_iter().filter(|r| r.partition == p);
        let sent: Vec<Sent> = of_partition
            .map(|r| Sent {
                key: r.key,
                value: r.value,
                headers: BTreeMap::from_iter(r.headers),
                timestamp: time(r.time_ms),
            })
            .collect();
        let offsets = told(partition(client, topic, p).await?.produce(sent, codec).await, "produce")?;
        equal(offsets, (0..i64::from(COUNT / PARTITIONS)).collect(), "offsets told")?;
    }
    Ok(())
}

/// From an offset of a partition to its end.
async fn read(client: &Client, topic: &str, p: i32, from: i64) -> Result<Vec<Record>, String> {
    let part = partition(client, topic, p).await?;
    let mut found = vec![];
    let mut next = from;
    loop {
        let (records, watermark) =
            told(part.fetch_records(next, 1..1_000_000, 1_000).await, "fetch")?;
        let start = next;
        for one in records.into_iter().filter(|r| r.offset >= start) {
            next = one.offset + 1;
            found.push(Record {
                partition: p,
                offset: one.offset,
                time_ms: one.record.timestamp.timestamp_millis(),
                key: one.record.key,
                value: one.record.value,
                headers: one.record.headers.into_iter().collect(),
            });
        }
        if next >= watermark {
            return Ok(found);
        }
    }
}

async fn round_trip(address: &str, topic: &str, name: &str, codec: Compression) -> Told {
    let client = open(address).await?;
    create(&client, topic).await?;
    produce(&client, topic, name, codec).await?;
    let mut found = vec![];
    for p in 0..PARTITIONS {
        found.append(&mut read(&client, topic, p, 0).await?);
    }
    compare(found, name)
}

async fn seek(address: &str, topic: &str) -> Told {
    let client = open(address).await?;
    create(&client, topic).await?;
    produce(&client, topic, "seek", Compression::NoCompression).await?;
    let part = partition(&client, topic, 1).await?;
    let at = time(START_MS + 450_000);
    for (asked, wanted) in
        [(OffsetAt::Earliest, 0), (OffsetAt::Latest, 200), (OffsetAt::Timestamp(at), 150)]
    {
        equal(told(part.get_offset(asked).await, "get offset")?, wanted, "offset")?;
    }
    let found = read(&client, topic, 1, 150).await?;
    equal((found.len(), found[0].time_ms), (50, START_MS + 451_000), "from the time")
}

async fn admin(address: &str, topic: &str) -> Told {
    let client = open(address).await?;
    create(&client, topic).await?;
    equal(create(&client, topic).await.is_err(), true, "the same topic again is refused")?;
    produce(&client, topic, "admin", Compression::NoCompression).await?;
    let part = partition(&client, topic, 0).await?;
    told(part.delete_records(40, 30_000).await, "delete records")?;
    equal(told(part.get_offset(OffsetAt::Earliest).await, "earliest")?, 40, "first left")?;
    let controller = told(client.controller_client(), "controller")?;
    told(controller.delete_topic(topic, 30_000).await, "delete topic")?;
    let topics = told(open(address).await?.list_topics().await, "list topics")?;
    equal(topics.iter().any(|t| t.name == topic), false, "the topic is listed")
}

async fn tell(address: &str, feature: &str, topic: &str) -> Told {
    match feature {
        "admin" => admin(address, topic).await,
        "none" => round_trip(address, topic, feature, Compression::NoCompression).await,
        "gzip" => round_trip(address, topic, feature, Compression::Gzip).await,
        "snappy" => round_trip(address, topic, feature, Compression::Snappy).await,
        "lz4" => round_trip(address, topic, feature, Compression::Lz4).await,
        "zstd" => round_trip(address, topic, feature, Compression::Zstd).await,
        "seek" => seek(address, topic).await,
        "idempotent" => unsupported("no idempotent producer"),
        "transaction" | "exactly-once" | "fenced" => unsupported("no transactions"),
        _ => unsupported("no consumer groups"),
    }
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    tailrace_e2e::main("rskafka", "0.6.0", |address, feature, topic| {
        runtime.block_on(async {
            let end = tokio::time::timeout(2 * WAIT, tell(address, feature, topic)).await;
            end.unwrap_or_else(|_| Err("not done in 80 s".to_string()))
        })
    });
}
