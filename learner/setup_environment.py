"""Set up the virtual environment .venv with exactly the packages of requirements.lock.

    python3 learner/setup_environment.py [service | workshop | development]

`make` runs this with the machine's own `python3`. So it uses the standard library only, and a
syntax that an old Python can parse, to be able to say what is wrong.

There are three doors. `service` has what serves and builds the default model, without PyTorch;
`workshop` adds the lessons, `development` the tools and tests. Each door has a stamp in .venv with
the digest of its packages: a second run does nothing, a larger door adds what is missing, and an
interrupted run goes on where it was.
"""

import contextlib
import hashlib
import json
import os
import platform
import queue
import re
import shutil
import subprocess
import sys
import threading
import time
import typing

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ENVIRONMENT = os.path.join(ROOT, ".venv")
BIN = os.path.join(ENVIRONMENT, "Scripts" if os.name == "nt" else "bin")
ENVIRONMENT_PYTHON = os.path.join(BIN, "python.exe" if os.name == "nt" else "python")
LOCK = os.path.join(ROOT, "requirements.lock")
PROJECT = os.path.join(ROOT, "pyproject.toml")
LOG = os.path.join(ENVIRONMENT, "setup.log")

DOORS = ("service", "workshop", "development")
OLDEST, NEWEST = (3, 11), (3, 14)
VERSIONS = "Python 3.11, 3.12, 3.13 or 3.14"
UNPACKED = 2.6  # bytes of disk for a byte of download; measured: 2.0, and pip keeps its downloads
HEARTBEAT_S = 8.0  # most seconds between two signs of life

# Run by the environment's Python: where packages lie, and the values for an entry's marker.
FACTS = """
import json, os, platform, sys, sysconfig
print(json.dumps({
    "packages": sysconfig.get_paths()["purelib"],
    "sys_platform": sys.platform, "os_name": os.name,
    "platform_machine": platform.machine(), "platform_system": platform.system(),
    "python_full_version": platform.python_version(),
    "python_version": ".".join(platform.python_version_tuple()[:2]),
    "implementation_name": sys.implementation.name,
    "platform_python_implementation": platform.python_implementation(),
}))
"""

REASONS = (
    (
        r"No space left on device|Disk quota exceeded|os error 28\b|Errno 28\b",
        "the disk is full. Make room, then run the same command again",
    ),
    (
        r"hash mismatch|DO NOT MATCH THE HASHES",
        "a downloaded package is not the one that requirements.lock names by its hash. "
        "Run the same command again; if it stays so, your package index or proxy changes packages",
    ),
    (
        r"dns error|Failed to fetch|error sending request|Connection|timed? ?out|Temporary failure"
        r"|NewConnectionError|ProxyError|SSLError|Network is unreachable|[Cc]ertificate|tunnel",
        "no connection to the package index. Check the network, and HTTPS_PROXY if there is a "
        "proxy, then run the same command again: what was downloaded is kept",
    ),
    (
        r"matching platform tag|compatible wheel|No matching distribution found"
        r"|is not a supported wheel|no wheels with|no version of",
        "a package has no build for this system and Python, or your package index lacks it",
    ),
)


class SetupError(Exception):
    """The set-up cannot go on; the message says why, and what to do."""


def main() -> None:
    try:
        set_up(choose_door(sys.argv[1:]))
    except SetupError as error:
        sys.exit("set-up stopped: {}".format(error))
    except KeyboardInterrupt:
        sys.exit("\nset-up interrupted: run the same command again, it goes on from here")


def choose_door(arguments: "list[str]") -> str:
    """Return the door that was asked for; else the largest that was set up, or the workshop."""
    if not arguments:
        return next((door for door in reversed(DOORS) if read(stamp(door))), "workshop")
    if arguments[0] not in DOORS:
        raise SetupError(
            "expected one of {}, found {!r}".format(", ".join(DOORS), " ".join(arguments))
        )
    return arguments[0]


def set_up(door: str) -> None:
    wanted = digest_of_inputs(door)
    if read(stamp(door)) == wanted:
        return
    obstacle = find_platform_obstacle()
    if obstacle:
        raise SetupError(obstacle)
    import fcntl  # not on Windows, which is an obstacle

    with open(LOCK) as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # if two set-ups run at once, the second one waits
        if read(stamp(door)) != wanted:
            install(door)


