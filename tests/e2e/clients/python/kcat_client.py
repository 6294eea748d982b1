"""kcat, by its command line."""
import re
import signal
import subprocess

import story
from story import PARTITIONS, expect_equal

SEPARATOR = "\x1f"


def run(address, *arguments, given=b""):
    done = subprocess.run(["kcat", "-q", "-b", address, *arguments], input=given, timeout=60,
                          capture_output=True, check=False)
    expect_equal(done.returncode, 0, f"kcat {arguments}: {done.stderr.decode()}")
    return done.stdout


class Member(story.Thread):
    """kcat -G, which stores offsets as it prints and commits them when it is interrupted."""

    def __init__(self, address, topic, group, kind, instance):
        super().__init__()
        settings = ["auto.offset.reset=earliest", "session.timeout.ms=6000",
                    "partition.assignment.strategy=" +
                    ("cooperative-sticky" if kind == "cooperative" else "range")]
        if instance is not None:
            settings.append(f"group.instance.id={instance}")
        options = [part for one in settings for part in ("-X", one)]
        self.process = subprocess.Popen(
            ["kcat", "-b", address, "-G", group, "-u", "-f", "%p:%o\n", *options, topic],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assigned = set()
        self.words = story.threading.Thread(target=self.listen, daemon=True)
        self.words.start()
        self.start()

    def listen(self):
        """% Group G rebalanced (memberid M): assigned: T [0], T [1]
        % Group G rebalanced: incremental assignment of 2 partition(s) (...): T [0], T [1]"""
        for line in self.process.stderr:
            found = re.search(r"rebalanced.*(assign|revoke)", line)
            if found:
                parts = set(re.findall(r" \[(\d+)\]", line))
                self.assigned = self.assigned | parts if found.group(1) == "assign" \
                    else self.assigned - parts
                self.owned = len(self.assigned)

    def poll(self):
        line = self.process.stdout.readline()
        if line:
            self.found.add(tuple(int(n) for n in line.split(":")))

    def stop(self):
        self.stopping = True
        self.process.send_signal(signal.SIGINT)
        super().stop()
        self.process.wait(30)

    def close(self):
        pass


class Client:
    name = "kcat"
    version = subprocess.run(["kcat", "-V"], capture_output=True, text=True,
                             check=True).stdout.split("Version ")[1].split()[0]
    codecs = story.CODECS
    null_headers = False
    unsupported = {
        "admin": "reads metadata only", "kip848": "the classic protocol only",
        "group-admin": "no group administration",
        "transaction": "reads its input in blocks: none can be left open",
        "exactly-once": "no offsets in a transaction", "fenced": "one transaction a process"}
    address = None

    def create(self, topic, partitions):
        """By asking for it; the broker's default is one partition, so Kafka's name for more is not
        enough: another client makes the topic."""
        from confluent_kafka.admin import AdminClient, NewTopic
        admin = AdminClient({"bootstrap.servers": self.address})
        admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(30)

    def produce(self, topic, batch, codec, idempotent):
        """One process for each partition; the key, then the value. What kcat cannot say (times,
        different headers for each record, no key) is left out."""
        for partition in {one[0] for one in batch}:
            lines = [(key or b"k") + SEPARATOR.encode() + (value or b"")
                     for at, _, key, value, _ in batch if at == partition]
            run(self.address, "-P", "-t", topic, "-p", str(partition), "-z", codec, "-K",
                SEPARATOR, "-H", "n=1", "-H", "codec=" + codec, "-X", "acks=all", "-X",
                f"enable.idempotence={'true' if idempotent else 'false'}",
                given=b"\n".join(lines) + b"\n" if lines else b"")

    def read(self, topic, partitions, start, count, committed=True):
        level = "read_committed" if committed else "read_uncommitted"
        found = []
        for partition in range(partitions):
            at = (start or {}).get(partition, "beginning")
            text = run(self.address, "-C", "-t", topic, "-p", str(partition), "-o", str(at), "-e",
                       "-X", f"isolation.level={level}", "-f", "%o\x1e%T\x1e%k\x1e%s\x1e%h\x1d")
            records = [one.split(b"\x1e") for one in text.split(b"\x1d")[:-1]]
            found.append([(int(o), int(t), k, v, h.decode()) for o, t, k, v, h in records])
        expect_equal(sum(map(len, found)), count, "records")
        return found

    def offset_at(self, topic, partition, asked):
        asked = {"earliest": -2, "latest": -1}.get(asked, asked)
        said = run(self.address, "-Q", "-t", f"{topic}:{partition}:{asked}", "-X",
                   "isolation.level=read_uncommitted").decode()
        return int(said.split()[-1])

    def member(self, topic, group, kind, instance):
        return Member(self.address, topic, group, kind, instance)


def round_trip(codec, idempotent=False):
    """As story.round_trip, for what kcat can say."""
    def tell(client, topic):
        client.create(topic, PARTITIONS)
        sent = story.records(client, codec)
        client.produce(topic, sent, codec, idempotent)
        found = client.read(topic, PARTITIONS, None, story.COUNT)
        for partition in range(PARTITIONS):
            wanted = [(key or b"k", value or b"", f"n=1,codec={codec}")
                      for at, _, key, value, _ in sent if at == partition]
            expect_equal([r[0] for r in found[partition]], list(range(len(wanted))), "offsets")
            for got, right in zip(found[partition], wanted):
                expect_equal(got[2:], right, f"a record of partition {partition}")
    return tell


def seek(client, topic):
    """Its records carry the time of writing: two of them, with a time between."""
    client.create(topic, 1)
    client.produce(topic, story.plain(0, 100, 1), "none", False)
    story.time.sleep(0.2)
    between = int(story.time.time() * 1000)
    story.time.sleep(0.1)
    client.produce(topic, story.plain(100, 10, 1), "none", False)
    for asked, wanted in [("earliest", 0), ("latest", 110), (between, 100)]:
        expect_equal(client.offset_at(topic, 0, asked), wanted, f"offset by {asked}")
    found = client.read(topic, 1, {0: f"s@{between}"}, 10)
    expect_equal([r[0] for r in found[0]], list(range(100, 110)), "from the time")
    expect_equal(client.read(topic, 1, {0: -5}, 5)[0][0][0], 105, "the last five")
    expect_equal(client.read(topic, 1, {0: 41}, 69)[0][0][0], 41, "from an offset")


if __name__ == "__main__":
    story.STORIES.update({codec: round_trip(codec) for codec in story.CODECS})
    story.STORIES.update({"idempotent": round_trip("none", True), "seek": seek})
    story.main(Client())
