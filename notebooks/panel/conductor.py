"""Drives the flow: what is run in which order, what is sent to it, what is said about it."""

import time
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from learner.processes import TemporaryFolder
from notebooks.panel import background as errands
from notebooks.panel.bit_flip import copy_with_a_flipped_bit
from notebooks.panel.client import Answer
from notebooks.panel.photos import photo_named, photos_to_send
from notebooks.panel.services import ALL, MODES, SERVICES, START_UP
from notebooks.panel.supervisor import Supervisor
from service.artifact.manifest import MANIFEST
from service.settings import DEFAULT_ARTIFACT

TAMPER = "tamper"
BETWEEN_S = 2.0
"""Between two services in turn, so that people can read what was found."""
MOST_DEATHS = 3
_all: "weakref.WeakSet[Conductor]" = weakref.WeakSet()


class Conductor(Supervisor):
    """One panel's back-end. Its public methods return at once and may be called from any thread.

    Args:
        show: called with a name and a new value (JSON) of what the front end shows, in a thread.
        artifact: folder of the bundle to serve.
        port: for the service; 0 takes a free one.
        watched: whether anybody sees what is shown; when not, the service is stopped.
    """

    def __init__(
        self,
        show: Callable[[str, Any], None],
        artifact: Path = DEFAULT_ARTIFACT,
        port: int = 0,
        watched: Callable[[], bool] = lambda: True,
    ) -> None:
        super().__init__(show, port)
        self._artifact = artifact
        self._watched = watched
        self._plan: list[str] = []
        """What is still to be run, in this order: modes, or `TAMPER`."""
        self._folder: TemporaryFolder | None = None
        self._damaged = ""
        """The file with the flipped bit, while a damaged copy is served."""
        self._farewell: tuple[str, str, dict[str, Any]] = ("stopped", "", {})
        """What is said when it has stopped: a text's name, its kind, its values."""
        self._deaths = 0
        self._died: float | None = None
        """When the process died that is being started again."""
        _all.add(self)

    def simulate(self, mode: str) -> None:
        """Run the flow for a mode, or all in turn. Ignored while a step is under way."""
        self.post(self._simulate, list(MODES) if mode == ALL else [mode])

    def tamper(self) -> None:
        """Start the service with a damaged copy of the artifact."""
        self.post(self._simulate, [TAMPER])

    def choose(self, mode: str) -> None:
        """Remember where the switch stands, for other views of this panel."""
        self.post(setattr, self.state, "chosen", mode)

    def stop(self) -> None:
        """Ask the service to stop."""
        self.post(self._stop, "stopped")

    def kill(self) -> None:
        """End the process at once. It is started again, as a supervisor would."""
        self.post(self._kill)

    def more(self) -> None:
        """Send the photos once more."""
        self.post(self._more)

    def predict(self, name: str, image: bytes) -> None:
        """Classify an image file."""
        self.post(self._classify, name, image)

    def sample(self, name: str) -> None:
        """Classify a sample photo."""
        self.post(self._classify, name, photo_named(name))

    def tick(self) -> None:
        """Look after the process, and show how the flow stands."""
        if self.program is not None and self.flow.phase != "stopping" and not self._watched():
            self._stop("unwatched")
        self.state.flow(self.flow, self.alive, sure=not self._plan)
        super().tick()

    def end(self) -> None:
        """Leave nothing behind."""
        super().end()
        self._remove_folder()

    # What is run next

    def _simulate(self, plan: list[str]) -> None:
        if self.flow.busy or self._plan:
            return
        self._deaths, self._died = 0, None
        self._plan = plan
        for mode in plan:
            self.state.forget_latencies(mode)
        if self.program is None:
            self._next()
        else:
            self._make_way()

    def _make_way(self) -> None:
        self.state.say_and_log("making_way")
        self._end_with("stopped")

    def _next(self) -> None:
        if (what := self._plan.pop(0)) == TAMPER:
            self.begin(START_UP)
            self.state.say("copying")
            self._folder = TemporaryFolder("workshop-panel-")
            self.in_background(self._copy, self.run, self._folder)
        else:
            self.state.say("starting")
            self.start(what, self._artifact)

    def _copy(self, run: int, folder: TemporaryFolder) -> None:
        try:
            copy, name = copy_with_a_flipped_bit(self._artifact, folder.path)
        except (OSError, ValueError) as error:
            self.post(self._not_copied, run, folder, error)
        else:
            self.post(self._copied, run, folder, copy, name)

    def _not_copied(self, run: int, folder: TemporaryFolder, error: Exception) -> None:
        folder.remove()
        if run == self.run:
            self._folder = None
            self.not_started(error)

    def _copied(self, run: int, folder: TemporaryFolder, copy: Path, name: str) -> None:
        if run != self.run:
            folder.remove()
            return
        self._damaged = name
        self.state.say("tampered", file=name)
        self.start(START_UP, copy)

    def not_started(self, error: Exception) -> None:
        """There is no artifact, no room for a copy, or no process to be had."""
        self.flow.ended(time.monotonic())
        self._plan.clear()
        self._damaged = ""
        self._remove_folder()
        if (self._artifact / MANIFEST).is_file():
            self.state.say("not_started", "bad", reason=str(error))
        else:
            self.state.say("no_artifact", "bad", path=str(self._artifact))

    # It is ready

    def became_ready(self, url: str) -> None:
        """Look at what it says of itself, and send it photos: all, or after a death just one."""
        if self._damaged:
            self._end_with("not_caught", "bad")
            return
        service, run = SERVICES[self.state.mode], self.run
        if service.tells:
            tell = partial(self.post, self._told, run)
            self.in_background(errands.watch, url, partial(self.wanted, run), tell)
        if self._died is None:
            self.state.say("photos")
        self._send_photos(service.photos if self._died is None else 1)

    def _told(self, run: int, name: str, value: dict[str, Any]) -> None:
        if run == self.run and self.program is not None:
            self.state.tell(name, value)

    def _send_photos(self, count: int) -> None:
        run, seconds = self.run, SERVICES[self.state.mode].seconds
        answered = partial(self.post, self._answered, run)
        done = partial(self.post, self._photos_done, run)
        what = (self.flow.url, self.group, photos_to_send(), count, seconds)
        self.flow.photos(time.monotonic())
        self.in_background(errands.send_photos, *what, partial(self.wanted, run), answered, done)

    def _answered(self, run: int, at: float, answer: Answer) -> None:
        if run != self.run or answer.status != 200:
            return
        first = self.flow.first_s is None
        self.flow.answered(at)
        if self._died is None:
            self.state.latency(answer.ms)
        if first and self._died is None:
            shown = self.flow.snapshot()
            self.state.remark("milestone", first=shown["first_s"], ready=shown["ready_s"])

    def _photos_done(self, run: int, at: float, others: float | None) -> None:
        if run != self.run or self.flow.phase != "serving" or self.program is None:
            return
        self.flow.photos_done(at)
        if self._died is not None:
            self.state.say("back", "good", seconds=f"{at - self._died:.1f}")
            self._died = None
        else:
            self.state.verdict(others)
        if any(other is not self and other.alive for other in _all):
            self.state.remark("shared")
        if self._plan:
            self.in_background(self._pause, run)

    def _pause(self, run: int) -> None:
        time.sleep(BETWEEN_S)
        self.post(self._go_on, run)

    def _go_on(self, run: int) -> None:
        if run == self.run and self._plan and self.program is not None:
            self._make_way()

    def _more(self) -> None:
        if self.flow.phase == "serving" and not self.flow.busy and self.program is not None:
            self.state.forget_latencies(self.state.mode)
            self.state.say("photos")
            self._send_photos(SERVICES[self.state.mode].photos)

    def _classify(self, name: str, image: bytes) -> None:
        if self.flow.phase != "serving" or self.flow.url is None:
            self._tried(self.run, {"key": "try_first", "values": {}})
            return
        self.load_ms = None
        tell = partial(self.post, self._tried, self.run)
        self.in_background(errands.classify, self.flow.url, name, image, tell)

    def _tried(self, run: int, found: dict[str, Any]) -> None:
        if "predictions" in found and run == self.run:
            self.state.latency(found["total_ms"])
            if self.load_ms is not None:  # a naive service says so in its log
                found["timing_ms"] = {**found["timing_ms"], "load": self.load_ms}
        # With the time, because the same answer twice is two answers.
        self.state.tell("trial", {**found, "at": time.time()})

    # It ends

    def _stop(self, reason: str) -> None:
        self._plan.clear()
        if self.program is not None:
            self.state.say("stopping")
            self._end_with(reason)
        elif self.flow.busy:  # the copy is being made; it is removed when it is done
            self.run += 1
            self._folder = None
            self.flow.stop(time.monotonic())
            self.flow.ended(time.monotonic())
            self.state.say(reason)

    def _end_with(self, key: str, kind: str = "", **values: Any) -> None:
        self._farewell = (key, kind, values)
        self.ask_to_stop()

    def too_slow(self, seconds: float) -> None:
        """Give up, in words."""
        self._plan.clear()
        self._end_with("too_slow", "bad", seconds=round(seconds))

    def _kill(self) -> None:
        if self.program is not None and self.flow.phase == "serving":
            self._died = time.monotonic()
            self.program.kill()

    def ended(self, status: int, *, asked: bool, was_ready: bool) -> None:
        """Say why, start the next in turn, or start the same again."""
        damaged, self._damaged = self._damaged, ""
        self._remove_folder()
        if asked and self._plan:
            self._next()
        elif asked:
            self.state.say(*self._farewell[:2], **self._farewell[2])
        elif was_ready:
            self._come_back(status)
        else:
            self._plan.clear()
            self.state.refused(self.flow.error, status, damaged, self.port)

    def _come_back(self, status: int) -> None:
        self._deaths += 1
        if self._deaths > MOST_DEATHS:
            self._plan.clear()
            self.state.say("keeps_dying", "bad", n=self._deaths)
            return
        self._died = self._died or time.monotonic()
        self.state.say_and_log("killed", "bad", status=status)
        self.start(self.state.mode, self._artifact, again=True)

    def _remove_folder(self) -> None:
        if self._folder is not None:
            self._folder.remove()
            self._folder = None
