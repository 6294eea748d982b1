"""The matrix: knobs of the kernel and of our stack, over networks good and bad. In each cell nine
talks go on at once: both families, both ways to open, both directions, and an echo."""
import random

import kernel_side
from kernel_side import KERNEL_V4, KERNEL_V6, V4, V6
from namespace import Place
from stack import run_together

TCP = "net.ipv4.tcp_"
SMALL_BUFFERS = {f"{TCP}rmem": "4096 8192 16384", f"{TCP}wmem": "4096 8192 16384"}

PLAIN = "as it is"
# A cookie is in the first segment of a connection alone. If that gets lost the kernel never sends
# its own SYN again, and a later one that overtakes it is answered with a reset: RFC 4987, 3.6.
COOKIES = "cookies of the kernel"

# name: (the kernel's side, our side)
KNOBS = {
    PLAIN: (Place, {}),
    "no timestamps": (lambda: Place({f"{TCP}timestamps": 0}), {}),
    "no SACK": (lambda: Place({f"{TCP}sack": 0}), {}),
    "no DSACK": (lambda: Place({f"{TCP}dsack": 0}), {}),
    "no window scaling": (lambda: Place({f"{TCP}window_scaling": 0}), {}),
    "no options": (lambda: Place({f"{TCP}timestamps": 0, f"{TCP}sack": 0,
                                  f"{TCP}window_scaling": 0}), {}),
    "ECN": (lambda: Place({f"{TCP}ecn": 1}), {}),
    "no ECN": (lambda: Place({f"{TCP}ecn": 0}), {}),
    "small buffers": (lambda: Place(SMALL_BUFFERS), {}),
    "shrinking windows": (lambda: Place({**SMALL_BUFFERS, f"{TCP}shrink_window": 1}), {}),
    "MSS 536": (lambda: Place(route="advmss 536"), {}),
    "MTU locked": (lambda: Place(route="mtu lock 1000", route6="mtu lock 1280"), {}),
    "MTU 9000": (lambda: Place(mtu=9000), {}),
    "MTU 1280": (lambda: Place(mtu=1280), {}),
    COOKIES: (lambda: Place({f"{TCP}syncookies": 2}), {}),
    "quick ACKs": (lambda: Place(route="quickack 1"), {}),
    "our small buffers": (Place, {"receive_buffer": 16384}),
    "our no timestamps": (Place, {"timestamps": 0}),
    "our no SACK": (Place, {"sack": 0}),
    "our no options": (Place, {"timestamps": 0, "sack": 0, "scale": 0, "ecn": 0}),
}

WIRE = "a wire"
# Chances are of 10,000 frames.
NETWORKS = {
    WIRE: {"link": 1, "delay_us": 100},
    "loss": {"link": 1, "delay_us": 250, "loss": 100},
    "heavy loss": {"link": 1, "delay_us": 1000, "loss": 500},
    "disorder": {"link": 1, "delay_us": 500, "jitter_us": 500, "reordering": 500,
                 "reorder_us": 3000, "duplication": 200},
    "spoilt bits": {"link": 1, "delay_us": 250, "corruption": 200},
    "everything": {"link": 1, "delay_us": 2000, "jitter_us": 1000, "loss": 150, "reordering": 200,
                   "reorder_us": 4000, "duplication": 100, "corruption": 50},
    "a slow line": {"link": 1, "delay_us": 5000, "rate": 2_500_000, "queue_bytes": 100_000,
                    "mark_above": 30_000},
}
CLEAN_BYTES = 700_000
BAD_BYTES = 150_000
LOSSLESS = {*KNOBS, *(f"{knob} over {WIRE}" for knob in KNOBS)}


def talks(one, seed, count):
    """{name: function} of the nine."""
    works = {}

    def add(name, line, opened, talk, data):
        def work():
            with opened(f"{name} {line}") as peer:
                talk(peer, data)
            one.expect_end(name)
        works[name] = work

    for family, address, own in (("v4", V4, KERNEL_V4), ("v6", V6, KERNEL_V6)):
        for how, opened in (
                ("accepted", lambda line, a=address: kernel_side.connect(a, line)),
                ("connected", lambda line, a=own: kernel_side.called_by(one, a, line))):
            seed = seed % 1_000_000 + 1
            data = kernel_side.pattern(seed, count)
            add(f"{family}-{how}-in", f"sink {seed} {count}", opened, kernel_side.give, data)
            add(f"{family}-{how}-out", f"source {seed} {count}", opened, kernel_side.take, data)
    add("v4-echo", "echo", lambda line: kernel_side.connect(V4, line), kernel_side.echo, data)
    return works


def cell(seed, count):
    return lambda one: run_together(talks(one, seed, count))


def all_of(options):
    """(name, place, settings of the stack, work); those over bad networks in an order that the
    seed draws."""
    dice = random.Random(options.seed)
    for name, (place, ours) in KNOBS.items():
        yield name, place(), ours, cell(dice.randrange(1 << 20), CLEAN_BYTES)
    pairs = [(knob, net) for knob in KNOBS for net in NETWORKS
             if knob != COOKIES or net == WIRE]
    for _ in range(options.seeds if options.long else 1):
        dice.shuffle(pairs)
        # One of each network first.
        pairs.sort(key=lambda pair, seen={}: seen.setdefault(pair[1], []).append(0) or
                   len(seen[pair[1]]))
        for knob, net in pairs:
            place, ours = KNOBS[knob]
            seed = dice.randrange(1, 1 << 31)
            here = place()
            yield (f"{knob} over {net}", here,
                   {**ours, **NETWORKS[net], "mtu": here.mtu, "seed": seed},
                   cell(seed, BAD_BYTES))
