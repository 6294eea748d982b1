"""An idempotent confluent-kafka producer that counts: load_producer.py ADDRESS TOPIC PARTITION
NAME. Says {"acked": N} for the records 0..N-1 on standard output, until standard input ends."""
import json
import sys
import threading
import time

from confluent_kafka import KafkaException, Producer

WAITING_MAX = 300


def say(**what):
    print(json.dumps(what), flush=True)


class Load:
    def __init__(self, address, topic, partition, name):
        self.topic, self.partition, self.name = topic, int(partition), name
        self.acked = 0
        self.failed = None
        self.producer = Producer({
            "bootstrap.servers": address, "enable.idempotence": True, "linger.ms": 2,
            "message.timeout.ms": 600000, "reconnect.backoff.ms": 20,
            "reconnect.backoff.max.ms": 200, "retry.backoff.ms": 20, "log_level": 2,
            "error_cb": self.on_error})

    def on_error(self, error):
        if error.fatal():
            self.failed = f"{self.name}: {error}"

    def on_delivery(self, number):
        def told(error, _):
            if error is not None:
                self.failed = self.failed or f"{self.name}: record {number}: {error}"
            elif number != self.acked:
                self.failed = self.failed or f"{self.name}: {number} told before {self.acked}"
            else:
                self.acked += 1
        return told

    def run(self, stop):
        number = said = 0
        while not stop.is_set() and self.failed is None:
            if number - self.acked < WAITING_MAX:
                self.producer.produce(self.topic, b"%s %d %s" % (self.name.encode(), number,
                                                                 b"." * (number % 700)),
                                      partition=self.partition,
                                      on_delivery=self.on_delivery(number))
                number += 1
            self.producer.poll(0 if number % 10 else 0.005)
            if self.acked != said:
                said = self.acked
                say(acked=said)
        left = self.producer.flush(50)
        say(acked=self.acked)
        if self.failed or left:
            say(error=self.failed or f"{self.name}: {left} records were never acknowledged")


def main():
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    try:
        Load(*sys.argv[1:5]).run(stop)
    except KafkaException as error:
        say(error=str(error))
    time.sleep(0.1)


main()
