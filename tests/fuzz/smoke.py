#!/usr/bin/env python3
"""Runs a fuzz target for a moment, on its seeds and changes of them.

    smoke.py TARGET libfuzzer|standalone RUNS [--must-crash TEXT]

With --must-crash the target must end badly and say TEXT: a fuzzer that finds nothing is no news.
"""

import os
import subprocess
import sys
import tempfile


def main():
    target, kind, runs = os.path.abspath(sys.argv[1]), sys.argv[2], sys.argv[3]
    with tempfile.TemporaryDirectory(prefix='fuzz-') as folder:
        corpus = os.path.join(folder, 'corpus')
        os.mkdir(corpus)
        if kind == 'libfuzzer':
            command = [target, f'-runs={runs}', '-seed=1', '-print_final_stats=1', corpus]
        else:
            command = [target, '--runs', runs, '--seed', '1']
        done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
        told = (done.stdout + done.stderr).decode(errors='replace')
    if '--must-crash' in sys.argv:
        text = sys.argv[sys.argv.index('--must-crash') + 1]
        if done.returncode == 0 or text not in told:
            sys.exit(f'the planted fault was not found in {runs} runs:\n{told[-3000:]}')
        return
    print(told[-3000:])
    if done.returncode != 0:
        sys.exit(f'{" ".join(command)}: ended with {done.returncode}')


main()
