"""The kernel's side of the talks (talk.h): plain sockets of Python, in the namespace."""
import socket
import threading

PATTERN_BYTES = 65521
OUR_PORT = 5001
SECONDS_MAX = 60
V4, V6 = "10.79.0.1", "fd79::1"           # of our stack
KERNEL_V4, KERNEL_V6 = "10.79.0.2", "fd79::2"


class Wrong(Exception):
    """What was seen is not what was promised."""


def expect(good, what):
    if not good:
        raise Wrong(what)


def pattern(seed, count):
    """tests/peer/talk.cc makes the same."""
    block = bytearray(PATTERN_BYTES)
    state = seed
    for i in range(PATTERN_BYTES):
        state = (state * 1664525 + 1013904223) & 0xffffffff
        block[i] = state >> 24
    return (bytes(block) * (count // PATTERN_BYTES + 1))[:count]


def expect_bytes(found, wanted):
    if found == wanted:
        return
    at = next((i for i, pair in enumerate(zip(found, wanted)) if pair[0] != pair[1]),
              min(len(found), len(wanted)))
    raise Wrong(f"{len(found)} bytes instead of {len(wanted)}, the first wrong one is {at}")


def read_all(peer):
    parts = []
    while True:
        part = peer.recv(1 << 16)
        if not part:
            return b"".join(parts)
        parts.append(part)


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def connect(address, line, port=OUR_PORT, prepare=None):
    """A connection to our stack, with the talk's line said."""
    peer = socket.socket(family_of(address), socket.SOCK_STREAM)
    peer.settimeout(SECONDS_MAX)
    if prepare is not None:
        prepare(peer)
    peer.connect((address, port))
    if line:
        peer.sendall(line.encode() + b"\n")
    return peer


def listen(address, prepare=None):
    server = socket.socket(family_of(address), socket.SOCK_STREAM)
    server.settimeout(SECONDS_MAX)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if prepare is not None:
        prepare(server)
    server.bind((address, 0))
    server.listen(8)
    return server


def called_by(stack, address, line, prepare=None):
    """A connection that our stack made, for the talk of this line."""
    with listen(address, prepare) as server:
        stack.call(address, server.getsockname()[1], line)
        peer, _ = server.accept()
    peer.settimeout(SECONDS_MAX)
    return peer


# Each takes an open connection; how it was opened is another matter.

def give(peer, data):
    """We send all; our stack, as a sink, says whether it was right."""
    peer.sendall(data)
    peer.shutdown(socket.SHUT_WR)
    verdict = read_all(peer).decode()
    expect(verdict == "ok", f"the stack's verdict: {verdict!r}")


def take(peer, data):
    """Our stack sends all and ends; we say whether it was right while only our half is open."""
    expect_bytes(read_all(peer), data)
    peer.sendall(b"ok")


def echo(peer, data):
    writer = threading.Thread(target=lambda: (peer.sendall(data), peer.shutdown(socket.SHUT_WR)))
    writer.start()
    try:
        expect_bytes(read_all(peer), data)
    finally:
        writer.join()
