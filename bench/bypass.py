"""A broker and a load client that both do their own TCP/IP, with no kernel between them: DPDK's
net_vhost at one end of a pair of rings in shared memory, net_virtio_user at the other. The side with
net_vhost copies every byte, both ways, as a virtual switch does; for the other it is what a NIC is."""
import os

import dpdk_network
from common import Broker

# Of 2 MiB, for the two processes.
HUGE_PAGES = dpdk_network.HUGE_PAGES_MORE + 128
HOST = "10.82.0.1"
PORT = 9092


class BypassBroker(Broker):
    """`end`: which of the two is the broker's, "vhost" or "virtio"."""

    def __init__(self, name, end, profile, huge_pages, changes=None):
        super().__init__(name, profile, changes)
        self.address = f"{HOST}:{PORT}"
        self.socket = os.path.join(self.directory, "net.sock")
        # Whoever listens at the socket stays when the other goes, and takes the next.
        mine, other = (("net_vhost0,iface={}", "net_virtio_user0,path={}")
                       if end == "vhost" else
                       ("net_virtio_user0,path={},server=1", "net_vhost0,iface={},client=1"))
        # The same address for each client, so that the broker need not ask anew.
        ring = ",queue_size=1024,mac=02:54:0a:52:00:0{}"
        mine, other = [device.format(self.socket)
                       + (ring.format(number) if "virtio" in device else "")
                       for number, device in ((1, mine), (2, other))]
        self.profile = dpdk_network.write_profile_for(
            self.profile, os.path.join(self.directory, "bypass.toml"), mine, f"{HOST}/24",
            huge_pages)
        self.client = ["--device", other, "--huge-pages", str(int(huge_pages))]
