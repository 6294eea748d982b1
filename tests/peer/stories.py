"""How connections begin and end, and what they wait for. Stories of one kind share a stack; each is
a function of it, by name."""
import errno
import socket
import struct
import threading
import time

import kernel_side
import stack
import traces
from kernel_side import KERNEL_V4, KERNEL_V6, V4, V6, Wrong, expect
from namespace import Place

RESET = struct.pack("ii", 1, 0)     # of SO_LINGER
FAMILIES = (("v4", V4, KERNEL_V4), ("v6", V6, KERNEL_V6))
LINE_MS = 150                       # of "a long line", one way


def for_both(story):
    """{name: function} with the addresses of each family."""
    name = story.__name__.replace("_", " ")
    return lambda one: {f"{name} {family}": lambda f=family, a=address, k=own: story(one, f, a, k)
                        for family, address, own in FAMILIES}


# --- how it ends

def the_peer_resets(one, family, address, _own):
    name = f"peer-resets-{family}"
    peer = kernel_side.connect(address, f"{name} source 1 50000000")
    peer.recv(100_000, socket.MSG_WAITALL)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    peer.close()
    one.expect_end(name, "broken")


def we_reset(one, family, address, _own):
    name = f"we-reset-{family}"
    with kernel_side.connect(address, f"{name} reset 100000") as peer:
        try:
            for _ in range(1000):
                peer.sendall(b"x" * 10_000)
            raise Wrong("ten megabytes went into a connection that is reset after 100 kB")
        except (ConnectionResetError, BrokenPipeError):
            pass
    one.expect_end(name, "broken")


def nobody_listens(one, family, address, own):
    try:
        kernel_side.connect(address, "", port=4999)
        raise Wrong("a port that nobody listens on was connected to")
    except ConnectionRefusedError:
        pass
    with kernel_side.listen(own) as server:
        port = server.getsockname()[1]
    name = f"nobody-{family}"
    one.call(own, port, f"{name} hold")
    one.expect_end(name, "broken", 5)


def the_peer_ends_first(one, family, address, _own):
    """Its half is closed while all of our data comes."""
    name = f"peer-first-{family}"
    with kernel_side.connect(address, f"{name} late 7 300000") as peer:
        peer.shutdown(socket.SHUT_WR)
        kernel_side.expect_bytes(kernel_side.read_all(peer), kernel_side.pattern(7, 300_000))
    one.expect_end(name)


def urgent_data_is_data(one, family, address, _own):
    name = f"urgent-{family}"
    data = kernel_side.pattern(9, 3000)
    with kernel_side.connect(address, f"{name} sink 9 3000") as peer:
        peer.sendall(data[:1000])
        peer.send(data[1000:1500], socket.MSG_OOB)
        kernel_side.give(peer, data[1500:])
    one.expect_end(name)


def the_same_port_again(one, family, address, own):
    """We have ended first and rest; a peer that comes from the same port is let in at once."""
    with kernel_side.listen(own) as server:
        port = server.getsockname()[1]

    def prepare(peer):
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        peer.bind((own, port))

    def connect(line):
        # The kernel may not have heard yet that its own end has arrived.
        for _ in range(100):
            try:
                return kernel_side.connect(address, line, prepare=prepare)
            except OSError as error:
                if error.errno != errno.EADDRNOTAVAIL:
                    raise
                time.sleep(0.01)
        raise Wrong("the kernel does not give the port back")

    for round_number in range(10):
        name = f"again-{family}-{round_number}"
        with connect(f"{name} source 3 5000") as peer:
            kernel_side.take(peer, kernel_side.pattern(3, 5000))
        one.expect_end(name)


# --- at the same time

def both_end_at_once(one, family, address, _own):
    name = f"meet-{family}"
    with kernel_side.connect(address, f"{name} meet") as peer:
        time.sleep(1)
        one.say("meet")
        peer.shutdown(socket.SHUT_WR)
        expect(peer.recv(1) == b"", "data at the end")
    one.expect_end(name)


def both_open_at_once(one, family, address, own):
    name = f"open-{family}"
    ports = {"v4": (40_001, 40_002), "v6": (40_003, 40_004)}[family]
    peer = socket.socket(kernel_side.family_of(own), socket.SOCK_STREAM)
    peer.settimeout(10)
    peer.bind((own, ports[0]))
    caller = threading.Thread(target=peer.connect, args=((address, ports[1]),))
    caller.start()
    one.call(own, ports[0], f"{name} source 5 100000", local_port=ports[1])
    caller.join()
    with peer:
        kernel_side.take(peer, kernel_side.pattern(5, 100_000))
    one.expect_end(name)


