"""What the tidy checks share: the repository's root, its files, and the planted faults."""
import os
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CPP = (".cc", ".h")


def files_below(root, folders, endings):
    """Paths relative to `root`, sorted; build directories left out."""
    found = []
    for folder in folders:
        for directory, names, files in os.walk(os.path.join(root, folder)):
            names[:] = [n for n in names if not n.startswith(("build", ".", "__"))]
            found += [os.path.relpath(os.path.join(directory, file), root)
                      for file in files if file.endswith(endings)]
    return sorted(found)


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read()


def write(root, path, text):
    full = os.path.join(root, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "w", encoding="utf-8") as file:
        file.write(text)


def self_test(check, clean, faults):
    """`check(root)` returns messages. `clean`: {path: text} of a tree without faults; `faults`:
    {what: ({path: text}, a piece of the message)}; each must be found, and alone."""
    good = True
    for what, (files, piece) in {"nothing": ({}, None), **faults}.items():
        with tempfile.TemporaryDirectory(prefix="tailrace-tidy-") as root:
            for path, text in {**clean, **files}.items():
                if text is not None:
                    write(root, path, text)
            messages = check(root)
            expected = 0 if piece is None else 1
            if len(messages) != expected or any(piece not in m for m in messages):
                print(f"planted {what}: wanted {expected} message with {piece!r}, got {messages}")
                good = False
    return good


def main(check, planted):
    """The exit code. With --self-test: does the check find what is planted?"""
    if "--self-test" in sys.argv:
        return 0 if planted() else 1
    messages = check(ROOT)
    for message in messages:
        print(message)
    return 1 if messages else 0
