"""Kafka's own command line tools, unmodified, by their main classes from Maven's artifacts."""
import json
import os
import re
import subprocess
import time

import kcat
import toolchains
from harness import Case, Skip, expect, expect_equal, run_client
from wire import Connection

TOPIC = "tools"
RECORDS = 20000
ADD_PARTITIONS_TO_TXN = 24


def tool(context, main_class, *arguments, code=0, **options):
    java, classes = toolchains.java_ready()
    command = [java, "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", classes, main_class, *arguments]
    done = run_client(command, main_class, 120, code=code, **options)
    return (done.stdout + done.stderr).decode(errors="replace")


def with_server(context, main_class, *arguments, **options):
    return tool(context, main_class, "--bootstrap-server", context.broker.address, *arguments,
                **options)


def read_formatted(context, topic, formatter, wanted):
    """What Kafka's own formatter says of a topic of records. The console consumer gives up when it
    gets none for a while, which joining its group may take on a busy machine."""
    text = ""
    for wait_ms in (8000, 30000):
        text = with_server(context, "org.apache.kafka.tools.consumer.ConsoleConsumer", "--topic",
                           topic, "--from-beginning", "--timeout-ms", str(wait_ms), "--formatter",
                           f"org.apache.kafka.tools.consumer.{formatter}", code=None)
        if wanted in text:
            break
    return text


def topics(context, *arguments, **options):
    return with_server(context, "org.apache.kafka.tools.TopicCommand", *arguments, **options)


def configs(context, *arguments, **options):
    return with_server(context, "org.apache.kafka.tools.ConfigCommand", *arguments, **options)


def topics_create_list_describe(context):
    topics(context, "--create", "--topic", TOPIC, "--partitions", "3", "--config",
           "retention.ms=3600000")
    expect(TOPIC in topics(context, "--list").split(), "the topic is not listed")
    text = topics(context, "--describe", "--topic", TOPIC)
    expect(re.search(r"PartitionCount:\s*3\b", text) and "retention.ms=3600000" in text, text)
    expect_equal(len(re.findall(r"Leader:\s*\d+", text)), 3, "partitions with a leader")
    text = topics(context, "--create", "--topic", TOPIC, code=1)
    expect("already exists" in text, text)
    topics(context, "--alter", "--topic", TOPIC, "--partitions", "4")
    expect(re.search(r"PartitionCount:\s*4\b", topics(context, "--describe", "--topic", TOPIC)),
           "partitions were not added")


def producer_perf_test(context):
    """Its figures are a by-product; wanted is that it runs and all records arrive."""
    text = tool(context, "org.apache.kafka.tools.ProducerPerformance", "--topic", TOPIC,
                "--num-records", str(RECORDS), "--record-size", "200", "--throughput", "-1",
                "--bootstrap-server", context.broker.address)
    found = re.findall(rf"^{RECORDS} records sent.*", text, re.M)
    expect(found, text)
    context.note(found[-1].split(",", 1)[1].strip())


def get_offsets(context):
    text = with_server(context, "org.apache.kafka.tools.GetOffsetShell", "--topic", TOPIC)
    ends = [int(n) for n in re.findall(rf"^{TOPIC}:\d+:(\d+)$", text, re.M)]
    expect_equal((len(ends), sum(ends)), (4, RECORDS), f"end offsets in {text}")
    text = with_server(context, "org.apache.kafka.tools.GetOffsetShell", "--topic-partitions",
                       f"{TOPIC}:0-3", "--time", "earliest")
    expect_equal(re.findall(rf"^{TOPIC}:\d+:(\d+)$", text, re.M), ["0"] * 3, "earliest")


