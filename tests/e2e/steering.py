"""Several cores with Tailrace's own TCP/IP on one device: connections are spread over them, frames
that came on another core's queue are handed over, and another number of cores may come with each
start."""
import contextlib
import os
import re
import shutil
import socket
import struct
import subprocess
import time
import urllib.request

import network
from broker import Broker, free_port, write_profile
from harness import Case, expect, expect_equal, run_client
from kcat import kcat
from wire import Connection, batch

CONNECTIONS = 24
LINES = 300_000   # of 100 bytes


@contextlib.contextmanager
def running(context, cores):
    """A broker for the case, which ends in order."""
    profile = write_profile(os.path.join(context.folder, "cores.toml"), cores=cores)
    broker = Broker(context.program, context.folder, profile=profile,
                    admin=f"127.0.0.1:{free_port()}")
    context.broker = broker.start()
    try:
        yield broker
        expect_equal(broker.stop(), 0, "exit code")
    finally:
        broker.kill9()
        context.broker = None


def numbers(broker, name):
    """Of all cores, in their order."""
    with urllib.request.urlopen(f"http://{broker.admin}/metrics", timeout=20) as answer:
        text = answer.read().decode()
    return [int(n) for n in re.findall(rf'^tailrace_{name}{{core="\d+"}} (\d+)$', text, re.M)]


def spread_over_cores(context):
    """Every core has connections, and all of them are in the table."""
    with running(context, 2) as broker, contextlib.ExitStack() as stack:
        peers = [stack.enter_context(Connection(broker.port)) for _ in range(CONNECTIONS)]
        peers[0].create_topic("spread", 4)
        for number, peer in enumerate(peers):
            error, _ = peer.produce("spread", number % 4, batch([b"one"]))
            expect_equal(error, 0, "produce")
        per_core = numbers(broker, "net_accepted_total")
        expect(len(per_core) == 2 and min(per_core) > 0, f"connections of each core: {per_core}")
        expect_equal(sum(per_core), CONNECTIONS, "accepted by both")
        table = run_client([context.program, "net", "--admin", broker.admin], "net", 20).stdout
        expect_equal(table.count(b"ESTABLISHED"), CONNECTIONS, f"in the table:\n{table.decode()}")
        # Each asked for the client's link address itself, and heard the answer.
        expect(min(numbers(broker, "net_arp_in_total")) > 0, "a core that heard no answer")
        context.note(f"connections of each core: {per_core}")


