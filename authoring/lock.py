"""Renew requirements.lock and the container's parts of it, service/deploy/requirements*.txt.

All have exact versions with hashes, for Python 3.11 to 3.14 at once. There is one resolution. A
line in each entry of requirements.lock names the door that needs the package first, and its
download's size; learner/setup_environment.py installs by them.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LOCK, CONTAINER = "requirements.lock", "service/deploy/requirements.txt"
CUDA_CONTAINER = "service/deploy/requirements.cuda.txt"
CUDA = ("nvidia-ml-py", "safetensors", "torch", "torchvision")
"""What the forms that need torch, and the metrics of a GPU, import in the container for GPUs."""

DOORS = {
    "service": ("setup", "default-model"),
    "workshop": ("torch", "lab"),
    "development": ("client", "ray", "signing", "tracing", "dev"),
}
"""Extras of pyproject.toml that each door adds to those before it."""

COMPILE = [
    *(sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "--universal", "--quiet"),
    *("--python-version", "3.11"),
    # One version of each package for all Pythons: the same environment everywhere.
    *("--fork-strategy", "fewest"),
    # The lock file must not depend on this machine's package index.
    *("--no-emit-index-url", "--no-emit-find-links"),
]
ENTRY = re.compile(r"^(\S+?)==.*?(?=^\S|\Z)", re.MULTILINE | re.DOTALL)


def main() -> None:
    """Resolve everything once, then divide it by door."""
    compile_lock("--all-extras", "--no-header", "--generate-hashes", "--output-file", LOCK)
    sizes = {one["name"]: choose_file(one).get("size", 0) for one in resolve()}
    doors = {name: door for door in reversed(DOORS) for name in list_packages(door)}
    lock = (ROOT / LOCK).read_text()
    (ROOT / LOCK).write_text(ENTRY.sub(lambda entry: annotate(entry, doors, sizes), lock))
    write_container_locks()


def write_container_locks() -> None:
    """Write the container's packages, and those that the container for GPUs has besides."""
    options = (
        *("--constraint", LOCK, "--no-annotate", "--generate-hashes"),
        *("--custom-compile-command", "make lock", "--output-file"),
    )
    compile_lock(*options, CONTAINER)
    with tempfile.TemporaryDirectory() as folder:
        wanted, all_of_it = Path(folder) / "wanted.in", Path(folder) / "all.txt"
        wanted.write_text("\n".join(CUDA))
        compile_lock(str(wanted), *options, str(all_of_it))
        text = all_of_it.read_text()
    common = {entry[1] for entry in ENTRY.finditer((ROOT / CONTAINER).read_text())}
    (ROOT / CUDA_CONTAINER).write_text(
        ENTRY.sub(lambda entry: "" if entry[1] in common else entry[0], text)
    )


def compile_lock(*options: str) -> None:
    """Run uv's resolver; end the program if it fails."""
    if status := subprocess.call([*COMPILE, *options], cwd=ROOT):
        sys.exit(status)


def list_packages(door: str) -> list[str]:
    """Return the names of all packages that a door needs."""
    doors = list(DOORS)
    extras = [extra for name in doors[: doors.index(door) + 1] for extra in DOORS[name]]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "requirements.txt"
        chosen = [option for extra in extras for option in ("--extra", extra)]
        compile_lock(*chosen, "--constraint", LOCK, "--no-annotate", "--output-file", str(file))
        return re.findall(r"^([\w.-]+)==", file.read_text(), re.MULTILINE)


def resolve() -> list[dict[str, Any]]:
    """Return a record of each locked package, with its files and marker (PEP 751)."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pylock.toml"
        options = ("--all-extras", "--constraint", LOCK, "--format", "pylock.toml")
        compile_lock(*options, "--output-file", str(file))
        packages: list[dict[str, Any]] = tomllib.loads(file.read_text())["packages"]
    return packages


def choose_file(package: dict[str, Any]) -> dict[str, Any]:
    """Return the record of the file that CPython 3.11 on Linux x86-64 would take."""
    wheels: list[dict[str, Any]] = package.get("wheels", [])
    for tags in (r"cp311-cp311.*linux.*x86_64", r"linux.*x86_64", r"none-any"):
        for wheel in wheels:
            if re.search(tags, wheel["url"]) and "musl" not in wheel["url"]:
                return wheel
    return wheels[0] if wheels else package.get("sdist", {})


def annotate(entry: re.Match[str], doors: dict[str, str], sizes: dict[str, int]) -> str:
    """Return an entry of the lock with its door and the size of its download in kB."""
    text = re.sub(r"^    # door .*\n", "", entry[0], flags=re.MULTILINE)
    name = entry[1].partition("[")[0]
    note = f"    # door {doors[name]}, {sizes.get(name, 0) // 1000 + 1} kB\n"
    before, via, after = text.partition("    # via")
    return before + note + via + after


if __name__ == "__main__":
    main()
