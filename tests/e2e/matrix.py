"""The matrix: each client of clients/ tells the same story, and what works is compared with the
table in README.md. A cell that is worse than the table fails; `run.py --matrix` writes the table.

A program is called as PROGRAM HOST:PORT [FEATURE...] and prints
    version TEXT
    feature NAME ok | unsupported REASON | bad WHAT
"""
import concurrent.futures
import os
import re
import subprocess
import sys
import threading
import time

import toolchains
from harness import HERE, Case, Failed

FEATURES = {  # Name: the table's column.
    "admin": "admin", "none": "none", "gzip": "gzip", "snappy": "snap", "lz4": "lz4",
    "zstd": "zstd", "idempotent": "idem", "seek": "seek", "resume": "res", "group": "grp",
    "cooperative": "coop", "kip848": "848", "group-admin": "gadm", "transaction": "txn",
    "exactly-once": "eos", "fenced": "fence"}
CLIENTS = {
    "kafka-clients": lambda: toolchains.java_program("matrix.Client"),
    "librdkafka": toolchains.c_ready,
    "kcat": lambda: toolchains.python_program("kcat_client.py"),
    "confluent-python": lambda: toolchains.python_program("confluent_client.py"),
    "kafka-python": lambda: toolchains.python_program("kafka_python_client.py"),
    "aiokafka": lambda: toolchains.python_program("aiokafka_client.py"),
    "franz-go": lambda: toolchains.go_ready("franz"),
    "sarama": lambda: toolchains.go_ready("sarama"),
    "kafka-go": lambda: toolchains.go_ready("kafkago"),
    "kafkajs": lambda: toolchains.node_program("kafkajs_client.mjs"),
    "platformatic": lambda: toolchains.node_program("platformatic_client.mjs"),
    "confluent-js": lambda: toolchains.node_program("confluent_client.mjs", "confluent"),
    "rdkafka (Rust)": lambda: toolchains.rust_ready("rdkafka_client"),
    "rskafka": lambda: toolchains.rust_ready("rskafka_client"),
}
SIGNS = {"ok": "+", "unsupported": "-", "bad": "!"}
AT_ONCE = 5
CLIENT_SECONDS_MAX = 420
BEGIN, END = "<!-- matrix -->", "<!-- end of the matrix -->"
README = os.path.join(HERE, "README.md")


class Told:
    """What a program said: the version, and (state, text) by feature."""

    def __init__(self, name, text, errors, seconds):
        self.name = name
        self.version = "?"
        self.cells = {}
        self.errors = errors
        self.seconds = seconds
        for line in text.splitlines():
            kind, _, rest = line.partition(" ")
            if kind == "version":
                self.version = rest
            elif kind == "feature":
                feature, state, why = (rest.split(" ", 2) + ["", ""])[:3]
                self.cells[feature] = (state, why)
        for feature in FEATURES:
            self.cells.setdefault(feature, ("bad", f"no answer in {seconds:.0f} s"))

    def sign(self, feature):
        return SIGNS.get(self.cells[feature][0], "!")

    def count(self, state):
        return sum(cell[0] == state for cell in self.cells.values())


def ask(name, command, address):
    begun = time.monotonic()
    # Own session: a client that hangs is ended with all that it started.
    with subprocess.Popen([*command, address], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            out, err = process.communicate(timeout=CLIENT_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            out, err = process.communicate()
    return Told(name, out.decode(errors="replace"), err.decode(errors="replace"),
                time.monotonic() - begun)


class Matrix:
    """Starts the chosen clients at the first question, AT_ONCE at a time: they mostly wait."""

    def __init__(self, chosen):
        self.chosen = chosen
        self.builds = threading.Lock()
        self.pool = None
        self.futures = {}
        self.told = {}

    def one(self, name, address):
        with self.builds:
            command = CLIENTS[name]()
        return ask(name, command, address)

    def start(self, address):
        if self.pool is None:
            self.pool = concurrent.futures.ThreadPoolExecutor(AT_ONCE)
            self.futures = {name: self.pool.submit(self.one, name, address)
                            for name in self.chosen}

    def case(self, name):
        def run(context):
            self.start(context.broker.address)
            told = self.told[name] = self.futures[name].result()
            context.note(f"{told.version}: {told.count('ok')} ok, {told.count('unsupported')} "
                         f"unsupported, {told.count('bad')} bad, {told.seconds:.0f} s")
            bad = {f: why for f, (state, why) in told.cells.items() if state == "bad"}
            for feature, why in bad.items():
                context.note(f"{feature}: {why}")
            if not context.options.matrix:
                compare(told, {} if context.options.against else read_table())
        return run


def compare(told, table):
    wanted = table.get(told.name, {})
    worse = [f for f in FEATURES if told.sign(f) != "+" and
             (wanted.get(f, "+") == "+" and told.cells[f][0] != "unsupported" or
              wanted.get(f) == "+")]
    if worse:
        lines = [f"{f}: {' '.join(told.cells[f])}" for f in worse]
        raise Failed("\n    ".join(["worse than the table:", *lines, told.errors[-3000:]]))


def table_lines():
    with open(README, encoding="utf-8") as file:
        text = file.read()
    found = re.search(re.escape(BEGIN) + r"\n(.*?)" + re.escape(END), text, re.S)
    return text, found.group(1).splitlines() if found else []


def read_table():
    """Signs by client and feature."""
    table = {}
    for line in table_lines()[1]:
        cells = [c.strip() for c in line.strip().strip("|").split("|")]
        if line.startswith("| ") and len(cells) == len(FEATURES) + 2 and cells[0] != "client":
            table[cells[0]] = dict(zip(FEATURES, cells[2:]), version=cells[1])
    return table


def write_table(told):
    """What was skipped keeps its line."""
    text, old_lines = table_lines()
    table = read_table()
    for one in told.values():
        table[one.name] = {f: one.sign(f) for f in FEATURES}
        table[one.name]["version"] = one.version.split(",")[0]
    lines = ["| " + " | ".join(["client", "version", *FEATURES.values()]) + " |",
             "| --- " * (len(FEATURES) + 2) + "|"]
    lines += [f"| {name} | {table[name]['version']} | " +
              " | ".join(table[name][f] for f in FEATURES) + " |"
              for name in CLIENTS if name in table]
    kept = {line.split(":")[0][2:]: line for line in old_lines if line.startswith("- ")}
    for one in told.values():
        reasons = {}
        for feature, (state, why) in one.cells.items():
            if state == "unsupported":
                reasons.setdefault(why, []).append(feature)
        kept[one.name] = f"- {one.name}: " + "; ".join(
            f"{', '.join(features)}: {why}" for why, features in reasons.items())
    lines += ["", "What the libraries lack:", ""]
    lines += [kept[name] for name in CLIENTS if kept.get(name, ": ").strip()[-1:] != ":"]
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    with open(README, "w", encoding="utf-8") as file:
        file.write(f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{after}")


def cases(options):
    chosen = [name for name in CLIENTS if options.only in f"matrix/{name}"]
    matrix = Matrix(chosen)
    found = [Case(name, matrix.case(name), seconds_max=1800) for name in chosen]
    if options.matrix:
        found.append(Case("table", lambda context: write_table(matrix.told)))
    return found


if __name__ == "__main__":
    sys.exit("run.py --only matrix/ runs this")
