"""Start this service and its peers on one GPU, with the same bundle, photos and answers."""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from challenges.load.generator import Target
from service.engines.base import Probabilities
from tests.performance.experiments import Server
from tests.performance.peers import ROOT, Peer
from tests.performance.peers.environment import prepare, start, stop, until_ready
from tests.performance.traffic import Traffic

PORT = 8471
OURS, SEVERAL = "this service", "this service, several front ends"
START_SECONDS = 900
"""Longest start in seconds: torch.compile and the recording of graphs are part of it."""
_MOST_OFF = 0.03
"""Largest difference of a probability: in bf16 it depends on the batch size."""


@dataclass(frozen=True, slots=True)
class RightAnswers:
    """Accept the class that this process computed, or one that is as probable within bf16."""

    probabilities: Probabilities
    """float32, photos × classes."""

    def __call__(self, number: int, body: bytes) -> bool:
        """Return whether the answer to request `number` is right."""
        expected = self.probabilities[number % len(self.probabilities)]
        best = json.loads(body)["predictions"][0]
        probability = expected[best["class_id"]]
        return bool(
            probability >= expected.max() - _MOST_OFF
            and abs(best["probability"] - probability) <= _MOST_OFF
        )


def contestants(bundle: Path, device: str, decode: str, front_ends: int) -> dict[str, Peer]:
    """Return how to start each of them, by name."""
    environment = {"BENCH_BUNDLE": str(bundle), "BENCH_DEVICE": device}
    service = ["-m", "service.inference_service", "--no-access-log", "--engine", "bf16",
               "--device", device, "--artifact", str(bundle), "--max-requests", "1024"]  # fmt: skip

    def ours(*options: str) -> Peer:
        return Peer(
            "this-service-gpu",
            lambda python, port: [str(python), *service, *options, "--port", str(port)],
            settings=" ".join(options),
            ready_path="/readyz",
        )

    module = "tests.performance.gpu"
    return {
        OURS: ours("--decode", decode),
        SEVERAL: ours("--front-ends", str(front_ends)),
        "litserve": Peer(
            "litserve",
            lambda python, port: [str(python), "-m", f"{module}.litserve_app", str(port)],
            settings="batches of up to 64 within 5 ms, 2 workers on the GPU, fast_queue, a HTTP "
            "server for each 4 cores; lightning.ai/docs/litserve/features/batching",
            ready_path="/health",
            environment=environment,
        ),
        "plain_fastapi": Peer(
            "plain_fastapi",
            lambda python, port: [
                str(python), "-m", "uvicorn", f"{module}.plain_fastapi:app", "--host", "127.0.0.1",
                "--port", str(port), "--no-access-log",
            ],
            settings="one process, a `def` endpoint, one image a forward pass, torch.compile",
            environment=environment,
        ),
    }  # fmt: skip


@contextmanager
def visit(
    peer: Peer, traffic: Traffic, photos: Sequence[bytes], is_right: RightAnswers
) -> Iterator[Server | str]:
    """Start a contestant and warm it up; yields the reason if that fails."""
    environment = dict(peer.environment)
    if peer.name == "litserve":
        packages = _install_packages(peer)
        if packages is None:
            yield f"its environment is for Python 3.11, this is {sys.version.split()[0]}"
            return
        if not isinstance(packages, Path):
            yield packages
            return
        # Its own packages with this environment's torch: a second torch takes gigabytes.
        environment["PYTHONPATH"] = f"{ROOT}{os.pathsep}{packages}"
    running = Peer(
        peer.name, peer.command, peer.settings, ready_path=peer.ready_path, environment=environment
    )
    process = start(running, Path(sys.executable), PORT)
    try:
        ready = until_ready(running, process, PORT, photos[0], START_SECONDS)
        if isinstance(ready, str):
            yield ready
            return
        server = Server(peer.name, Target(PORT), traffic, is_right)
        server.load(20, 2.5, "constant")
        yield server
    finally:
        stop(process)


def _install_packages(peer: Peer) -> Path | str | None:
    if sys.version_info[:2] != (3, 11):
        return None
    python = prepare(peer)
    if isinstance(python, str):
        return python
    return python.parent.parent / "lib" / "python3.11" / "site-packages"
