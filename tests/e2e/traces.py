"""What tshark reads from a capture: its packets, its streams, and what its expert finds wrong."""
import dataclasses
import os
import subprocess
import sys

# On the wire our side must be right, whatever the peer and the network do:
#   error             everything of that severity: malformed packets, wrong lengths, checksums
#   checksums         wrong ones (tshark looks only when it is asked to)
#   unseen segments   an ACK, of either side, of what the capture has not got: without a loss in the
#                     capture itself there is no such thing
# What a bad network makes is none of it: retransmissions, duplicate ACKs, gaps, zero windows,
# resets (severity warn, note or chat).
CHECKS = ["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE",
          # What TCP carries is data: by the ports it would be taken for protocols that it is not.
          "-d", "tcp.port==1-65535,data"]
WRONG = ('_ws.expert.severity == "Error" || _ws.malformed || tcp.checksum.status == "Bad" || '
         'ip.checksum.status == "Bad" || tcp.analysis.ack_lost_segment')


@dataclasses.dataclass
class Found:
    packets: int
    errors: list      # lines of tshark


def tshark(path, *arguments):
    done = subprocess.run(["tshark", "-n", "-r", path, *CHECKS, *arguments], capture_output=True,
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


def look(path, wrong=WRONG):
    return Found(len(fields(path, "frame.number")), tshark(path, "-Y", wrong))


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
        print(f"{os.path.basename(name)}: {result.packets} packets, {len(result.errors)} wrong")
        print("\n".join(result.errors))