def configs_round_trip(context):
    entity = ["--entity-type", "topics", "--entity-name", TOPIC]
    configs(context, "--alter", *entity, "--add-config",
            "retention.ms=7200000,cleanup.policy=[delete]")
    text = configs(context, "--describe", *entity)
    expect("retention.ms=7200000" in text, text)
    configs(context, "--alter", *entity, "--delete-config", "retention.ms")
    expect("retention.ms=7200000" not in configs(context, "--describe", *entity), "not deleted")
    text = configs(context, "--alter", *entity, "--add-config", "retention.ms=soon", code=1)
    expect("retention.ms" in text or "soon" in text, text)
    text = configs(context, "--describe", "--all", *entity)
    expect("segment.bytes" in text, text)
    text = configs(context, "--describe", "--all", "--entity-type", "brokers", "--entity-name",
                   "1")
    expect("configs for broker 1" in text, text)


def broker_configs_and_loggers(context):
    """What is set for all brokers, for one, and the level of its log."""
    one = ["--entity-type", "brokers", "--entity-name", "1"]
    configs(context, "--alter", "--entity-type", "brokers", "--entity-default", "--add-config",
            "log.retention.ms=90000000")
    text = configs(context, "--describe", "--all", *one)
    expect("DYNAMIC_DEFAULT_BROKER_CONFIG:log.retention.ms=90000000" in text, text)
    configs(context, "--alter", *one, "--add-config", "log.retention.ms=80000000")
    text = configs(context, "--describe", *one)
    expect(re.search(r"log.retention.ms=80000000 .*DYNAMIC_BROKER_CONFIG", text), text)
    configs(context, "--alter", *one, "--delete-config", "log.retention.ms")
    configs(context, "--alter", "--entity-type", "brokers", "--entity-default",
            "--delete-config", "log.retention.ms")
    logger = ["--entity-type", "broker-loggers", "--entity-name", "1"]
    expect("root=INFO" in configs(context, "--describe", *logger), "the logger's level")
    configs(context, "--alter", *logger, "--add-config", "root=WARN")
    expect("root=WARN" in configs(context, "--describe", *logger), "the level is not changed")
    configs(context, "--alter", *logger, "--add-config", "root=INFO")
    configs(context, "--describe", "--entity-type", "client-metrics")


def group_configs(context):
    """Times of one group of the consumer protocol: set, shown, refused, taken back."""
    group = ["--entity-type", "groups", "--entity-name", "some-group"]
    text = configs(context, "--describe", "--all", *group)
    expect("consumer.session.timeout.ms=45000" in text, text)
    configs(context, "--alter", *group, "--add-config",
            "consumer.session.timeout.ms=50000,consumer.heartbeat.interval.ms=6000")
    text = configs(context, "--describe", *group)
    expect(re.search(r"consumer.session.timeout.ms=50000 .*DYNAMIC_GROUP_CONFIG", text), text)
    text = configs(context, "--describe", "--entity-type", "groups")
    expect("some-group" in text and "consumer.heartbeat.interval.ms=6000" in text, text)
    for wrong in ("consumer.session.timeout.ms=60001", "consumer.session.timeout.ms=5",
                  "share.session.timeout.ms=45000"):
        text = configs(context, "--alter", *group, "--add-config", wrong, code=1)
        expect("InvalidConfigurationException" in text, text)
    configs(context, "--alter", *group, "--delete-config",
            "consumer.session.timeout.ms,consumer.heartbeat.interval.ms")
    text = configs(context, "--describe", *group)
    expect("consumer.session.timeout.ms" not in text, text)


