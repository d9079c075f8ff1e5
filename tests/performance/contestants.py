"""This service and its peers, started by the same hand and asked the same."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from challenges.load.generator import Target
from service.engines import FORMS, load_engine
from service.preprocessing import preprocess
from service.settings import DEFAULT_ARTIFACT
from tests.performance.experiments import Server
from tests.performance.peers import PEERS, Peer
from tests.performance.peers.environment import prepare, start, stop, until_ready
from tests.performance.traffic import Traffic

PORT = 8461
FP32 = "onnx-fp32"
OURS, OURS_DEFAULT = "this service, fp32", "this service, default form"


@dataclass(slots=True)
class Visit:
    """A contestant that runs, and what its start cost."""

    server: Server
    ready_s: float
    memory_mib: Callable[[], float]
    """PSS of all its processes, at the moment."""


@dataclass(slots=True)
class Contestants:
    """Everyone, with the photos that are sent and the answers that are right."""

    photos: list[bytes]
    forms: dict[str, str]
    """The form that each of our own entries serves."""
    peers: list[str]
    skipped: dict[str, str] = field(default_factory=dict)
    """Peers that could not take part, and why."""
    _answers: dict[str, list[int]] = field(default_factory=dict)

    def names(self) -> list[str]:
        """Ours first; only those that have not been skipped."""
        return [name for name in (*self.forms, *self.peers) if name not in self.skipped]

    def form(self, name: str) -> str:
        """Which form a contestant serves; the peers all have the fp32 file."""
        return self.forms.get(name, FP32)

    @contextmanager
    def visit(self, name: str, traffic: Traffic) -> Iterator[Visit | None]:
        """Start a contestant, warm it up; end it afterwards. None if it does not start."""
        peer = self.ours(name) if name in self.forms else PEERS[name]
        python = Path(sys.executable) if name in self.forms else prepare(peer)
        if isinstance(python, str):
            self.skipped[name] = python
            yield None
            return
        process = start(peer, python, PORT)
        try:
            ready_s = until_ready(peer, process, PORT, self.photos[0])
            if isinstance(ready_s, str):
                self.skipped[name] = ready_s
                yield None
                return
            target = Target(PORT, peer.path, headers=dict(peer.headers))
            expected = self._expected(self.form(name))

            def is_right(number: int, body: bytes) -> bool:
                return peer.top_class(body) == expected[number % len(expected)]

            server = Server(name, target, traffic, is_right)
            server.load(20, 2.5, "constant")
            yield Visit(server, ready_s, lambda: process.memory_mib()[0])
        finally:
            stop(process)

    def ours(self, name: str) -> Peer:
        """How to start this service with the form that the name stands for."""
        command = ["-m", "service.inference_service", "--no-access-log", "--device", "cpu"]
        return Peer(
            name.replace(" ", "-"),
            lambda python, port: [
                str(python), *command, "--engine", self.forms[name], "--port", str(port)
            ],
            settings="as it comes",
            ready_path="/readyz",
        )  # fmt: skip

    def _expected(self, form: str) -> list[int]:
        """The class of each photo, by the same form in this process."""
        if form not in self._answers:
            engine = load_engine(FORMS[form], DEFAULT_ARTIFACT / FORMS[form].file, "cpu", 1)
            self._answers[form] = [
                int(engine(preprocess(photo)[None])[0].argmax()) for photo in self.photos
            ]
        return self._answers[form]
