"""What the foreign clients need, fetched and built once into a cache outside of git.

Versions are pinned here and in clients/*/; each `*_ready` returns a command to run or raises Skip
with the reason. A change of version gives a new place in the cache.
"""
import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile

from harness import CACHE, HERE, Failed, Skip

PYTHON_PACKAGES = ["confluent-kafka==2.16.1", "kafka-python==3.0.12"]
SETUP_SECONDS_MAX = 900


def client(*parts):
    return os.path.join(HERE, "clients", *parts)


def place(name, *ingredients):
    """A folder of the cache that is named after its content."""
    digest = hashlib.sha256()
    for part in ingredients:
        if os.path.exists(part):
            with open(part, "rb") as file:
                digest.update(file.read())
        digest.update(part.encode())
    return os.path.join(CACHE, f"{name}-{digest.hexdigest()[:12]}")


def need(program, package):
    if shutil.which(program) is None:
        raise Skip(f"{program} is not installed (Debian: {package})")


def run(command, what, fetches=True, **options):
    """What cannot be fetched is a reason to skip; what does not compile is a failure."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace",
                              timeout=SETUP_SECONDS_MAX, check=False, **options)
    except subprocess.TimeoutExpired as error:
        raise Skip(f"{what} took more than {SETUP_SECONDS_MAX} s") from error
    if done.returncode != 0:
        lines = [l for l in (done.stdout + done.stderr).strip().splitlines() if l.strip()]
        text = f"{what} failed: {' | '.join(lines[-3:])[-400:]}"
        raise Skip(text) if fetches else Failed(text)
    return done.stdout


def build_once(folder, build):
    """`build(temporary folder)` fills the folder, which then appears at once or not at all."""
    if os.path.isdir(folder):
        return folder
    os.makedirs(CACHE, exist_ok=True)
    temporary = tempfile.mkdtemp(dir=CACHE, prefix="building-")
    try:
        build(temporary)
        os.rename(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def python_ready():
    """A Python that has the packages. --target instead of a venv: a venv cannot be moved."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = place(f"python{version}", *PYTHON_PACKAGES)

    def build(temporary):
        run([sys.executable, "-m", "venv", temporary + "/venv"], "python3 -m venv")
        run([temporary + "/venv/bin/python", "-m", "pip", "install", "-q", "--target",
             temporary + "/packages", *PYTHON_PACKAGES], "pip install")
        shutil.rmtree(temporary + "/venv")
    return sys.executable, os.path.join(build_once(folder, build), "packages")


def java_ready():
    """(java, class path) of the client and of Kafka's own tools."""
    need("java", "openjdk-17-jdk-headless")
    need("javac", "openjdk-17-jdk-headless")
    need("mvn", "maven")
    sources = sorted(glob.glob(client("java", "*.java")))
    folder = place("java", client("java", "pom.xml"), *sources)

    def build(temporary):
        shutil.copy(client("java", "pom.xml"), temporary)
        run(["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"],
            "mvn", cwd=temporary)
        run(["javac", "--release", "17", "-cp", "lib/*", "-d", "classes", *sources], "javac",
            fetches=False, cwd=temporary)
    folder = build_once(folder, build)
    return "java", f"{folder}/classes:{folder}/lib/*"


def go_ready():
    need("go", "golang-go")
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly"}
    with open(client("go", "go.mod"), encoding="utf-8") as file:
        wanted = re.search(r"^go (\d+)\.(\d+)", file.read(), re.M)
    said = run(["go", "env", "GOVERSION"], "go env", env=environment)
    found = re.match(r"go(\d+)\.(\d+)", said)
    if found is None or [int(n) for n in found.groups()] < [int(n) for n in wanted.groups()]:
        raise Skip(f"{said.strip()} is older than franz-go needs, {wanted.group()}")
    folder = place("go", client("go", "go.mod"), client("go", "go.sum"),
                   *sorted(glob.glob(client("go", "*.go"))))

    def build(temporary):
        run(["go", "mod", "download"], "go mod download", cwd=client("go"), env=environment)
        run(["go", "build", "-o", temporary + "/client", "."], "go build", fetches=False,
            cwd=client("go"), env=environment)
    return [os.path.join(build_once(folder, build), "client")]


def c_ready():
    need("cc", "gcc")
    run(["sh", "-c", "echo '#include <librdkafka/rdkafka.h>' | cc -fsyntax-only -x c -"],
        "a look for librdkafka-dev")
    source = client("c", "client.c")
    folder = place("c", source)

    def build(temporary):
        run(["cc", "-O1", "-Wall", "-Wextra", "-o", temporary + "/client", source, "-lrdkafka"],
            "cc", fetches=False)
    return [os.path.join(build_once(folder, build), "client")]