def client_quotas(context):
    """Set, shown and taken back; ProducerPerformance is kept to its rate."""
    client = ["--entity-type", "clients", "--entity-name", "perf-producer-client"]
    configs(context, "--alter", *client, "--add-config", "producer_byte_rate=300000")
    configs(context, "--alter", "--entity-type", "users", "--entity-default", "--entity-type",
            "clients", "--entity-default", "--add-config", "consumer_byte_rate=1048576")
    configs(context, "--alter", "--entity-type", "ips", "--entity-name", "127.0.0.1",
            "--add-config", "connection_creation_rate=100")
    text = configs(context, "--describe", *client)
    expect("producer_byte_rate=300000" in text, text)
    text = configs(context, "--describe", "--entity-type", "users", "--entity-default",
                   "--entity-type", "clients", "--entity-default")
    expect("consumer_byte_rate=1048576" in text, text)
    text = configs(context, "--describe", "--entity-type", "ips")
    expect("connection_creation_rate=100" in text, text)
    text = configs(context, "--alter", *client, "--add-config", "producer_byte_rate=-1", code=1)
    expect("greater than 0" in text, text)
    # A second's worth goes at once, so 15 seconds' worth take 14.
    text = tool(context, "org.apache.kafka.tools.ProducerPerformance", "--topic", TOPIC,
                "--num-records", "4500", "--record-size", "1000", "--throughput", "-1",
                "--bootstrap-server", context.broker.address)
    rate = float(re.findall(r"^4500 records sent, ([\d.]+) records/sec", text, re.M)[-1]) * 1000
    context.note(f"{rate / 300000 * 100:.0f} % of the quota")
    expect(rate < 1.1 * 300000, f"{rate} bytes/s, allowed 300000")
    configs(context, "--alter", *client, "--delete-config", "producer_byte_rate")
    configs(context, "--alter", "--entity-type", "users", "--entity-default", "--entity-type",
            "clients", "--entity-default", "--delete-config", "consumer_byte_rate")
    expect("producer_byte_rate" not in configs(context, "--describe", *client), "still there")


def leader_election(context):
    text = with_server(context, "org.apache.kafka.tools.LeaderElectionCommand",
                       "--election-type", "preferred", "--topic", TOPIC, "--partition", "0")
    expect("Valid replica already elected" in text, text)
    with_server(context, "org.apache.kafka.tools.LeaderElectionCommand", "--election-type",
                "unclean", "--all-topic-partitions")


def write_json(context, name, content):
    path = os.path.join(context.folder, name)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(content, file)
    return path


def reassign_partitions(context):
    def reassign(*arguments, **options):
        return with_server(context, "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
                           *arguments, **options)

    topics_file = write_json(context, "topics.json", {"version": 1, "topics": [{"topic": TOPIC}]})
    text = reassign("--generate", "--topics-to-move-json-file", topics_file, "--broker-list", "1")
    expect("Proposed partition reassignment configuration" in text, text)
    plan = write_json(context, "plan.json", {"version": 1, "partitions": [
        {"topic": TOPIC, "partition": n, "replicas": [1], "log_dirs": ["any"]}
        for n in range(4)]})
    text = reassign("--execute", "--reassignment-json-file", plan)
    expect("Successfully started partition reassignments" in text, text)
    text = reassign("--verify", "--reassignment-json-file", plan)
    expect(f"Reassignment of partition {TOPIC}-0 is completed" in text, text)
    text = reassign("--cancel", "--reassignment-json-file", plan)
    expect("None of the specified partition moves are active" in text, text)
    text = reassign("--list")
    expect("No partition reassignments found" in text, text)


def metadata_quorum_and_features(context):
    text = with_server(context, "org.apache.kafka.tools.MetadataQuorumCommand", "describe",
                       "--status")
    expect(re.search(r"LeaderId:\s+1\b", text) and "CurrentVoters:" in text, text)
    text = with_server(context, "org.apache.kafka.tools.MetadataQuorumCommand", "describe",
                       "--replication")
    expect("Leader" in text, text)
    features = "org.apache.kafka.tools.FeatureCommand"
    text = with_server(context, features, "describe")
    for name, level in (("group.version", "1"), ("metadata.version", "4.0-IV3"),
                        ("transaction.version", "2")):
        expect(re.search(rf"Feature: {name}\s.*FinalizedVersionLevel: {level}\s", text), text)
    text = with_server(context, features, "upgrade", "--feature", "transaction.version=2")
    expect("transaction.version was upgraded to 2" in text, text)
    text = with_server(context, features, "upgrade", "--dry-run", "--feature", "group.version=1")
    expect("group.version can be upgraded to 1" in text, text)
    text = with_server(context, features, "downgrade", "--feature", "transaction.version=1",
                       code=1)
    expect("only supports versions 2" in text, text)


