//! What every Rust client of the matrix is asked to do. PROGRAM HOST:PORT [FEATURE...].
use std::fmt::{Debug, Display};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub const PARTITIONS: i32 = 3;
pub const MEMBER_PARTITIONS: i32 = 4;
pub const COUNT: i32 = 600;
pub const START_MS: i64 = 1_700_000_000_000;
pub const WAIT: Duration = Duration::from_secs(40);
pub const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
const FEATURES: [&str; 16] = [
    "admin", "none", "gzip", "snappy", "lz4", "zstd", "idempotent", "seek", "resume", "group",
    "cooperative", "kip848", "group-admin", "transaction", "exactly-once", "fenced",
];

/// Ok, what is wrong, or (after "unsupported ") what the library lacks.
pub type Told = Result<(), String>;

pub fn unsupported(why: &str) -> Told {
    Err(format!("unsupported {why}"))
}

pub fn equal<T: PartialEq + Debug>(found: T, wanted: T, what: &str) -> Told {
    if found == wanted {
        return Ok(());
    }
    let text = format!("{what}: found {found:?}, wanted {wanted:?}");
    Err(text.chars().take(400).collect())
}

/// An error of the library with what was tried.
pub fn told<T, E: Display>(result: Result<T, E>, what: &str) -> Result<T, String> {
    result.map_err(|error| format!("{what}: {error}"))
}

pub fn wait_for(what: &str, mut done: impl FnMut() -> Result<bool, String>) -> Told {
    let end = Instant::now() + WAIT;
    while !done()? {
        equal(Instant::now() < end, true, &format!("in time: {what}"))?;
    }
    Ok(())
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Record {
    pub partition: i32,
    pub offset: i64,
    pub time_ms: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Vec<u8>)>,
}

/// Some without key, some empty, some without value, some with headers.
pub fn record(tag: &str, n: i32) -> Record {
    let gone = n % 97 == 96;
    let headers = [("a".to_string(), n.to_string().into_bytes()), ("empty".to_string(), vec![])];
    Record {
        partition: n % PARTITIONS,
        offset: i64::from(n / PARTITIONS),
        time_ms: START_MS + 1000 * i64::from(n),
        key: (n % 7 != 0 || gone).then(|| format!("{tag}-{n}").into_bytes()),
        value: (!gone).then(|| format!("{tag} {n} ").repeat((n % 40) as usize).into_bytes()),
        headers: headers[..(n % 3) as usize].to_vec(),
    }
}

pub fn records(tag: &str) -> Vec<Record> {
    (0..COUNT).map(|n| record(tag, n)).collect()
}

pub fn plain(first: i32, count: i32, partitions: i32, text: &str) -> Vec<Record> {
    (first..first + count)
        .map(|n| Record {
            partition: n % partitions,
            value: Some(format!("{text}{n}").into_bytes()),
            ..Record::default()
        })
        .collect()
}

pub fn values(records: &[Record]) -> Vec<String> {
    let text = |r: &Record| String::from_utf8_lossy(r.value.as_deref().unwrap_or(b"")).into();
    let mut all: Vec<String> = records.iter().map(text).collect();
    all.sort();
    all
}

pub fn compare(mut found: Vec<Record>, tag: &str) -> Told {
    found.sort_by_key(|r| r.offset * i64::from(PARTITIONS) + i64::from(r.partition));
    equal(found.len(), COUNT as usize, "count")?;
    for (n, got) in found.into_iter().enumerate() {
        equal(got, record(tag, n as i32), &format!("record {n}"))?;
    }
    Ok(())
}

pub fn main(name: &str, version: &str, tell: impl Fn(&str, &str, &str) -> Told) {
    let arguments: Vec<String> = std::env::args().collect();
    println!("version {version}");
    let chosen: Vec<&str> = match arguments.len() {
        0..=2 => FEATURES.to_vec(),
        _ => arguments[2..].iter().map(String::as_str).collect(),
    };
    for feature in chosen {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis());
        let topic = format!("{name}-{feature}-{}", now % 1_000_000_000);
        match tell(&arguments[1], feature, &topic) {
            Ok(()) => println!("feature {feature} ok"),
            Err(why) if why.starts_with("unsupported ") => println!("feature {feature} {why}"),
            Err(why) => println!("feature {feature} bad {}", why.replace('\n', " ")),
        }
    }
}
