"""A broker and a load client that both do their own TCP/IP, with no kernel between them: DPDK's
net_vhost at one end of a pair of rings in shared memory, net_virtio_user at the other. The side
with net_vhost copies every byte, both ways, as a virtual switch does; to the other it is what a NIC
is."""
import os

import dpdk_network
from common import Broker

# Of 2 MiB, for the two processes.
HUGE_PAGES = dpdk_network.HUGE_PAGES_MORE + 128
HOST = "10.82.0.1"
PORT = 9092
VIRTIO = "net_virtio_user0,path={},queue_size=1024,mac=02:54:0a:52:00:0{}"
# Frames of up to 64 KiB from the other side, each in one buffer.
VHOST = "net_vhost0,iface={},tso=1,linear-buffer=1,ext-buffer=1"


class BypassBroker(Broker):
    """`end`: which of the two is the broker's, "vhost" or "virtio"."""

    def __init__(self, name, end, profile, huge_pages):
        super().__init__(name, profile)
        self.address = f"{HOST}:{PORT}"
        self.end = end
        socket = os.path.join(self.directory, "net.sock")
        # The broker listens at the socket, for clients come and go. They have one link address, so
        # that it need not ask for each anew.
        mine, other = VHOST.format(socket), VIRTIO.format(socket, 2)
        if end == "virtio":
            mine, other = VIRTIO.format(socket, 1) + ",server=1", VHOST.format(socket) + ",client=1"
        self.profile = dpdk_network.write_profile_for(
            self.profile, os.path.join(self.directory, "bypass.toml"), mine, f"{HOST}/24",
            huge_pages)
        self.client = ["--device", other, "--huge-pages", str(int(huge_pages))]

    def start(self, wait=True):
        # The driver of virtio waits for its other end before it goes on.
        super().start(wait and self.end == "vhost")
        if self.end == "virtio":
            self.load("create", topic="first", partitions=1)
            self.ready.wait(60)

    def load(self, command, may_fail=False, **options):
        """With the time in which the core looked at an idle device, `spun_s`."""
        before = self.spun_seconds() if command != "create" else 0
        run = super().load(command, may_fail, **options)
        if command != "create":
            run["spun_s"] = max(0, self.spun_seconds() - before)
        return run

    def spun_seconds(self):
        return self.core_seconds() - self.metric("busy_us_total") / 1e6

    def core_seconds(self):
        """The processor time of the broker's core."""
        tasks = f"/proc/{self.process.pid}/task"
        for task in os.listdir(tasks):
            with open(f"{tasks}/{task}/comm", encoding="ascii") as file:
                if file.read().strip() != "tr-core-0":
                    continue
            with open(f"{tasks}/{task}/schedstat", encoding="ascii") as file:
                return int(file.read().split()[0]) / 1e9
        raise SystemExit("bench: the broker has no core")
