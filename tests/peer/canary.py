"""What must be found wrong: a good capture with one thing spoilt, for each that is looked for. A
judge that sees nothing would let everything pass."""
import struct

import traces

PACKET = 6
OUTBOUND = 2
HEADERS = 28      # of a packet block, before its bytes
TCP_AT = 14 + 20  # in a frame of IPv4


def blocks_of(path):
    with open(path, "rb") as file:
        data = file.read()
    blocks, at = [], 0
    while at < len(data):
        size = struct.unpack_from("<I", data, at + 4)[0]
        blocks.append(bytearray(data[at:at + size]))
        at += size
    return blocks


def is_data(block, outbound):
    """A packet of IPv4 with a payload, in this direction."""
    kind, _, _, _, _, kept = struct.unpack_from("<6I", block)
    if kind != PACKET or kept < TCP_AT + 32 + 100 or block[HEADERS + 12:HEADERS + 14] != b"\x08\0":
        return False
    direction = struct.unpack_from("<I", block, len(block) - 12)[0]
    return (direction == OUTBOUND) == outbound


def with_wrong_bit(blocks):
    chosen = [block for block in blocks if is_data(block, True)][1]
    chosen[HEADERS + TCP_AT + 40] ^= 1
    return blocks


def without_one(outbound):
    def spoil(blocks):
        chosen = [i for i, block in enumerate(blocks) if is_data(block, outbound)][2]
        del blocks[chosen]
        return blocks
    return spoil


SPOILT = [("a wrong bit", with_wrong_bit, "bad tcp.checksum.status"),
          ("a segment that we left out", without_one(True), "a hole in our own numbers"),
          ("a segment that we never got", without_one(False), "ACK of what we never got")]


def unseen(path):
    """The faults that were not found."""
    missed = []
    for name, spoil, wanted in SPOILT:
        copy = path + ".spoilt"
        with open(copy, "wb") as file:
            file.write(b"".join(spoil(blocks_of(path))))
        if not any(wanted in error for error in traces.look(copy).errors):
            missed.append(f"tshark was not heard to tell of {name}")
    return missed
