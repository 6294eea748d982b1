"""The uses of tools/examples: each is one command that checks its own result."""
import os

import toolchains
from harness import ROOT, Case, Skip, expect, run_client
from wire import Connection

ADD_PARTITIONS_TO_TXN = 24


def example(name, *arguments, transactions=False):
    def run(context):
        with Connection(context.broker.port) as peer:
            if transactions and ADD_PARTITIONS_TO_TXN not in peer.api_versions():
                raise Skip("the broker has no transactions")
        program = os.path.join(ROOT, "tools", "examples", name)
        command = [*toolchains.python_program(program), context.broker.address, *arguments]
        said = run_client(command, name).stdout.decode().strip().splitlines()
        expect(said and said[-1].startswith("OK"), f"{name} ended without OK: {said[-5:]}")
        context.note(said[-1])
    return run


CASES = [Case("log_collection", example("log_collection.py", "--check")),
         Case("ledger", example("ledger.py", "--seconds", "10", "--transfers", "1000",
                                transactions=True)),
         Case("relay", example("relay.py", transactions=True))]