def topics_describe_in_pages(context):
    """More partitions than one page of DescribeTopicPartitions has."""
    topics(context, "--create", "--topic", "pages", "--partitions", "3000")
    text = topics(context, "--describe", "--topic", "pages")
    expect_equal(len(re.findall(r"Leader:\s*1\b", text)), 3000, "partitions with a leader")
    topics(context, "--delete", "--topic", "pages")


def log_dirs(context):
    text = with_server(context, "org.apache.kafka.tools.LogDirsCommand", "--describe",
                       "--topic-list", TOPIC)
    line = [l for l in text.splitlines() if l.startswith("{")]
    expect(line, text)
    found = json.loads(line[0])["brokers"][0]["logDirs"][0]
    expect_equal(found["error"], None, "error of the directory")
    sizes = {p["partition"]: p["size"] for p in found["partitions"]}
    expect_equal(sorted(sizes), [f"{TOPIC}-{n}" for n in range(4)], "partitions")
    expect(sum(sizes.values()) > RECORDS * 200, f"sizes {sizes} are below what was written")


def broker_api_versions(context):
    text = with_server(context, "org.apache.kafka.tools.BrokerApiVersionsCommand")
    expect("Produce(0): 0 to 13" in text and "ApiVersions(18)" in text, text)


def delete_records(context):
    path = os.path.join(context.folder, "delete.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"version": 1, "partitions": [
            {"topic": TOPIC, "partition": 0, "offset": 1},
            {"topic": TOPIC, "partition": 1, "offset": -1}]}, file)
    text = with_server(context, "org.apache.kafka.tools.DeleteRecordsCommand",
                       "--offset-json-file", path)
    expect(re.search(rf"partition: {TOPIC}-0\s+low_watermark: 1\b", text), text)


def console_producer_and_consumer(context):
    lines = b"".join(b"line %d\n" % n for n in range(500))
    with_server(context, "org.apache.kafka.tools.ConsoleProducer", "--topic", "console", "--sync",
                "--timeout", "5",
                input=lines[:200])
    topics(context, "--delete", "--topic", "console")
    topics(context, "--create", "--topic", "console", "--partitions", "1")
    with_server(context, "org.apache.kafka.tools.ConsoleProducer", "--topic", "console",
                "--compression-codec", "zstd", input=lines)
    text = with_server(context, "org.apache.kafka.tools.consumer.ConsoleConsumer", "--topic",
                       "console", "--partition", "0", "--offset", "earliest", "--max-messages",
                       "500")
    expect(lines.decode() in text, text[:2000])


def verifiable_producer_and_consumer(context):
    """Kafka's system tests are made of them: what one has written, the other reads by group."""
    topics(context, "--create", "--topic", "verifiable", "--partitions", "3")
    text = with_server(context, "org.apache.kafka.tools.VerifiableProducer", "--topic",
                       "verifiable", "--max-messages", "1000", "--throughput", "-1")
    expect_equal(text.count('"producer_send_success"'), 1000, "records acknowledged")
    text = with_server(context, "org.apache.kafka.tools.VerifiableConsumer", "--topic",
                       "verifiable", "--group-id", "verifiable", "--group-protocol", "classic",
                       "--max-messages", "1000", "--reset-policy", "earliest")
    counts = [int(n) for n in re.findall(r'"name":"records_consumed".*?"count":(\d+)', text)] or \
        [int(n) for n in re.findall(r'"count":(\d+)', text)]
    expect(sum(counts) >= 1000, text[-2000:])


def end_to_end_latency(context):
    text = with_server(context, "org.apache.kafka.tools.EndToEndLatency", "--topic", "latency",
                       "--num-records", "500", "--producer-acks", "all", "--record-size", "100")
    found = re.search(r"Avg latency: .*", text)
    expect(found, text[-2000:])
    context.note(found.group())


