#!/usr/bin/env python3
"""From a topic into a data lake: Spark Structured Streaming reads orders and writes Parquet.

    data_lake.py HOST:PORT [--records N] [--jars FOLDER]

The stream is ended with kill -9 while orders come in, and a second one goes on from its checkpoint.
At the end the Parquet files must hold each order once, at the offset where it was acknowledged.
Needs Java 17 and pip install confluent-kafka pyspark==4.2.0; Spark fetches its Kafka source from
Maven unless --jars names a folder that has it.
"""
import argparse
import glob
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

PARTITIONS = 3
CUSTOMERS = 5
WAIT_S = 300


def order(number):
    return {"number": number, "customer": f"customer-{number % CUSTOMERS}", "cents": number * 7}


class Shop(threading.Thread):
    """Writes orders, the second half when the first is being read, and keeps where each was
    acknowledged."""

    def __init__(self, address, topic, count):
        super().__init__(daemon=True)
        self.producer = Producer({"bootstrap.servers": address, "enable.idempotence": True})
        self.topic = topic
        self.count = count
        self.places = {}  # (partition, offset) by number
        self.is_read = threading.Event()

    def run(self):
        def told(error, message):
            if error is None:
                number = json.loads(message.value())["number"]
                self.places[number] = (message.partition(), message.offset())

        for number in range(self.count):
            if number == self.count // 2:
                self.producer.flush(WAIT_S)
                self.is_read.wait(WAIT_S)
            one = order(number)
            self.producer.produce(self.topic, json.dumps(one), one["customer"], on_delivery=told)
            if number % 100 == 99:
                self.producer.poll(0.05)
        self.producer.flush(WAIT_S)


def session(options):
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    from pyspark import __version__ as version  # pylint: disable=import-outside-toplevel
    from pyspark.sql import SparkSession  # pylint: disable=import-outside-toplevel
    builder = SparkSession.builder.appName("data lake").master("local[2]")
    if options.jars:
        builder.config("spark.jars", ",".join(glob.glob(os.path.join(options.jars, "*.jar"))))
    else:
        builder.config("spark.jars.packages",
                       f"org.apache.spark:spark-sql-kafka-0-10_2.13:{version}")
    # Short runs of a few files: what a compiler that optimises would gain, it costs many times.
    return (builder.config("spark.driver.memory", "768m").config("spark.ui.enabled", False)
            .config("spark.driver.extraJavaOptions", "-XX:TieredStopAtLevel=1")
            .config("spark.ui.showConsoleProgress", False).getOrCreate())


def end_with_parent():
    """This process and its JVM."""
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)


def stream(options, rest):
    """`rest`: what is there, then it ends; otherwise until it is ended."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    source = (session(options).readStream.format("kafka")
              .option("kafka.bootstrap.servers", options.address)
              .option("subscribe", options.topic).option("startingOffsets", "earliest")
              .option("maxOffsetsPerTrigger", max(1, options.records // 6)).load())
    orders = source.selectExpr(
        "from_json(CAST(value AS STRING), 'number INT, customer STRING, cents INT') AS one",
        "CAST(key AS STRING) AS key", "partition", "offset")
    orders = orders.select("one.*", "key", "partition", "offset")
    trigger = {"availableNow": True} if rest else {"processingTime": "500 milliseconds"}
    (orders.writeStream.format("parquet").partitionBy("customer")
     .option("checkpointLocation", os.path.join(options.folder, "checkpoint"))
     .trigger(**trigger).start(os.path.join(options.folder, "orders")).awaitTermination())


def start(options, what):
    command = [sys.executable, os.path.abspath(__file__), options.address, "--records",
               str(options.records), "--topic", options.topic, "--folder", options.folder, "--as",
               what]
    if options.jars:
        command += ["--jars", options.jars]
    # A session of its own: Spark's JVM ends with it.
    return subprocess.Popen(command, start_new_session=True, stdin=subprocess.PIPE,
                            stdout=subprocess.DEVNULL)


def commits(options):
    return len(glob.glob(os.path.join(options.folder, "checkpoint", "commits", "[0-9]*")))


def kill_in_the_middle(options, shop):
    with start(options, "stream") as first:
        end = time.monotonic() + WAIT_S
        while commits(options) < 2 and first.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
            if commits(options) > 0:
                shop.is_read.set()
        ended = first.poll() is not None
        os.killpg(first.pid, signal.SIGKILL)
    if ended or commits(options) < 2:
        sys.exit("the first stream did not get to its second batch")


def check(options, places):
    lake = session(options).read.parquet(os.path.join(options.folder, "orders"))
    rows = lake.select("number", "customer", "cents", "key", "partition", "offset").collect()
    found = sorted(tuple(row) for row in rows)
    wanted = [(*order(n).values(), order(n)["customer"], *places[n])
              for n in range(options.records)]
    if found != wanted:
        print(f"{len(found)} rows, {len(set(found))} different, wanted {len(wanted)}; first "
              f"wrong: {next(((f, w) for f, w in zip(found, wanted) if f != w), None)}")
        return 1
    print(f"OK: {len(found)} orders once each in Parquet, {commits(options)} batches, one kill -9")
    return 0


def run(options):
    admin = AdminClient({"bootstrap.servers": options.address})
    admin.create_topics([NewTopic(options.topic, PARTITIONS, 1)])[options.topic].result(30)
    shop = Shop(options.address, options.topic, options.records)
    shop.start()
    kill_in_the_middle(options, shop)
    shop.join(WAIT_S)
    if len(shop.places) != options.records:
        sys.exit(f"{len(shop.places)} of {options.records} orders were acknowledged")
    with start(options, "rest") as second:
        if second.wait() != 0:
            sys.exit(f"the second stream ended with {second.returncode}")
    return check(options, shop.places)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("address", metavar="HOST:PORT")
    parser.add_argument("--records", type=int, default=5000)
    parser.add_argument("--jars", help="a folder with Spark's Kafka source and what it needs")
    parser.add_argument("--topic", default=f"orders-{int(time.time())}", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    parser.add_argument("--as", dest="part", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        return stream(options, options.part == "rest")
    with tempfile.TemporaryDirectory(prefix="data-lake-") as options.folder:
        return run(options)


if __name__ == "__main__":
    sys.exit(main())
