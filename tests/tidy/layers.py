#!/usr/bin/env python3
"""Every #include follows the layer table of README.md, and the table names every folder.

The table is read from README.md itself, so that what a reader is told and what is checked are one
thing. A row: | `folder` ... | may include | libraries | must not |.
"""
import os
import re
import sys

from _common import CPP, files_below, main, read, self_test

# The headers by which a library named in the table is recognised.
LIBRARY_HEADERS = {
    "tl::expected": r"tl/", "fmt": r"fmt/", "ISA-L": r"isa-l|crc\.h$",
    "lz4": r"lz4", "zstd": r"zstd", "snappy": r"snappy", "zlib": r"zlib\.h$",
    "liburing": r"liburing|linux/io_uring", "DPDK": r"rte_", "CLI11": r"CLI/",
    "toml++": r"toml\+\+/",
    "libmicrohttpd": r"microhttpd\.h$", "jemalloc": r"jemalloc/", "re2": r"re2/",
    "gtest": r"gtest/|gmock/", "benchmark": r"benchmark/", "librdkafka": r"librdkafka/",
    "POSIX": r"(sys|netinet|arpa|net|linux)/|(unistd|fcntl|poll|signal|pthread|sched|dirent|"
             r"netdb|ifaddrs|termios|spawn|getopt)\.h$",
    "intrinsics": r"([a-z]mmintrin|x86intrin)\.h$",
}
# <vector>, <cstdint>, and C's own names of the latter.
STANDARD = re.compile(r"^([a-z_0-9]+|(assert|errno|inttypes|limits|math|stddef|stdint|stdio|stdlib|"
                      r"string|time)\.h)$")
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.M)
TICKED = re.compile(r"`([^`]+)`")


class Row:
    def __init__(self, cells):
        self.may_include = set(" ".join(TICKED.findall(cells[1])).split())
        self.everything = "everything" in cells[1]
        self.libraries = set(" ".join(TICKED.findall(cells[2])).split())


def read_table(text):
    """{folder: Row}; one row may name several folders."""
    rows = {}
    inside = False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("| folder |"):
            inside = True
        elif inside and not line.startswith("|"):
            break
        elif inside and TICKED.search(cells[0]):
            for folder in " ".join(TICKED.findall(cells[0])).split():
                rows[folder] = Row(cells)
    return rows


def place_of(path):
    """Path of a file as the table counts it: below src/ without "src/"."""
    return path[4:] if path.startswith("src/") else path


def row_name(rows, place):
    """The longest row that `place` lies in."""
    names = [name for name in rows if place == name or place.startswith(name + "/")]
    return max(names, key=len, default=None)


def check_folders(root, rows):
    messages = []
    for name in rows:
        if not os.path.exists(os.path.join(root, "src", name)) and \
                not os.path.exists(os.path.join(root, name)):
            messages.append(f"README.md: the layer table names {name}, which is not there")
    for path in files_below(root, ["src", "include"], CPP):
        if row_name(rows, place_of(path)) is None:
            messages.append(f"README.md: the layer table leaves out the folder of {path}")
    return messages


def library_of(header):
    for library, pattern in LIBRARY_HEADERS.items():
        if re.match(pattern, header):
            return library
    return None


def check_include(rows, path, name, quoted, header):
    """A message, or None."""
    row = rows[name]
    if not quoted:
        library = library_of(header)
        if library is None:
            if STANDARD.match(header):
                return None
            return f"{path}: <{header}> belongs to no library the layer table knows"
        if library in row.libraries or (row.everything and not row.libraries):
            return None
        return f"{path}: {name} may not use {library} (<{header}>)"
    if header.startswith("tailrace/"):
        target = "include/tailrace"
    else:
        target = row_name(rows, header)
    if target is None:  # A neighbour in the same folder, as tests have them.
        return None
    if target == name or row.everything or target in row.may_include:
        return None
    allowed = " ".join(sorted(row.may_include)) or "nothing of ours"
    return f"{path}: {name} may not include {header}; allowed: {allowed}"


def check(root):
    rows = read_table(read(root, "README.md"))
    if not rows:
        return ["README.md: no layer table (a line starting with '| folder |')"]
    messages = check_folders(root, rows)
    for path in files_below(root, ["src", "include", "tests", "bench"], CPP):
        name = row_name(rows, place_of(path))
        if name is None:
            continue
        for bracket, header in INCLUDE.findall(read(root, path)):
            message = check_include(rows, path, name, bracket == '"', header)
            if message is not None:
                messages.append(message)
    return messages


def planted():
    table = ("| folder | may include | libraries | must not |\n| --- | --- | --- | --- |\n"
             "| `base` | the standard library | `fmt` | |\n| `log` | `base` | | |\n"
             "| `io` | `base` | `liburing` `POSIX` | |\n| `main.cc` | everything | `CLI11` | |\n")
    clean = {
        "README.md": table,
        "src/base/a.h": "#include <fmt/format.h>\n#include <vector>\n",
        "src/log/b.cc": '#include "log/b.h"\n#include "base/a.h"\n',
        "src/log/b.h": "",
        "src/io/c.cc": "#include <liburing.h>\n#include <unistd.h>\n",
        "src/main.cc": '#include <CLI/CLI.hpp>\n#include "io/c.h"\n',
    }
    return self_test(check, clean, {
        "an upward include": ({"src/base/a.h": '#include "log/b.h"\n'}, "base may not include"),
        "a sideways include": ({"src/log/b.h": '#include "io/c.h"\n'}, "log may not include"),
        "a library": ({"src/log/b.h": "#include <fmt/format.h>\n"}, "may not use fmt"),
        "a system header": ({"src/log/b.h": "#include <sys/socket.h>\n"}, "may not use POSIX"),
        "an unknown library": ({"src/log/b.h": "#include <boost/any.hpp>\n"}, "no library"),
        "a folder left out": ({"src/net/d.h": ""}, "leaves out"),
        "a folder that is gone": ({"src/io/c.cc": None}, "names io"),
    })


if __name__ == "__main__":
    sys.exit(main(check, planted))