def transactional_message_copier(context):
    """Copies by transactions of 50, some of which it aborts at random: every record is there
    once."""
    topics(context, "--create", "--topic", "copied", "--partitions", "1")
    topics(context, "--create", "--topic", "copies", "--partitions", "1")
    lines = b"".join(b"line %d\n" % n for n in range(1000))
    with_server(context, "org.apache.kafka.tools.ConsoleProducer", "--topic", "copied",
                input=lines)
    tool(context, "org.apache.kafka.tools.TransactionalMessageCopier", "--broker-list",
         context.broker.address, "--transactional-id", "copier", "--input-topic", "copied",
         "--input-partition", "0", "--output-topic", "copies", "--consumer-group", "copier",
         "--max-messages", "1000", "--transaction-size", "50", "--enable-random-aborts",
         "--use-group-metadata")
    text = with_server(context, "org.apache.kafka.tools.consumer.ConsoleConsumer", "--topic",
                       "copies", "--partition", "0", "--offset", "earliest", "--timeout-ms",
                       "8000", "--command-property", "isolation.level=read_committed", code=None)
    found = re.findall(r"^line \d+$", text, re.M)
    expect_equal(sorted(found), sorted(lines.decode().split("\n")[:-1]), "what was copied")


WORDS = "the log is the truth and the rest is a view of the log"


def streams_word_count(context):
    """Kafka Streams with exactly_once_v2, ended and started again between two halves; the broker
    too, with kill -9, while it counts: its counts are right to the last record."""
    for topic in ("words", "counts"):
        topics(context, "--create", "--topic", topic, "--partitions", "2")
    for part in range(2):
        command = toolchains.java_program("WordCount", context.broker.address, "word-count",
                                          "words", "counts",
                                          os.path.join(context.folder, "streams"))
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE) as streams:
            write_words(context, 50)
            wait_counts(context, part * 100 + 50)
            write_words(context, 50)
            time.sleep(0.3)
            context.broker.kill9()
            context.broker.start()
            wanted = wait_counts(context, part * 100 + 100)
            found = counts_of(context)
            streams.stdin.close()
            try:
                streams.wait(30)
            finally:
                streams.kill()
            said = streams.stderr.read().decode(errors="replace")
        expect_equal(found, wanted, f"the counts; Streams said {said[-1500:]}")


def write_words(context, lines):
    kcat.kcat(context, "-P", "-t", "words", input=(WORDS + "\n").encode() * lines)


def wait_counts(context, lines):
    """Until they are those of so many lines, which it returns, or it has taken too long."""
    wanted = {word: WORDS.split().count(word) * lines for word in WORDS.split()}
    end = time.monotonic() + 180
    while counts_of(context) != wanted and time.monotonic() < end:
        time.sleep(1)
    return wanted


def counts_of(context):
    text = kcat.kcat(context, "-C", "-t", "counts", "-e", "-o", "beginning", "-X",
                     "isolation.level=read_committed", "-f", "%k %s\n").decode()
    return {word: int(count) for word, count in (line.split() for line in text.splitlines())}


def with_transactions(run):
    """Skipped by name as long as the broker has no transactions."""
    def checked(context):
        with Connection(context.broker.port) as peer:
            if ADD_PARTITIONS_TO_TXN not in peer.api_versions():
                raise Skip("the broker has no transactions")
        run(context)
    checked.__name__ = run.__name__
    return checked


def topics_delete(context):
    topics(context, "--delete", "--topic", TOPIC)
    expect(TOPIC not in topics(context, "--list").split(), "the deleted topic is listed")


CASES = [Case(run.__name__, run, seconds_max=1500) for run in [
    topics_create_list_describe, producer_perf_test, get_offsets, configs_round_trip, log_dirs,
    broker_configs_and_loggers, group_configs, client_quotas, leader_election, reassign_partitions,
    metadata_quorum_and_features, topics_describe_in_pages,
    broker_api_versions, delete_records, console_producer_and_consumer,
    verifiable_producer_and_consumer, end_to_end_latency,
    with_transactions(transactional_message_copier), with_transactions(streams_word_count),
    topics_delete]]