def frames_between_cores(context):
    """While megabytes flow, nothing is lost between the cores. The kernel's tap gives a core the
    frames of the connections on which it has sent, so that few are handed over; with AF_PACKET half
    of them are."""
    path = os.path.join(context.folder, "lines")
    with open(path, "w", encoding="ascii") as file:
        file.writelines(f"{n:099d}\n" for n in range(LINES))
    with running(context, 2) as broker:
        for number in range(4):
            kcat(context, "-P", "-t", f"follow{number}", "-p", "0", "-X", "acks=all", "-l", path)
        last = kcat(context, "-C", "-t", "follow3", "-p", "0", "-o", "beginning", "-e", "-f",
                    "%s\n")
        with open(path, "rb") as file:
            expect(file.read() == last, "what was written is not what was read")
        frames = sum(numbers(broker, "net_frames_in_total"))
        handed = sum(numbers(broker, "net_frames_handed_over_total"))
        context.note(f"handed over: {handed} of {frames} frames")
        good = (0 < handed < 200 and frames > 20 * handed
                if network.current.name == "tap" else handed > frames // 20)
        expect(good, f"handed over: {handed} of {frames}")
        expect_equal(sum(numbers(broker, "net_frames_taken_over_total")), handed, "taken over")
        expect_equal(sum(numbers(broker, "net_drop_no_turns_total")), 0, "dropped")


def any_number_of_cores(context):
    """The same device and data, with another number of cores at each start; killed in between."""
    with running(context, 1) as broker:
        for number, cores in enumerate([1, 2, 3, 2, 1]):
            broker.kill9()
            write_profile(broker.profile, cores=cores)
            broker.start()
            kcat(context, "-P", "-t", "cores", "-p", "0", "-X", "acks=all", input=b"%d\n" % number)
            found = kcat(context, "-C", "-t", "cores", "-p", "0", "-o", "beginning", "-e", "-f",
                         "%s,")
            expect_equal(found, b"".join(b"%d," % n for n in range(number + 1)), f"{cores} cores")


def elsewhere(context, cores, device, listen):
    """What starts a second broker, with addresses of its own on this device."""
    source = write_profile(os.path.join(context.folder, "second.toml"), cores=cores)
    profile = network.tap_network.write_profile(source, f"{source}.tap", device,
                                                "10.79.0.1/24,fd79::1/64")
    return [context.program, "serve", "--data", os.path.join(context.folder, "second"),
            "--listen", listen, "--admin", "", "--profile", profile]


def serve_elsewhere(context, cores, device, seconds=None):
    """One that is refused, or ended after so many seconds: its exit code, what it said."""
    command = elsewhere(context, cores, device, "10.79.0.1:9092")
    if seconds is not None:
        command = ["timeout", "--preserve-status", "--signal=TERM", str(seconds), *command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def over_ipv6(context):
    """Connections to both cores, each of which knows its neighbours, and that an echo is answered
    once."""
    tap_network = network.tap_network
    tap_network.make("trsix", "fd79::2/64")
    command = elsewhere(context, 2, "trsix", "[fd79::1]:9092")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as broker:
        try:
            for line in broker.stdout:
                if b"tailrace: ready" in line:
                    break
            with contextlib.ExitStack() as stack:
                peers = [stack.enter_context(socket.create_connection(("fd79::1", 9092), 20))
                         for _ in range(CONNECTIONS)]
                for peer in peers:
                    # ApiVersions, version 0.
                    peer.sendall(struct.pack(">ihhih", 10, 18, 0, 7, -1))
                for peer in peers:
                    expect(len(peer.recv(10)) == 10, "no answer")
            if shutil.which("ping") is not None:
                said = subprocess.run("ping -c 3 -i 0.2 fd79::1".split(), capture_output=True,
                                      timeout=30, check=False).stdout
                expect(b"3 received" in said and b"DUP" not in said, said.decode())
        finally:
            broker.terminate()
            broker.stdout.close()
            expect_equal(broker.wait(60), 0, "exit code")
            tap_network.remove("trsix")


def device_with_one_queue(context):
    """Is no device for two cores, and what to do about it is told; one core may have it."""
    subprocess.run("ip tuntap add dev trone mode tap".split(), check=True)
    try:
        code, told = serve_elsewhere(context, 2, "trone")
        wanted = r"second\.toml\.tap:3: threads\.cores: found 2, allowed: 1: .*multi_queue"
        expect(code != 0 and re.search(wanted, told), told)
        code, told = serve_elsewhere(context, 1, "trone", seconds=4)
        expect(code == 0 and "tailrace: ready" in told, told)
    finally:
        subprocess.run("ip link delete trone".split(), check=False)


def device_of_another(context):
    """A device with several queues would be open to a second broker, which is refused."""
    with running(context, 2) as broker:
        device = f"tr{network.current.number_of(broker.port)}"
        for cores in [1, 2]:
            code, told = serve_elsewhere(context, cores, device)
            expect(code != 0 and "another process has it" in told, told)
        with socket.create_connection((network.current.host_of(broker.port), broker.port), 20):
            pass


def device_that_goes(context):
    """A device that is deleted ends the node, whichever core notices first."""
    with running(context, 2) as broker, Connection(broker.port) as peer:
        peer.create_topic("gone")
        device = f"tr{network.current.number_of(broker.port)}"
        subprocess.run(f"ip link delete {device}".split(), check=True)
        expect(broker.process.wait(10) > 0, "it ended as if all were well")
        expect("the network device is gone" in broker.said(), broker.said())
        network.tap_network.make(device, "10.78.99.2/24")
        broker.start()   # For its clean end; a device is a device.


def link_that_is_lost(context):
    """A device without a link, from the start or later, is told of once, and when it is back."""
    with running(context, 2) as broker:
        device = f"tr{network.current.number_of(broker.port)}"

        def wait_for(words, times):
            deadline = time.monotonic() + 10
            while broker.said().count(words) < times:
                expect(time.monotonic() < deadline, f"\"{words}\" {times} times:\n{broker.said()}")
                time.sleep(0.05)

        for times in [1, 2]:
            subprocess.run(f"ip link set {device} down".split(), check=True)
            wait_for("the link is down, and nothing comes or goes", times)
            subprocess.run(f"ip link set {device} up".split(), check=True)
            wait_for("the link is up again", times)
            with socket.create_connection((network.current.host_of(broker.port), broker.port), 20):
                pass
        expect_equal(numbers(broker, "device_link_losses_total"), [2, 0], "losses of each core")
        expect_equal(numbers(broker, "device_link_up"), [1, 1], "links up")
        expect("ip link set INTERFACE up" in broker.said() or network.current.name != "tap",
               f"what to do:\n{broker.said()}")
        expect_equal(broker.stop(), 0, "exit code")
        subprocess.run(f"ip link set {device} down".split(), check=True)
        broker.start()
        wait_for("the link is down, and nothing comes or goes", 1)
        subprocess.run(f"ip link set {device} up".split(), check=True)
        wait_for("the link is up again", 1)
        expect_equal(broker.said().count("the link is down"), 1, "how often it was told")


def address_of_another(context):
    """A station that says the node's address is its own is told of, and hears otherwise."""
    with running(context, 2) as broker:
        device = f"tr{network.current.number_of(broker.port)}"
        own = socket.inet_aton(network.current.host_of(broker.port))
        thief = b"\x02\0\0\0\0\x99"
        head = b"\xff" * 6 + thief + b"\x08\x06"
        theft = head + b"\0\x01\x08\0\x06\x04\0\x01" + thief + own + b"\0" * 6 + own
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806)) as wire:
            wire.bind((device, 0x0806))
            wire.settimeout(10)
            wire.send(theft.ljust(60, b"\0"))
            while True:
                heard, about = wire.recvfrom(100)
                if about[2] != socket.PACKET_OUTGOING and heard[28:32] == own == heard[38:42]:
                    break
            expect(heard[:6] == b"\xff" * 6 and heard[6:12] != thief, f"the defence: {heard}")
        deadline = time.monotonic() + 10
        words = f"another station uses {socket.inet_ntoa(own)}, too: 02:00:00:00:00:99"
        while words not in broker.said():
            expect(time.monotonic() < deadline, broker.said())
            time.sleep(0.05)


def cases(options):
    runs = [spread_over_cores, frames_between_cores, any_number_of_cores, link_that_is_lost,
            address_of_another]
    if options.net == "tap":
        runs += [over_ipv6, device_with_one_queue, device_of_another, device_that_goes]
    return [Case(run.__name__, run, own_broker=True, seconds_max=120) for run in runs]
