#!/usr/bin/env python3
"""Logic touches no clock, socket, file, thread or random device: the object files say so.

Looks at the undefined symbols of every object file of the logic folders in a finished build
(default build/release; another with --build DIR).
"""
import glob
import os
import re
import subprocess
import sys
import tempfile

from _common import ROOT

LOGIC = ["base", "record", "kafka", "net", "log", "raft", "bus", "broker", "control"]
# Replacement -> mangled names.
FORBIDDEN = {
    "a clock; time comes in as Now":
        r"clock_gettime|gettimeofday|time|timespec_get|clock|localtime(_r)?|gmtime(_r)?|"
        r"_ZNSt6chrono.*clock3nowEv|nanosleep|usleep|sleep",
    "a socket; bytes come in as StreamEvent":
        r"socket|bind|listen|accept4?|connect|send(to|msg)?|recv(from|msg)?|getaddrinfo|poll|"
        r"epoll_.*|select",
    "a file; ask for a DiskOp":
        r"open(at)?(64)?|creat(64)?|f(d)?open(64)?|p?(read|write)v?(64)?|f(data)?sync|unlink|"
        r"rename|mkdir|ftruncate(64)?|fread|mmap(64)?|io_uring_.*|_ZNSt10filesystem.*|"
        r"_ZNSt.*basic_.*(fstream|filebuf).*",
    "a thread; cores talk through mailboxes":
        r"pthread_create|pthread_(mutex|cond|rwlock)_.*|_ZNSt6thread.*|fork|"
        r"_ZNSt18condition_variable.*",
    "a random device; take a Prng":
        r"s?rand(om)?(_r)?|drand48|getrandom|getentropy|arc4random.*|_ZNSt13random_device.*",
    "the environment; the profile says it": r"getenv|secure_getenv|system",
}
PATTERNS = {what: re.compile(f"^(?:{names})$") for what, names in FORBIDDEN.items()}


def undefined_symbols(path):
    listed = subprocess.run(["nm", "-u", "--format=posix", path], capture_output=True, text=True,
                            check=True)
    return [line.split()[0].split("@")[0] for line in listed.stdout.splitlines() if line.strip()]


def check_object(path, shown):
    messages = []
    for symbol in undefined_symbols(path):
        for what, pattern in PATTERNS.items():
            if pattern.match(symbol):
                messages.append(f"{shown}: uses {symbol}: {what}")
    return messages


def check(build):
    messages = []
    count = 0
    for folder in LOGIC:
        objects = glob.glob(os.path.join(build, "src", folder, "**", "*.o"), recursive=True)
        for path in sorted(objects):
            messages += check_object(path, os.path.relpath(path, build))
        count += len(objects)
    if count == 0:
        messages.append(f"{build}: no object files; build it first")
    return messages


PLANTED = {
    "clock": "#include <chrono>\nlong f() { return std::chrono::steady_clock::now()"
             ".time_since_epoch().count(); }\n",
    "socket": "#include <sys/socket.h>\nint f() { return socket(AF_INET, SOCK_STREAM, 0); }\n",
    "file": "#include <fstream>\nvoid f() { std::ifstream s(\"x\"); }\n",
    "thread": "#include <thread>\nvoid f() { std::thread([] {}).join(); }\n",
    "random": "#include <random>\nunsigned f() { return std::random_device{}(); }\n",
}


def planted():
    good = True
    sources = {"nothing": "int f(int a) { return a + 1; }\n", **PLANTED}
    for what, text in sources.items():
        with tempfile.TemporaryDirectory(prefix="tailrace-tidy-") as build:
            folder = os.path.join(build, "src", "log", "liblog.a.p")
            os.makedirs(folder)
            source = os.path.join(folder, "a.cc")
            with open(source, "w", encoding="utf-8") as file:
                file.write(text)
            subprocess.run([os.environ.get("CXX", "g++"), "-std=c++20", "-O1", "-c", source, "-o",
                            source[:-2] + "o"], check=True)
            messages = check(build)
            found = [m for m in messages if FORBIDDEN_WORD[what] in m] if what in PLANTED else []
            if bool(messages) != (what in PLANTED) or (what in PLANTED and not found):
                print(f"planted {what}: got {messages}")
                good = False
    return good


FORBIDDEN_WORD = {"clock": "a clock", "socket": "a socket", "file": "a file",
                  "thread": "a thread", "random": "a random device"}


def main():
    if "--self-test" in sys.argv:
        return 0 if planted() else 1
    build = os.path.join(ROOT, "build", "release")
    if "--build" in sys.argv:
        build = sys.argv[sys.argv.index("--build") + 1]
    messages = check(build)
    for message in messages:
        print(message)
    return 1 if messages else 0


if __name__ == "__main__":
    sys.exit(main())
