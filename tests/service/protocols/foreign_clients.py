"""Ask a service with Triton's and KServe's own clients, and compare with `/predict`.

`python -m tests.service.protocols.foreign_clients` does it with 1,000 photos. The clients have
environments of their own in .peers/, because their packages contradict the project's.
"""

import argparse
import base64
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx2 as httpx

from challenges.load.images import distinct_images
from service.settings import ROOT
from tests.conftest import start_process
from tests.performance.peers.environment import prepare_environment

MODEL = "efficientnet-lite0"
K = 5
LIBRARIES = "PERF_ANALYZER_LIBRARIES"
"""Names a folder with the C library that perf_analyzer needs (2.38), where the machine's is older:
the files of Debian trixie's libc6, libstdc++6, libgcc-s1, libssl3t64, zlib1g and libzstd1."""
_HERE = Path(__file__).parent


class MissingClientError(Exception):
    """A client cannot be installed or run on this machine; the message says why."""


def write_photos(url: str, folder: Path, count: int) -> None:
    """Write photos, and expected.json with the answers of `/predict` to them."""
    expected = {}
    with httpx.Client(trust_env=False, timeout=30) as client:
        for number, photo in enumerate(distinct_images(count, (320, 240))):
            name = f"{number:04}.jpg"
            (folder / name).write_bytes(photo)
            answer = client.post(f"{url}/predict?k={K}", content=photo)
            best = answer.raise_for_status().json()["predictions"]
            classes = [one["class_id"] for one in best]
            expected[name] = (classes, [one["probability"] for one in best])
    (folder / "expected.json").write_text(json.dumps(expected))


def ask_with_python_clients(url: str, folder: Path) -> dict[str, Any]:
    """Return what `ask_with_clients.py` prints.

    Raises:
        MissingClientError: the clients cannot be installed.
    """
    python = prepare_environment("clients", _HERE / "clients.txt")
    if isinstance(python, str):
        raise MissingClientError(python)
    environment = {name: text for name, text in os.environ.items() if "proxy" not in name.lower()}
    done = subprocess.run(
        [python, _HERE / "ask_with_clients.py", url, folder],
        capture_output=True, text=True, env=environment,
    )  # fmt: skip
    if done.returncode:
        raise AssertionError(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def ask_with_perf_analyzer(url: str, folder: Path) -> str:
    """Have Triton's load tool send each photo once; return its output.

    It ends with an error at the first answer that is one. It compares no answers: it validates
    only outputs of a fixed shape.

    Raises:
        MissingClientError: it cannot be installed, or the machine's C library is too old.
    """
    system = f"{platform.machine()}-manylinux_2_39"
    python = prepare_environment(
        "perf-analyzer", _HERE / "perf_analyzer.txt", "--python-platform", system
    )
    if isinstance(python, str):
        raise MissingClientError(python)
    (program,) = python.parent.parent.glob("lib/*/site-packages/perf_analyzer/bin/perf_analyzer")
    command = [str(program)]
    if libraries := os.environ.get(LIBRARIES):
        (loader,) = Path(libraries).glob("ld-linux-*.so.*")
        command = [str(loader), "--library-path", libraries, str(program)]
    begun = subprocess.run([*command, "--version"], capture_output=True, text=True)
    if begun.returncode and "GLIBC" in begun.stderr:
        raise MissingClientError(
            f"perf_analyzer needs glibc 2.38, this machine has {platform.libc_ver()[1]}; "
            f"{LIBRARIES} can name a folder with a newer one"
        )
    photos = [path.read_bytes() for path in sorted(folder.glob("*.jpg"))]
    data = [
        {"image": {"b64": base64.b64encode(_prefix(photo)).decode(), "shape": [1]}}
        for photo in photos
    ]
    (folder / "input.json").write_text(json.dumps({"data": data}))
    done = subprocess.run(
        [*command, "-m", MODEL, "-u", url.removeprefix("http://"), "--shape", "image:1",
         "--input-data", str(folder / "input.json"), "--request-count", str(len(photos)),
         "--concurrency-range", "1"],
        capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise AssertionError(done.stdout + done.stderr)
    return done.stdout


def _prefix(photo: bytes) -> bytes:
    return len(photo).to_bytes(4, "little") + photo


def main() -> int:
    """Compare all clients with `/predict`; return 1 if an answer differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1000)
    images = parser.parse_args().images
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        service = start_process(folder / "service.log", "--open-inference", "--no-access-log")
        try:
            write_photos(service.url, folder, images)
            found = ask_with_python_clients(service.url, folder)
            for client, count in found["counts"].items():
                wrong = len(found["differ"].get(client, ()))
                print(f"{client}: {count} answers, {wrong} differ from /predict")
            print(ask_with_perf_analyzer(service.url, folder).strip())
        except MissingClientError as error:
            print(error, file=sys.stderr)
            return 1
        finally:
            service.stop()
    return bool(found["differ"])


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