def find_platform_obstacle() -> "str | None":
    """Return why the packages cannot run on this system, and what can; None if they can."""
    system, machine = platform.system(), platform.machine()
    if system == "Windows":
        return "Windows works through WSL2 only: run `wsl --install`, then this command in Ubuntu"
    if system == "Darwin":
        release = platform.mac_ver()[0].split(".")[0]
        if machine != "arm64" or (release.isdigit() and int(release) < 14):
            return (
                "ONNX Runtime and PyTorch have builds for macOS 14 or newer on Apple silicon only, "
                "this is macOS {} with a Python for {}. Use a Linux machine, or the dev container"
            ).format(platform.mac_ver()[0], machine)
        return None
    library, version = platform.libc_ver()
    if library != "glibc" or tuple(map(int, version.split(".")[:2])) < (2, 28):
        return (
            "the packages need glibc 2.28 or newer (Debian 10, Ubuntu 20.04, RHEL 8), "
            "found {}. Use such a system, or the dev container"
        ).format(" ".join([library, version]).strip() or "another C library (Alpine has musl)")
    if machine not in ("x86_64", "aarch64"):
        return "the packages have builds for x86_64 and aarch64, this machine is {}".format(machine)
    return None


def install(door: str) -> None:
    started = time.monotonic()
    doors = DOORS[: DOORS.index(door) + 1]
    create_virtual_environment()
    facts = json.loads(output([ENVIRONMENT_PYTHON, "-c", FACTS]) or b"{}")
    entries = read_lock(doors, facts)
    missing = list_missing(entries, facts["packages"])
    need, free = sum(missing.values()) * UNPACKED, shutil.disk_usage(ROOT).free
    if need > free:
        raise SetupError(
            "the packages need {:.1f} GB of disk, {} has {:.1f} GB. Make room, then run the same "
            "command again".format(need / 1e9, ROOT, free / 1e9)
        )
    print(
        "[set-up] {}, Python {}: {} packages, {:.0f} MB to download".format(
            door, facts["python_full_version"], len(missing), sum(missing.values()) / 1e6
        ),
        flush=True,
    )
    chosen = {name: entries[name] for name in missing}
    with open(LOG, "w") as log, Progress(chosen, facts["packages"]) as progress:
        install_packages(chosen, log, progress)
        install_project(log, progress)
        if "workshop" in doors:
            pair = [ENVIRONMENT_PYTHON, "-m", "service.engines.torch_versions"]
            demand(follow(pair, os.environ, log, progress) == 0)
    for one in doors:
        with open(stamp(one), "w") as file:
            file.write(digest_of_inputs(one))
    print("[set-up] done in {:.0f} s".format(time.monotonic() - started), flush=True)


def stamp(door: str) -> str:
    return os.path.join(ENVIRONMENT, "setup-complete-" + door)


def digest_of_inputs(door: str) -> str:
    """Return the SHA-256 over everything a door is made from."""
    digest = hashlib.sha256(ROOT.encode())  # an editable install points at this folder
    for name, (_, text) in sorted(read_lock(DOORS[: DOORS.index(door) + 1]).items()):
        digest.update((name + text).encode())
    with open(PROJECT, "rb") as file:
        digest.update(file.read())
    return digest.hexdigest()


def read(path: str) -> "str | None":
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return None


def read_lock(
    doors: "tuple[str, ...]", facts: "dict[str, str] | None" = None
) -> "dict[str, tuple[int, str]]":
    """Return the bytes to download and the text of each entry that belongs to one of the doors.

    With `facts`, entries whose marker does not hold there are left out.
    """
    entries = {}
    for entry in re.findall(r"^\S+==.*?(?=^\S|\Z)", read(LOCK) or "", re.M | re.S):
        name = re.split(r"[\[=]", entry)[0]
        door, size = re.findall(r"^    # door (\w+), (\d+) kB", entry, re.M)[0]
        marker = re.match(r"\S+ ; ([^\\\n]*)", entry)
        # Markers are Python expressions; those of a lock file compare strings of equal form.
        holds = not (facts and marker) or eval(marker.group(1), {"__builtins__": {}}, dict(facts))
        if door in doors and holds:
            entries[name] = (int(size) * 1000, re.sub(r"^ +#.*\n", "", entry, flags=re.M))
    return entries


def list_missing(entries: "dict[str, tuple[int, str]]", packages: str) -> "dict[str, int]":
    """Return name and bytes of the entries that are not completely installed in `packages`."""
    installed = set()
    for folder in os.listdir(packages):
        if os.path.exists(os.path.join(packages, folder, "INSTALLER")):  # written last
            installed.add(normalise(folder.replace(".dist-info", "")))
    missing = {}
    for name, (size, text) in entries.items():
        version = re.split(r"[\s;]", text.split("==")[1])[0]
        if normalise(name + "-" + version) not in installed:
            missing[name] = size
    return missing


