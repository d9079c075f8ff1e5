"""One real service at a time: started, listened to, stopped; what that means is said elsewhere."""

import time
from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from learner.processes import Line, Program
from notebooks.panel.event_loop import Actor
from notebooks.panel.services import SERVICES
from notebooks.panel.state import State
from service.artifact.manifest import MANIFEST
from service.console.flow import Flow
from service.settings import ROOT

START_S = 90.0
STOP_S = 5.0


class Supervisor(Actor):
    """An actor that owns the process, its `Flow`, and what the front end shows of both.

    Args:
        show: called with a name and a new value (JSON) of what the front end shows, in a thread.
        port: for the service; 0 takes a free one.
    """

    def __init__(self, show: Callable[[str, Any], None], port: int) -> None:
        super().__init__()
        self.state = State(show)
        self.port = port
        self.flow = Flow()
        self.program: Program | None = None
        self.run = 0
        """Counts processes; what is posted about an earlier one is out of date."""
        self.load_ms: float | None = None
        """What a naive service last said that loading took."""
        self._deadline = 0.0
        """When the process must have started, or stopped."""

    @property
    def alive(self) -> bool:
        """Whether a process of this panel runs."""
        return self.program is not None

    @property
    def group(self) -> int:
        """The process group of the service; 0 if none runs."""
        return self.program.group if self.program is not None else 0

    @abstractmethod
    def became_ready(self, url: str) -> None:
        """The service listens."""

    @abstractmethod
    def ended(self, status: int, *, asked: bool, was_ready: bool) -> None:
        """The process is gone, with an exit status as a shell counts it (137: killed)."""

    @abstractmethod
    def not_started(self, error: OSError) -> None:
        """There is no artifact, or the machine starts no process."""

    @abstractmethod
    def too_slow(self, seconds: float) -> None:
        """The process was not ready by then, and is killed next."""

    def begin(self, mode: str, *, again: bool = False) -> None:
        """A flow begins; whatever belongs to an earlier one counts no more."""
        self.run += 1
        self.flow = Flow(SERVICES[mode].steps)
        self.flow.begin(time.monotonic(), again=again)
        self.state.begin(mode)
        self.load_ms = None

    def start(self, mode: str, artifact: Path, *, again: bool = False) -> None:
        """Start the service of a mode; `again`: after it died."""
        self.begin(mode, again=again)
        self._deadline = time.monotonic() + START_S
        command = SERVICES[mode].command(self.port, artifact)
        shown = [part.removeprefix(f"{ROOT}/") for part in command[1:]]
        self.state.command(f"$ python {' '.join(shown)}")
        try:
            (artifact / MANIFEST).stat()
            self.program = Program(command, on_line=partial(self._hear, self.run))
        except OSError as error:
            self.not_started(error)

    def ask_to_stop(self) -> None:
        """SIGTERM; if that does not help, SIGKILL after `STOP_S`."""
        assert self.program is not None
        self.flow.stop(time.monotonic())
        self._deadline = time.monotonic() + STOP_S
        self.program.ask_to_stop()

    def wanted(self, run: int) -> bool:
        """Whether what is done for a run still matters."""
        return run == self.run and not self.closed

    @property
    def restless(self) -> bool:
        """Whether there is a process to look after, or something to show."""
        return self.program is not None or self.state.dirty

    def tick(self) -> None:
        """Notice an end, enforce deadlines, show what has changed."""
        program, late = self.program, time.monotonic() > self._deadline
        if program is not None and not program.running:
            program.kill()  # takes in what it said last, before the next event
            self.program = None
            self.post(self._ended, self.run, program.wait(0) or 0)
        elif program is not None and late and self.flow.phase == "stopping":
            program.kill()
        elif program is not None and late and self.flow.phase in ("starting", "recovering"):
            self.too_slow(START_S)
            program.kill()
        self.state.flush()

    def end(self) -> None:
        """End the process."""
        self.run += 1
        if self.program is not None:
            self.program.kill()
            self.program = None

    def _hear(self, run: int, line: Line) -> None:
        self.post(self._line, run, time.monotonic(), line.text)

    def _line(self, run: int, at: float, text: str) -> None:
        if run != self.run:
            return
        self.load_ms = self.state.line(text) or self.load_ms
        was_ready = self.flow.url is not None
        self.flow.line(at, text)
        if self.flow.url is not None and not was_ready:
            self.became_ready(self.flow.url)

    def _ended(self, run: int, status: int) -> None:
        if run != self.run:
            return
        asked, was_ready = self.flow.phase == "stopping", self.flow.url is not None
        self.flow.ended(time.monotonic())
        self.state.tell("metrics", {})
        # What Popen reports as -9, a shell and every supervisor call 137.
        self.ended(128 - status if status < 0 else status, asked=asked, was_ready=was_ready)
