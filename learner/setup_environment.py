"""Set up a virtual environment with exactly the packages of requirements.lock.

`make setup` runs this with the machine's own `python3`. So it uses the standard library only, and a
syntax that an old Python can parse, to be able to say what is wrong.

A stamp in the virtual environment holds the digest of the lock file from which it was made: a
second run does nothing. After an interruption, run it again: pip keeps what it has downloaded, and
installs what is missing.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ENVIRONMENT = os.path.join(ROOT, ".venv")
ENVIRONMENT_PYTHON = os.path.join(ENVIRONMENT, "bin", "python")
LOCK = os.path.join(ROOT, "requirements.lock")
PROJECT = os.path.join(ROOT, "pyproject.toml")
STAMP = os.path.join(ENVIRONMENT, "setup-complete")

OLDEST, NEWEST = (3, 11), (3, 13)


class SetupError(Exception):
    """The set-up cannot go on; the message says why, and what to do."""


def main() -> None:
    try:
        set_up()
    except SetupError as error:
        sys.exit("set-up stopped: {}".format(error))
    except KeyboardInterrupt:
        sys.exit("\nset-up interrupted: run the same command again, it goes on from here")


def set_up() -> None:
    wanted = digest_of_inputs()
    if read(STAMP) == wanted:
        return
    with open(LOCK) as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # if two set-ups run at once, the second one waits
        if read(STAMP) != wanted:
            install(wanted)


def install(wanted: str) -> None:
    started = time.monotonic()
    step(1, "virtual environment in .venv")
    create_virtual_environment(find_python())
    step(2, "packages of requirements.lock, checked by hash (about 5 GB, most of it PyTorch)")
    pip("--require-hashes", "--requirement", LOCK)
    step(3, "this project, editable")
    pip("--no-deps", "--no-build-isolation", "--quiet", "--editable", ROOT)
    step(4, "do torch and torchvision import together?")
    run(
        [ENVIRONMENT_PYTHON, "-m", "service.engines.torch_versions"],
        "torch and torchvision do not fit together",
    )
    with open(STAMP, "w") as stamp:
        stamp.write(wanted)
    print("[set-up] done in {:.0f} s".format(time.monotonic() - started), flush=True)


def step(number: int, what: str) -> None:
    print("[set-up {}/4] {}".format(number, what), flush=True)


def digest_of_inputs() -> str:
    """Return the SHA-256 over everything the environment is made from."""
    digest = hashlib.sha256(ROOT.encode())  # an editable install points at this folder
    for path in (LOCK, PROJECT):
        with open(path, "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def read(path: str) -> "str | None":
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return None


def find_python() -> str:
    """Return this Python, or, if its version is not supported, another one on the PATH."""
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return sys.executable
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        path = shutil.which("python3.{}".format(minor))
        # A version manager may leave a shim on the PATH whose version is not installed.
        if path and subprocess.call([path, "-c", ""], stderr=subprocess.DEVNULL) == 0:
            return path
    raise SetupError(
        "this is Python {}.{}, and no Python 3.11, 3.12 or 3.13 is on the PATH. "
        "Install one of them, or name it: make setup PYTHON=/path/to/python3.12".format(
            *sys.version_info[:2]
        )
    )


def create_virtual_environment(python: str) -> None:
    """Create .venv; keep an existing one if it has the same Python version and its pip runs."""
    version = "import sys; print(sys.version_info[:2])"
    if os.path.exists(ENVIRONMENT_PYTHON):
        same = output([ENVIRONMENT_PYTHON, "-c", version]) == output([python, "-c", version])
        if same and output([ENVIRONMENT_PYTHON, "-m", "pip", "--version"]):
            return
    run(
        [python, "-m", "venv", "--clear", ENVIRONMENT],
        "cannot create the virtual environment with {}. On Debian and Ubuntu: "
        "apt-get install python3-venv".format(python),
    )


def output(command: "list[str]") -> "bytes | None":
    """Return the standard output of `command`, or None if it fails."""
    try:
        return subprocess.check_output(command, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return None


def pip(*arguments: str) -> None:
    run(
        [ENVIRONMENT_PYTHON, "-m", "pip", "install", "--disable-pip-version-check"]
        + list(arguments),
        "pip could not install the packages; its message stands above. "
        "Check the network and the free disk space (10 GB), then run the same command again: "
        "what was downloaded is kept",
    )


def run(command: "list[str]", failure: str) -> None:
    if subprocess.call(command, cwd=ROOT) != 0:
        raise SetupError(failure)


if __name__ == "__main__":
    main()
