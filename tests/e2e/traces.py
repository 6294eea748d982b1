"""What tshark reads from a capture of ours: its packets, its streams, and what is wrong there."""
import dataclasses
import os
import subprocess
import sys

READING = ["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE",
           # What TCP carries is data: by the ports it would be taken for protocols that it is not.
           "-d", "tcp.port==1-65535,data"]
SEVERITY_ERROR = 0x800000      # of _ws.expert.severity
CHECKSUM_BAD, CHECKSUM_GOOD = "0", "1"   # of the checksums' status
OUTBOUND = "0x00000002"        # of frame.packet_flags_direction
FIELDS = ["frame.number", "frame.packet_flags_direction", "_ws.expert.severity",
          "_ws.expert.message", "ip.checksum.status", "tcp.checksum.status",
          "icmpv6.checksum.status", "icmp.checksum.status",
          "tcp.stream", "tcp.flags", "tcp.seq_raw", "tcp.len", "tcp.ack_raw",
          "tcp.analysis.lost_segment",
          "tcp.analysis.retransmission", "tcp.analysis.fast_retransmission",
          "tcp.analysis.spurious_retransmission", "tcp.analysis.keep_alive",
          "tcp.analysis.zero_window_probe"]


FIN, SYN, RST, ACK = 1, 2, 4, 16


@dataclasses.dataclass
class Found:
    packets: int
    sent_again: int   # by us; probes are none
    errors: list      # texts


def tshark(path, *arguments):
    done = subprocess.run(["tshark", "-n", "-r", path, *READING, *arguments], capture_output=True,
                          text=True, errors="replace", timeout=120, check=False)
    # It says "cut short" of a file that does not end as it should.
    told = [line for line in done.stderr.splitlines() if "Running as user" not in line and line]
    if done.returncode != 0 or told:
        raise RuntimeError(f"tshark {path}: exit code {done.returncode}: {told}")
    return done.stdout.splitlines()


def fields(path, *names, where=None):
    """One line per packet, with tabs between the fields."""
    wanted = [word for name in names for word in ("-e", name)]
    return tshark(path, *(["-Y", where] if where else []), "-T", "fields", *wanted)


class Sent:
    """What one side of a stream was seen to send: its numbers from the SYN's on, without a gap up
    to `end`, and beyond it `pieces` {begin: end}."""

    def __init__(self, first):
        self.first = first
        self.end = 0
        self.pieces = {}

    def place(self, number):
        """Of a sequence number, which goes around; just before the first one is -1."""
        return (number - self.first + (1 << 31)) % (1 << 32) - (1 << 31)

    def add(self, number, count):
        begin = self.place(number)
        self.pieces[begin] = max(self.pieces.get(begin, 0), begin + count)
        for at in sorted(self.pieces):
            if at > self.end:
                break
            self.end = max(self.end, self.pieces.pop(at))


class Acknowledged:
    """Whether ACKs are of what came. (tshark's own judgement forgets what it saw when a copy of a
    SYN comes late.)"""

    def __init__(self):
        self.sent = {}   # by (stream, direction)

    def is_wrong(self, packet):
        """Takes the packets in turn. What is no TCP, or spoilt, tells nothing, nor does TCP that
        ICMP quotes: that has no checksum to look at."""
        if packet["tcp.checksum.status"] != CHECKSUM_GOOD:
            return False
        ours = packet["frame.packet_flags_direction"] == OUTBOUND
        stream = packet["tcp.stream"]
        flags = int(packet["tcp.flags"], 16)
        number = int(packet["tcp.seq_raw"])
        if flags & SYN and (stream, ours) not in self.sent:
            self.sent[stream, ours] = Sent(number)
        if (stream, ours) in self.sent and not flags & RST:
            count = int(packet["tcp.len"]) + bool(flags & SYN) + bool(flags & FIN)
            self.sent[stream, ours].add(number, count)
        other = self.sent.get((stream, not ours))
        if other is None or flags & RST or not flags & ACK:
            return False
        return other.place(int(packet["tcp.ack_raw"])) > other.end


def errors_of(packet, acknowledged):
    """What is wrong with one packet, of its fields by name.

    The capture is made at our end, so that it has all that we sent and all that we heard. Whatever
    the network did in between, then:
      - what we send is well-formed, has right checksums, and is no error to tshark's expert;
      - we leave out none of our own numbers ("lost segment") and acknowledge nothing that did not
        come whole; nor does a peer acknowledge what we never sent.
    What a bad network makes is no error: retransmissions, doubles, gaps in what comes."""
    found = []
    ours = packet["frame.packet_flags_direction"] == OUTBOUND
    if ours:
        severities = [int(word) for word in packet["_ws.expert.severity"].split(",") if word]
        if any(severity >= SEVERITY_ERROR for severity in severities):
            found.append(packet["_ws.expert.message"])
        found += [f"bad {name}" for name in packet
                  if name.endswith("checksum.status") and CHECKSUM_BAD in packet[name].split(",")]
        if packet["tcp.analysis.lost_segment"]:
            found.append("a hole in our own numbers")
    if acknowledged.is_wrong(packet):
        found.append("ACK of what we never got" if ours else "ACK of what we never sent")
    return found


def look(path):
    lines = fields(path, *FIELDS)
    found = Found(len(lines), 0, [])
    acknowledged = Acknowledged()
    for line in lines:
        packet = dict(zip(FIELDS, line.split("\t")))
        found.errors += [f"packet {packet['frame.number']}: {text}"
                         for text in errors_of(packet, acknowledged)]
        is_probe = packet["tcp.analysis.keep_alive"] or packet["tcp.analysis.zero_window_probe"]
        again = any(packet[f"tcp.analysis.{kind}retransmission"]
                    for kind in ("", "fast_", "spurious_"))
        if packet["frame.packet_flags_direction"] == OUTBOUND and again and not is_probe:
            found.sent_again += 1
    return found


def streams(path):
    """The payload of each TCP stream in each direction, put together by tshark."""
    numbers = {int(number) for number in fields(path, "tcp.stream", where="tcp")}
    found = []
    for number in sorted(numbers):
        lines = tshark(path, "-q", "-z", f"follow,tcp,raw,{number}")
        # Of the second node lines begin with a tab.
        body = [line for line in lines if line and all(c in "0123456789abcdef\t" for c in line)]
        found.append(b"".join(bytes.fromhex(line) for line in body if not line.startswith("\t")))
        found.append(b"".join(bytes.fromhex(line[1:]) for line in body if line.startswith("\t")))
    return found


if __name__ == "__main__":
    for name in sys.argv[1:]:
        result = look(name)
        print(f"{os.path.basename(name)}: {result.packets} packets, {result.sent_again} sent "
              f"again, {len(result.errors)} wrong")
        print("\n".join(result.errors))
