"""A node with no kernel between it and its clients, who do their own TCP/IP as well (the load
client): rings in shared memory, with DPDK's net_vhost at one end and net_virtio_user at the other.
Needs neither root nor huge pages."""
import contextlib
import json
import os
import subprocess
import time

from broker import Broker, write_profile
from harness import Case, Skip, expect, expect_equal, run_client

VIRTIO = "net_virtio_user0,path={},queue_size=1024"
VHOST = "net_vhost0,iface={},tso=1,linear-buffer=1,ext-buffer=1"
BATCH_BYTES = 16384
BATCHES = 1000
SECONDS_MAX = 60


class VhostBroker(Broker):
    address = "10.82.0.1:9092"

    def command(self):
        return [self.program, "serve", "--data", self.data, "--listen", self.address,
                "--admin", self.admin, "--profile", self.profile]


@contextlib.contextmanager
def running(context, device):
    client = os.path.join(os.path.dirname(context.program), "..", "bench", "load", "tailrace_load")
    if not os.access(client, os.X_OK):
        raise Skip("tailrace_load is not built beside the program")
    profile = write_profile(os.path.join(context.folder, "vhost.toml"), cores=1)
    with open(profile, encoding="utf-8") as file:
        text = file.read()
    with open(profile, "w", encoding="utf-8") as file:
        file.write(text.replace("[network]\n", f"""[network]
transport = "dpdk"
device = "{device}"
huge_pages = false
addresses = "10.82.0.1/24"
"""))
    broker = VhostBroker(context.program, context.folder, profile=profile)
    context.broker = broker.start(wait=False)
    try:
        yield broker, client
        expect_equal(broker.stop(), 0, "exit code")
    finally:
        broker.kill9()
        context.broker = None


def wait_ready(broker):
    deadline = time.monotonic() + SECONDS_MAX
    while "tailrace: ready" not in broker.said():
        if not broker.alive() and "DPDK" in broker.said():
            raise Skip(broker.log_tail(3).strip())
        expect(broker.alive() and time.monotonic() < deadline, "the broker is not ready")
        time.sleep(0.02)


def cpu_seconds(broker):
    with open(f"/proc/{broker.process.pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def idle_share(broker):
    before = cpu_seconds(broker)
    time.sleep(1)
    return cpu_seconds(broker) - before


def clients_come_and_go(context, broker, client, device):
    way = ["--address", broker.address, "--device", device]

    def load(what, **options):
        words = [client, what, *way, "--topic", "t", "--partitions", "4",
                 "--bytes", str(BATCH_BYTES)]
        return words + [str(word) for name, value in options.items()
                        for word in ("--" + name.replace("_", "-"), value)]

    def run(what, **options):
        done = run_client(load(what, **options), what, SECONDS_MAX)
        return json.loads(done.stdout.decode().strip().splitlines()[-1])

    run("create")
    wait_ready(broker)
    written = run("produce", connections=4, depth=4, total_bytes=BATCHES * BATCH_BYTES,
                  seconds=SECONDS_MAX, warm_up=0)
    # Killed in the middle: nobody says good-bye, neither the stack nor the driver.
    with subprocess.Popen(load("produce", connections=4, depth=4, seconds=SECONDS_MAX),
                          stdout=subprocess.DEVNULL) as killed:
        time.sleep(2)
        killed.kill()
    read = run("fetch", connections=4, depth=4, seconds=1, warm_up=0)
    expect(read["requests"] > 100, f"fetches: {read}")
    expect_equal(written["errors"] + read["errors"], 0, "errors")
    share = idle_share(broker)
    # A machine that does other things makes it more; one that polls would need all of a core.
    expect(share < 0.3, f"an idle node takes {share:.0%} of a core")
    context.note(f"{written['per_s']:.0f} and {read['per_s']:.0f} requests/s of 16 KiB, idle "
                 f"{share:.0%} of a core")


def node_at_vhost(context):
    """The node's end copies, as a switch does; its clients' frames are cut by nobody."""
    socket = os.path.join(context.folder, "net.sock")
    with running(context, VHOST.format(socket)) as (broker, client):
        wait_ready(broker)
        clients_come_and_go(context, broker, client, VIRTIO.format(socket))


def node_at_virtio(context):
    """The node's end has what a machine has behind a switch. It waits for that at its start."""
    socket = os.path.join(context.folder, "net.sock")
    with running(context, VIRTIO.format(socket) + ",server=1") as (broker, client):
        clients_come_and_go(context, broker, client, VHOST.format(socket) + ",client=1")


CASES = [
    Case("node at net_vhost", node_at_vhost, own_broker=True),
    Case("node at net_virtio_user", node_at_virtio, own_broker=True),
]
