#!/usr/bin/env python3
"""Sizes and words: functions of at most 70 lines, lines of at most 100 columns, files of at most
800 lines, a mirrored unit test for every source file, and no left-over markers."""
import ast
import os
import re
import sys

from _common import CPP, files_below, main, read, self_test

FUNCTION_LINES_MAX = 70
LINE_COLUMNS_MAX = 100
FILE_LINES_MAX = 800
FOLDERS = ["src", "include", "tests", "bench", "tools"]
# In pieces, so that this file passes its own check.
MARKERS = re.compile("|".join([r"\bTO" r"DO\b", r"\bFIX" r"ME\b", r"\bX" r"XX\b", r"\bHA" r"CK\b",
                               r"not imple" r"mented", r"\bDIS" r"ABLED_"]))
WITHOUT_TEST = {"src/main.cc"}  # tests/e2e starts it.
CONTAINER = re.compile(r"\b(namespace|class|struct|union|enum|extern)\b")
NOISE = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|'
                   r"(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'", re.S)


def without_noise(text):
    """Comments, strings and preprocessor lines blanked; the lines stay where they were."""
    text = NOISE.sub(lambda m: "\n" * m.group().count("\n"), text)
    return re.sub(r"^[ \t]*#[^\n]*(\\\n[^\n]*)*",
                  lambda m: "\n" * m.group().count("\n"), text, flags=re.M)


def is_container(header):
    """A brace after this opens a namespace or a type, not a function's body."""
    match = CONTAINER.search(header)
    return match is not None and "(" not in header[match.end():].split(":", 1)[0]


def cpp_functions(text):
    """(first line, line count) of each outermost brace pair that is no namespace or type."""
    found = []
    open_kinds = []
    header = []
    header_line = line = 1
    for char in without_noise(text):
        if char == "\n":
            line += 1
        if char == "{":
            if "function" in open_kinds or not is_container("".join(header)):
                kind = "inner" if "function" in open_kinds else "function"
                open_kinds.append(kind)
                if kind == "function":
                    start = header_line
            else:
                open_kinds.append("container")
            header = []
        elif char == "}" and open_kinds:
            if open_kinds.pop() == "function":
                found.append((start, line - start + 1))
            header = []
        elif char == ";":
            header = []
        elif not char.isspace() or header:
            if not header:
                header_line = line
            header.append(char)
    return found


def python_functions(text):
    return [(node.lineno, node.end_lineno - node.lineno + 1) for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.FunctionDef)]


def check_file(path, text):
    messages = []
    lines = text.splitlines()
    if len(lines) > FILE_LINES_MAX:
        messages.append(f"{path}: {len(lines)} lines; at most {FILE_LINES_MAX}: "
                        "find the second idea in it")
    for number, line in enumerate(lines, 1):
        if len(line) > LINE_COLUMNS_MAX:
            messages.append(f"{path}:{number}: {len(line)} columns; at most {LINE_COLUMNS_MAX}")
        if MARKERS.search(line):
            messages.append(f"{path}:{number}: a left-over marker; do it or write an issue")
    functions = []
    if path.endswith(CPP):
        functions = cpp_functions(text)
    elif path.endswith(".py"):
        functions = python_functions(text)
    for start, count in functions:
        if count > FUNCTION_LINES_MAX:
            messages.append(f"{path}:{start}: a function of {count} lines; at most "
                            f"{FUNCTION_LINES_MAX}: move loops and arithmetic to helpers")
    return messages


def check(root):
    messages = []
    for path in files_below(root, FOLDERS, (*CPP, ".py", ".sh")) + ["tools/dev"]:
        if os.path.exists(os.path.join(root, path)):
            messages += check_file(path, read(root, path))
    for path in files_below(root, ["src"], (".cc",)):
        mirror = "tests/unit/" + path[len("src/"):-len(".cc")] + "_test.cc"
        if path not in WITHOUT_TEST and not os.path.exists(os.path.join(root, mirror)):
            messages.append(f"{path}: no unit test; write {mirror}")
    return messages


def planted():
    body = "  f();\n"
    clean = {
        "src/a/b.cc": "// A long story.\nnamespace a {\nclass B : C {\n int d_{1};\n" +
                      "  void f() {\n" + body * 68 + "  }\n};\n" + "int x;\n" * 200 +
                      "B::B(int a) : x_{a}, y_(0) {\n" + body * 68 + "}\n}\n",
        "tests/unit/a/b_test.cc": "",
    }
    marker = "// TO" + "DO: later\n"
    return self_test(check, clean, {
        "a long function": ({"src/a/b.cc": "void f() {\n" + body * 69 + "}\n"}, "71 lines"),
        "a long method": ({"src/a/b.cc": "struct S {\n void f() const {\n" + body * 69 + "}\n};\n"},
                          "71 lines"),
        "a long Python function": ({"tools/a.py": "def f():\n" + "    pass\n" * 70}, "71 lines"),
        "a long line": ({"src/a/c.h": "/" * 101 + "\n"}, "101 columns"),
        "a long file": ({"src/a/c.h": "int a;\n" * 801}, "801 lines"),
        "a missing test": ({"src/a/c.cc": ""}, "no unit test"),
        "a marker": ({"src/a/c.h": marker}, "marker"),
    })


if __name__ == "__main__":
    sys.exit(main(check, planted))
