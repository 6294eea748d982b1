#!/usr/bin/env python3
"""Each header of the embedding API compiles alone, with nothing but include/ in reach."""
import os
import subprocess
import sys

from _common import files_below, main, self_test


def check(root):
    messages = []
    for path in files_below(root, ["include"], (".h",)):
        name = os.path.relpath(path, "include")
        compiled = subprocess.run(
            [os.environ.get("CXX", "g++"), "-std=c++20", "-Wall", "-Wextra", "-Wpedantic",
             "-Werror", "-fsyntax-only", "-x", "c++", "-I", os.path.join(root, "include"), "-"],
            input=f'#include "{name}"\n#include "{name}"\n', capture_output=True, text=True)
        if compiled.returncode != 0:
            messages.append(f"{path} does not compile alone:\n{compiled.stderr}")
    return messages


def planted():
    clean = {"include/tailrace/a.h": "#pragma once\n#include <string>\nstd::string a();\n"}
    return self_test(check, clean, {
        "a missing include": ({"include/tailrace/b.h": "#pragma once\nstd::string b();\n"},
                              "b.h does not compile alone"),
        "an include of src": ({"include/tailrace/b.h": '#pragma once\n#include "base/a.h"\n'},
                              "b.h does not compile alone"),
    })


if __name__ == "__main__":
    sys.exit(main(check, planted))