def crossed(path):
    """What should have crossed on the line and did not: SYNs and FINs of one connection within the
    time of one way."""
    wrong = []
    for what in ("syn", "fin"):
        where = f"tcp.flags.{what}==1" + (" && tcp.port==40001 or tcp.flags.syn==1 && "
                                          "tcp.port==40003" if what == "syn" else "")
        times = {}
        for line in traces.fields(path, "tcp.stream", "frame.packet_flags_direction",
                                  "frame.time_relative", where=where):
            stream, direction, when = line.split("\t")
            times.setdefault(stream, {}).setdefault(direction, float(when))
        apart = [abs(a - b) for a, b in (pair.values() for pair in times.values()
                                         if len(pair) == 2)]
        # Whoever answers has had the other's for a while: that is a whole way there and back later.
        count = len([seconds for seconds in apart if seconds < 1.9 * LINE_MS / 1000])
        if count < 2:
            wrong.append(f"only {count} pairs of {what.upper()}s have crossed: {apart}")
    return wrong


# --- windows that are closed for long

def the_peer_reads_nothing(one, family, address, _own):
    name = f"unread-{family}"

    def prepare(peer):
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)

    with kernel_side.connect(address, f"{name} source 11 1000000", prepare=prepare) as peer:
        time.sleep(3)
        kernel_side.take(peer, kernel_side.pattern(11, 1_000_000))
    one.expect_end(name)


def we_read_nothing(one, family, address, _own):
    name = f"unheard-{family}"
    with kernel_side.connect(address, f"{name} slow 3000 12 1000000") as peer:
        kernel_side.give(peer, kernel_side.pattern(12, 1_000_000))
    one.expect_end(name)


# --- silence

def a_silent_connection_lives(one, family, address, _own):
    """We ask the peer and it asks us."""
    name = f"silent-{family}"

    def prepare(peer):
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1),
                              (socket.TCP_KEEPCNT, 2)):
            peer.setsockopt(socket.IPPROTO_TCP, option, value)

    with kernel_side.connect(address, f"{name} echo", prepare=prepare) as peer:
        time.sleep(4)
        kernel_side.echo(peer, b"still there")
    one.expect_end(name)


def a_peer_that_vanishes_is_noticed(one, family, address, _own):
    name = f"vanished-{family}"
    peer = kernel_side.connect(address, f"{name} hold")
    time.sleep(5)
    one.say("cut")
    one.expect_end(name, "broken", 10)
    peer.close()


# --- paths that are narrower than the device

def through_a_narrow_path(one):
    data = kernel_side.pattern(13, 200_000)
    with kernel_side.connect(V4, "narrow-out source 13 200000") as peer:
        kernel_side.take(peer, data)
    one.expect_end("narrow-out")


def from_a_narrow_path(one):
    """Once the kernel knows, it tells us to send no more than fits: this comes second."""
    with kernel_side.connect(V4, "narrow-in sink 13 200000") as peer:
        kernel_side.give(peer, kernel_side.pattern(13, 200_000))
    one.expect_end("narrow-in")


def telling(*stories, afterwards=None):
    def work(one):
        works = {}
        for story in stories:
            works.update(for_both(story)(one))
        return stack.run_together(works) + (afterwards(one) if afterwards else [])
    return work


def expect_counts(*names):
    """Some things must have happened, or the story told nothing."""
    def check(one):
        one.stop()
        return [f"no {name}" for name in names if not one.counts.get(name)]
    return check


def all_of(seed):
    line = {"link": 1, "delay_us": LINE_MS * 1000, "seed": seed}
    narrow = {"link": 1, "mtu": 1000, "delay_us": 200, "seed": seed}
    yield ("how it ends", Place(), {}, telling(
        the_peer_resets, we_reset, nobody_listens, the_peer_ends_first, urgent_data_is_data,
        the_same_port_again, afterwards=expect_counts("resets_in", "resets_out")))
    yield ("at the same time", Place(), line, telling(
        both_end_at_once, both_open_at_once,
        afterwards=lambda one: (one.stop(), crossed(one.capture))[1]))
    yield ("closed windows", Place(), {"receive_buffer": 65_536}, telling(
        the_peer_reads_nothing, we_read_nothing, afterwards=expect_counts("window_probes")))
    yield ("silence", Place(), {"link": 1, "keepalive_ms": 700, "seed": seed}, telling(
        a_silent_connection_lives, a_peer_that_vanishes_is_noticed,
        afterwards=expect_counts("keepalive_probes", "keepalive_failures")))
    yield ("a narrow path that says so", Place(), narrow, lambda one: [
        *stack.run_together({"out": lambda: through_a_narrow_path(one)}),
        *stack.run_together({"in": lambda: from_a_narrow_path(one)}),
        *expect_counts("path_mtu_lowered")(one)])
    # The kernel's own way out of it takes it a quarter of a minute.
    yield ("a narrow path that swallows", Place(), {**narrow, "tells_mtu": 0}, lambda one:
           stack.run_together({"out": lambda: through_a_narrow_path(one)}))
