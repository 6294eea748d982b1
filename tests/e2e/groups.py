"""Consumer groups over restarts and kill -9; Kafka's own tools look at the groups and at the topic
they are kept in. How the clients share topics: matrix.py."""
import re
import time

import kafka_tools
import kcat
import toolchains
from harness import Case, expect, expect_equal, finish_client
from wire import Connection

GROUP = "kcat-group"
RECORDS = 300


def kcat_by_group(context):
    """Joins, reads up to the end, commits, leaves. That it left may be lost with kill -9 (as in
    Kafka, nobody waits for that record): then its session has to end first."""
    return kcat.kcat(context, "-G", GROUP, "-e", "-X", "auto.offset.reset=earliest", "-X",
                     "session.timeout.ms=6000", "-f", "%p:%o\n", GROUP).decode().split()


def kcat_resumes(context):
    """One run reads everything, the next nothing; also over a restart and over kill -9 only what
    came since."""
    with Connection(context.broker.port) as peer:
        expect_equal(peer.create_topic(GROUP, 3), 0, "create topic")
    for partition in range(3):
        lines = b"".join(b"%d\n" % n for n in range(RECORDS // 3))
        kcat.kcat(context, "-P", "-t", GROUP, "-p", str(partition), input=lines)
    found = kcat_by_group(context)
    expect_equal(len(set(found)), RECORDS, "records of the first run")
    expect_equal(kcat_by_group(context), [], "records of the second run")
    context.broker.kill9()
    context.broker.start()
    kcat.kcat(context, "-P", "-t", GROUP, "-p", "0", input=b"new\n")
    expect_equal(kcat_by_group(context), [f"0:{RECORDS // 3}"], "after kill -9")
    expect_equal(context.broker.stop(), 0, "exit code")
    context.broker.start()
    expect_equal(kcat_by_group(context), [], "after a restart")


def consumer_groups(context, *arguments, **options):
    return kafka_tools.with_server(
        context, "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", *arguments,
        **options)


def kafka_consumer_groups(context):
    expect(GROUP in consumer_groups(context, "--list").split(), "the group is not listed")
    text = consumer_groups(context, "--describe", "--group", GROUP)
    # GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG ...
    expect(re.search(rf"{GROUP}\s+{GROUP}\s+1\s+100\s+100\s+0\b", text), text)
    text = consumer_groups(context, "--describe", "--group", GROUP, "--state")
    expect(re.search(r"\bEmpty\b", text), text)
    text = consumer_groups(context, "--group", GROUP, "--topic", f"{GROUP}:1", "--reset-offsets",
                           "--to-offset", "42", "--execute")
    expect(re.search(rf"{GROUP}\s+{GROUP}\s+1\s+42\b", text), text)
    found = kcat_by_group(context)
    expect_equal((len(found), found[0]), (58, "1:42"), "records after the reset")
    text = consumer_groups(context, "--delete-offsets", "--group", GROUP, "--topic", GROUP)
    expect("successful" in text.lower(), text)
    text = consumer_groups(context, "--delete", "--group", GROUP)
    expect("successful" in text, text)
    expect(GROUP not in consumer_groups(context, "--list").split(), "the group is listed")


def kafka_reads_the_topic(context):
    """Kafka's own formatters understand the records of __consumer_offsets."""
    kcat_by_group(context)
    time.sleep(0.5)
    text = kafka_tools.read_formatted(context, "__consumer_offsets", "OffsetsMessageFormatter",
                                      f'"group":"{GROUP}"')
    expect(re.search(rf'"group":"{GROUP}","topic":"{GROUP}","partition":1', text), text[-3000:])
    expect('"offset":100' in text, text[-3000:])
    text = kafka_tools.read_formatted(context, "__consumer_offsets",
                                      "GroupMetadataMessageFormatter", f'"group":"{GROUP}"')
    expect(f'"group":"{GROUP}"' in text and '"protocolType":"consumer"' in text, text[-3000:])


def java_consumer_protocol(context):
    command = toolchains.java_program("ConsumerProtocolClient", context.broker.address)
    finish_client(context, command, "the Java client")


def confluent_consumer_protocol(context):
    """Also over kill -9 and a restart: the commits of the new protocol are there."""
    command = toolchains.python_program("confluent_consumer_protocol.py", context.broker.address)
    finish_client(context, command, "confluent-kafka")
    context.broker.kill9()
    context.broker.start()
    finish_client(context, [*command, "101"], "confluent-kafka")
    expect_equal(context.broker.stop(), 0, "exit code")
    context.broker.start()
    finish_client(context, [*command, "102"], "confluent-kafka")


def kafka_describes_consumer_protocol(context):
    """Kafka's tool sees an (empty) group of the consumer protocol and its offsets."""
    group = "confluent-848"
    text = consumer_groups(context, "--list", "--type", "consumer")
    expect(group in text, text)
    text = consumer_groups(context, "--describe", "--group", group)
    expect(re.search(rf"{group}\s+{group}\s+1\s+103\s+103\s+0\b", text), text)
    text = consumer_groups(context, "--describe", "--group", group, "--state")
    expect(re.search(r"\bEmpty\b", text), text)
    text = consumer_groups(context, "--delete", "--group", group)
    expect("successful" in text, text)


def franz_statics(context):
    finish_client(context, [*toolchains.go_ready("statics"), context.broker.address], "franz-go")


CASES = [Case("kcat", kcat_resumes),
         Case("kafka_consumer_groups", kafka_consumer_groups, seconds_max=600),
         Case("kafka_reads_the_topic", kafka_reads_the_topic, seconds_max=600),
         Case("confluent_consumer_protocol", confluent_consumer_protocol, seconds_max=900),
         Case("kafka_describes_consumer_protocol", kafka_describes_consumer_protocol,
              seconds_max=600),
         Case("java_consumer_protocol", java_consumer_protocol, seconds_max=900),
         Case("franz_statics", franz_statics, seconds_max=900)]