def normalise(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def find_python() -> str:
    """Return this Python, or, if its version is not supported, another one on the PATH."""
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return sys.executable
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        path = shutil.which("python3.{}".format(minor))
        # A version manager may leave a shim on the PATH whose version is not installed.
        if path and subprocess.call([path, "-c", ""], stderr=subprocess.DEVNULL) == 0:
            return path
    found = shutil.which("uv") and output(["uv", "python", "find", ">=3.11,<3.15"])
    if found:
        return found.decode().strip()
    raise SetupError(
        "this is Python {}.{}, and no {} is on the PATH. "
        "Install one of them, or name it: make setup PYTHON=/path/to/python3.12".format(
            *(sys.version_info[:2] + (VERSIONS,))
        )
    )


def create_virtual_environment() -> None:
    """Create .venv; keep an existing one whose Python is supported and whose pip runs."""
    version = "import sys; assert {} <= sys.version_info[:2] <= {}; import pip".format(
        OLDEST, NEWEST
    )
    if output([ENVIRONMENT_PYTHON, "-c", version]) is not None:
        return
    python = find_python()
    print("[set-up] a virtual environment in .venv, by {}".format(python), flush=True)
    command = [python, "-m", "venv", "--clear", ENVIRONMENT]
    if output(command) is None:
        seeded = ["uv", "venv", "--clear", "--seed", "--python", python, ENVIRONMENT]
        if not shutil.which("uv") or output(seeded) is None:
            raise SetupError(
                "cannot create the virtual environment with {}. On Debian and Ubuntu: "
                "apt-get install python3-venv".format(python)
            )


def output(command: "list[str]") -> "bytes | None":
    """Return the standard output of `command`, or None if it fails."""
    try:
        return subprocess.check_output(command, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return None


def install_packages(
    missing: "dict[str, tuple[int, str]]", log: "typing.IO[str]", progress: "Progress"
) -> None:
    """Install what is missing: by uv if it is there or can be had, else by pip."""
    if not missing:
        return
    wanted = os.path.join(ENVIRONMENT, "setup-requirements.txt")
    only_wheels = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", wanted]

    def write(names: "list[str]") -> None:
        with open(wanted, "w") as file:
            file.writelines(missing[name][1] for name in names)

    pip = [ENVIRONMENT_PYTHON, "-m", "pip", "install", "--disable-pip-version-check"]
    pip += ["--retries", "1", "--no-compile"] + only_wheels
    uv = find_uv()
    if uv is None and "uv" in missing:
        write(["uv"])
        follow(pip, os.environ, log, None)  # where it fails, pip goes on below
        uv = find_uv()
    write(list(missing))
    if uv is not None:
        command = [uv, "pip", "install", "--python", ENVIRONMENT_PYTHON] + only_wheels
        if follow(command, dict(os.environ, **configure_uv()), log, progress) == 0:
            return
        log.write("\nuv failed; pip tries\n")
    demand(follow(pip, os.environ, log, progress) == 0)


def demand(done: bool) -> None:
    if not done:
        raise SetupError(explain(read(LOG) or ""))


def find_uv() -> "str | None":
    name = "uv.exe" if os.name == "nt" else "uv"
    own = os.path.join(BIN, name)
    return own if os.path.exists(own) else shutil.which("uv")


def configure_uv() -> "dict[str, str]":
    """Return variables that give uv the settings that this machine's pip has, and no more words."""
    text = (output([ENVIRONMENT_PYTHON, "-m", "pip", "config", "list"]) or b"").decode()
    # Lines like global.index-url='https://…'; what is further down wins, as in pip.
    settings = dict(re.findall(r"^[^=\n]*\.([a-z-]+)='(.*)'$", text, re.M))
    chosen = {
        "UV_SYSTEM_CERTS": "1",
        "UV_NATIVE_TLS": "1",  # the same for older versions
        "UV_INDEX_STRATEGY": "unsafe-best-match",  # pip's; the hashes make it safe
    }
    for option, variable in (
        ("index-url", "UV_DEFAULT_INDEX"),
        ("extra-index-url", "UV_INDEX"),
        ("find-links", "UV_FIND_LINKS"),
        ("cert", "SSL_CERT_FILE"),
    ):
        if settings.get(option) and not os.environ.get(variable):
            chosen[variable] = settings[option]
    return chosen


def follow(
    command: "list[str]",
    environment: "typing.Mapping[str, str]",
    log: "typing.IO[str]",
    progress: "Progress | None",
) -> int:
    """Run an installer, write what it says to the log, and show its progress; return its status."""
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    lines = queue.Queue()  # type: queue.Queue[str | None]

    def listen() -> None:
        for line in process.stdout or ():
            lines.put(line.decode("utf-8", "replace"))
        lines.put(None)

    threading.Thread(target=listen, daemon=True).start()
    try:
        while True:
            with contextlib.suppress(queue.Empty):
                line = lines.get(timeout=0.5)
                if line is None:
                    return process.wait()
                log.write(line)
                log.flush()
                if progress:
                    progress.hear(line)
            if progress:
                progress.show()
    except BaseException:
        process.terminate()
        process.wait()
        raise


class Progress:
    """One line with the share done and the time left; in place where standard output can do so."""

    def __init__(self, entries: "dict[str, tuple[int, str]]", packages: str) -> None:
        self._entries = entries
        self._sizes = {normalise(name): size for name, (size, _) in entries.items()}
        self._packages = packages
        self._downloaded = set()  # type: set[str]
        self._collecting = ""
        self._started = self._shown = time.monotonic()
        self._in_place = sys.stdout.isatty()

    def hear(self, line: str) -> None:
        """Take a line of uv or pip."""
        words = line.split()
        if words[:1] == ["Downloaded"] and len(words) > 1:  # uv
            self._downloaded.add(normalise(words[1]))
        elif words[:1] in (["Prepared"], ["Installing"]):  # uv, pip: everything is here
            self._downloaded.update(self._sizes)
        elif words[:1] == ["Collecting"] and len(words) > 1:  # pip: the one before is here
            self._downloaded.add(self._collecting)
            self._collecting = normalise(re.split(r"[\[=;]", words[1])[0])
        elif words[:1] == ["Processing"]:  # pip: it lies on this machine
            self._downloaded.add(normalise(os.path.basename(words[1]).split("-")[0]))

    def share(self) -> float:
        """Return how much is done, 0 to 1; to unpack counts as a third."""
        total = sum(self._sizes.values())
        if not total:
            return 1.0
        left = sum(list_missing(self._entries, self._packages).values())
        downloaded = sum(self._sizes.get(name, 0) for name in self._downloaded)
        return (2 * max(downloaded, total - left) + total - left) / (3.0 * total)

    def show(self) -> None:
        """Write a sign of life, if the last one is long enough ago."""
        now = time.monotonic()
        if now - self._shown < (1 if self._in_place else HEARTBEAT_S):
            return
        self._shown = now
        self._write(self.share(), now - self._started)

    def _write(self, share: float, passed: float, last: bool = False) -> None:
        text = "{:.0f} %".format(100 * share)
        if 0.05 < share < 1:
            minutes = passed / share * (1 - share) / 60
            text += ", {:.0f} min left".format(minutes) if minutes > 1 else ", < 1 min left"
        elif share == 1 and not last:
            text += ", links this folder into .venv"
        # A terminal shows one line that changes; a file gets a line that grows.
        shape = "\r[set-up] packages: {:<30}" if self._in_place else " {};"
        sys.stdout.write(shape.format(text))
        sys.stdout.flush()

    def __enter__(self) -> "Progress":
        if not self._in_place:
            sys.stdout.write("[set-up] packages:")
            sys.stdout.flush()
        return self

    def __exit__(self, kind: "object", *_: "object") -> None:
        if kind is None:
            self._write(self.share(), time.monotonic() - self._started, last=True)
        print(flush=True)


def explain(text: str) -> str:
    """Return why an installer failed, from what it said."""
    reason = next((reason for pattern, reason in REASONS if re.search(pattern, text)), None)
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["it said nothing"]
    errors = [line for line in lines if re.search("error|cause", line, re.I)] or lines
    said = errors[-1] if len(errors[-1]) < 200 else errors[-1][:200] + "…"
    return "{} ({}). Everything that was said is in {}".format(
        reason or "the packages could not be installed", said, os.path.relpath(LOG, ROOT)
    )


def install_project(log: "typing.IO[str]", progress: "Progress") -> None:
    """Install this project so that its files are imported from here, and add its commands."""
    uv = find_uv()
    pip = [uv, "pip", "install", "--python", ENVIRONMENT_PYTHON] if uv else []
    pip = pip or [ENVIRONMENT_PYTHON, "-m", "pip", "install"]
    command = pip + ["--no-deps", "--no-build-isolation", "--editable", ROOT]
    demand(follow(command, os.environ, log, progress) == 0)


if __name__ == "__main__":
    main()
