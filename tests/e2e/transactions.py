"""Transactions: real producers commit, abort, are fenced, are late, and lose their broker in the
middle; Kafka's own tools look at transactions and end one by hand."""
import re
import subprocess
import time

import kafka_tools
import kcat
import toolchains
from harness import Case, expect, expect_equal, finish_client


class Holder:
    """A producer with an open transaction of 30 records in a topic of its name."""

    def __init__(self, context, name, timeout_ms=60000):
        command = toolchains.python_program("confluent_transactions.py", context.broker.address,
                                            "hold", name, str(timeout_ms))
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, start_new_session=True)
        expect_equal(self.process.stdout.readline().strip(), "open", "the producer's word")

    def commit(self):
        """What came of it: ["committed"], ["refused", why], then records committed and all."""
        self.process.stdin.write("commit\n")
        self.process.stdin.flush()
        said = self.process.stdout.readline().split()
        self.process.wait(60)
        return said


def kill9_in_the_middle(context):
    """The transaction is still open after the start, and the producer goes on with it."""
    holder = Holder(context, "kill9-open")
    context.broker.kill9()
    context.broker.start()
    expect_equal(holder.commit(), ["committed", "30", "30"], "after kill -9")
    context.broker.kill9()
    context.broker.start()
    found = kcat.kcat(context, "-C", "-t", "kill9-open", "-e", "-X",
                      "isolation.level=read_committed").split()
    expect_equal(len(found), 30, "records after another kill -9")


def late(context):
    """Aborted by the broker; what comes afterwards can be read."""
    holder = Holder(context, "late", 3000)
    time.sleep(5)
    said = holder.commit()
    expect_equal((said[0], said[2:]), ("refused", ["0", "30"]), f"the commit: {said}")
    kcat.kcat(context, "-P", "-t", "late", "-p", "0", input=b"after\n")
    found = kcat.kcat(context, "-C", "-t", "late", "-e", "-X", "isolation.level=read_committed")
    expect_equal(found.split(), [b"after"], "records after it")


def kafka_transactions(context, *arguments, **options):
    return kafka_tools.with_server(context, "org.apache.kafka.tools.TransactionsCommand",
                                   *arguments, **options)


def tools(context):
    holder = Holder(context, "by-hand")
    text = kafka_transactions(context, "list")
    expect(re.search(r"by-hand\s+\d+\s+\d+\s+Ongoing", text), text)
    text = kafka_transactions(context, "describe", "--transactional-id", "by-hand")
    expect("Ongoing" in text and "by-hand-0" in text, text)
    text = kafka_transactions(context, "describe-producers", "--topic", "by-hand", "--partition",
                              "0")
    expect(re.search(r"^\d+\s+0\s", text, re.M), text)
    for partition in range(3):
        kafka_transactions(context, "abort", "--topic", "by-hand", "--partition", str(partition),
                           "--start-offset", "0")
    kcat.kcat(context, "-P", "-t", "by-hand", "-p", "0", input=b"after\n")
    found = kcat.kcat(context, "-C", "-t", "by-hand", "-p", "0", "-e", "-X",
                      "isolation.level=read_committed")
    expect_equal(found.split(), [b"after"], "records when it was ended by hand")
    holder.process.kill()
    holder.process.wait()


def kafka_reads_the_topic(context):
    """Kafka's own formatter understands the records of __transaction_state."""
    wanted = '"transactionalId":"late"'
    text = kafka_tools.read_formatted(context, "__transaction_state",
                                      "TransactionLogMessageFormatter", wanted)
    expect(wanted in text, text[-3000:])
    expect('"transactionStatus":' in text and '"producerEpoch":' in text, text[-3000:])


def java_transactions(context):
    command = toolchains.java_program("TransactionClient", context.broker.address)
    finish_client(context, command, "the Java client")


def confluent_transactions(context):
    command = toolchains.python_program("confluent_transactions.py", context.broker.address)
    finish_client(context, command, "confluent-kafka")


def franz_chain(context):
    """Each transaction begins while the markers of the one before are being written."""
    finish_client(context, [*toolchains.go_ready("chain"), context.broker.address], "franz-go")


CASES = [Case("confluent_kafka", confluent_transactions, seconds_max=600),
         Case("franz_chain", franz_chain, seconds_max=600),
         Case("java", java_transactions, seconds_max=600),
         Case("kill9_in_the_middle", kill9_in_the_middle, seconds_max=300),
         Case("late", late, seconds_max=300),
         Case("tools", tools, seconds_max=600),
         Case("kafka_reads_the_topic", kafka_reads_the_topic, seconds_max=600)]
