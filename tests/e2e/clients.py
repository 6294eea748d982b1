"""The client programs of clients/<language>/: each creates, writes, reads, seeks, configures and
deletes for itself, compares byte by byte, prints its version and OK, and ends with 0."""
import os
import subprocess

import toolchains
from harness import Case, expect, run_client


def python_environment(packages):
    return {**os.environ, "PYTHONPATH": packages}


def python_program(*arguments):
    """A Python client that runs beside the test."""
    python, packages = toolchains.python_ready()
    return subprocess.Popen([python, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            env=python_environment(packages), text=True, start_new_session=True)


def finish(context, command, what, after=(), **options):
    text = run_client([*command, context.broker.address, *after], what, **options).stdout.decode()
    lines = text.strip().splitlines()
    expect(lines and lines[-1] == "OK", f"{what} ended without OK: {text[-2000:]}")
    context.note(lines[0])


def python_client(name):
    def run(context):
        python, packages = toolchains.python_ready()
        program = toolchains.client("python", name + ".py")
        finish(context, [python, program], name, env=python_environment(packages))
    return run


def java_client(context):
    java, classes = toolchains.java_ready()
    finish(context, [java, "-Xmx256m", "-cp", classes, "Client"], "the Java client")


def go_client(context):
    finish(context, toolchains.go_ready(), "the Go client")


def c_client(context):
    finish(context, toolchains.c_ready(), "the C client")


CASES = [Case("confluent_kafka", python_client("confluent_client"), seconds_max=1500),
         Case("kafka_python", python_client("kafka_python_client"), seconds_max=1500),
         Case("java", java_client, seconds_max=1500),
         Case("go", go_client, seconds_max=1500),
         Case("c", c_client, seconds_max=1500)]
