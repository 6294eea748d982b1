"""The uses of tools/examples: each is one command that checks its own result."""
import os

import toolchains
from harness import ROOT, Case, expect, run_client


def path_of(name):
    return os.path.join(ROOT, "tools", "examples", name)


def python(name, *arguments, **options):
    return lambda address: toolchains.python_program(path_of(name), address, *arguments, **options)


def orders(*arguments):
    """A module of Go; the program that its `go run` would make."""
    return lambda address: [*toolchains.go_program("go-orders", path_of("orders"), "."), address,
                            *arguments]


def example(command):
    """`command`: of the broker's address."""
    def run(context):
        done = run_client(command(context.broker.address), "the example", 900)
        said = done.stdout.decode().strip().splitlines()
        expect(said and said[-1].startswith("OK"), f"ended without OK: {said[-5:]}")
        context.note(said[-1])
    return run


CASES = [Case("log_collection", example(python("log_collection.py", "--check"))),
         Case("ledger", example(python("ledger.py", "--seconds", "10", "--transfers", "1000"))),
         Case("relay", example(python("relay.py"))),
         Case("orders", example(orders()), seconds_max=1800),
         # Of this protocol a session lasts as long as the broker wants: it waits out 45 s.
         Case("orders_consumer_protocol", example(orders("-protocol", "consumer")),
              seconds_max=1800, is_long=True),
         Case("data_lake", example(python("data_lake.py", spark=True)), seconds_max=1800,
              is_long=True)]
