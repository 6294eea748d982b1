#!/usr/bin/env python3
"""The benches: `tools/dev bench [SUITE] [OPTIONS]`.

Each prints figures and never fails because of one. bench/README.md says what they mean."""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SUITES = {
    "micro": ["micro/run.py"],
    "durable": ["io/run.py", "durable"],
    "commit": ["io/run.py", "commit"],
    "load": ["load/run.py"],
    "account": ["load/account.py"],
    "groups": ["groups/run.py"],
    "restart": ["restart/run.py"],
    "compaction": ["compaction/run.py"],
    "network": ["network/run.py"],
    "ring": ["network/ring.py"],
    "loss": ["network/loss.py"],
}


def main():
    name = sys.argv[1] if len(sys.argv) > 1 else "micro"
    if name != "all" and name not in SUITES:
        print(f"bench: no suite {name}; there are: {' '.join(SUITES)} all", file=sys.stderr)
        return 2
    code = 0
    for suite in SUITES if name == "all" else [name]:
        script, *fixed = SUITES[suite]
        print(f"== {suite}", flush=True)
        command = [sys.executable, os.path.join(HERE, script), *fixed, *sys.argv[2:]]
        code |= subprocess.run(command).returncode
    return code


if __name__ == "__main__":
    sys.exit(main())
