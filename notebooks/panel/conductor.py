"""Runs the deployment flow: starts services, sends photos, reports results, restarts and stops."""

import contextlib
import queue
import threading
import time
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx2 as httpx

from learner.processes import Program, TemporaryFolder
from notebooks.panel import background
from notebooks.panel.services import ALL, MODES, SERVICES, START_UP, photo_named, photos_to_send
from notebooks.panel.state import State
from service.artifact.manifest import MANIFEST
from service.console.flow import Flow
from service.settings import DEFAULT_ARTIFACT, ROOT

TICK_S = 0.05
START_S = 90.0
STOP_S = 5.0
TAMPER = "tamper"
"""In a plan: a service with a damaged copy of the artifact."""
BETWEEN_S = 2.0
"""Pause in seconds between two services of a plan, so that people can read the result."""
MAX_DEATHS = 3
"""After more deaths than that in one flow, the service is not started again."""
_all: "weakref.WeakSet[Conductor]" = weakref.WeakSet()


class EventLoop:
    """Calls what is posted to it, in order, in one daemon thread: its owner needs no locks.

    The thread starts with the first post.

    Args:
        tick: called after each event, and every `TICK_S` seconds for as long as it returns True.
        end: called last, after `close`.
    """

    def __init__(self, tick: Callable[[], bool], end: Callable[[], None]) -> None:
        self._tick, self._end = tick, end
        self._events: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self.closed = False

    def post(self, action: Callable[..., None], *values: Any) -> None:
        """Have the loop call `action(*values)`. Returns at once; may be called from any thread."""
        self._events.put(partial(action, *values))
        with self._starting:
            if self._thread is None and not self.closed:
                self._thread = threading.Thread(target=self._run, daemon=True, name="panel")
                self._thread.start()

    def close(self) -> None:
        """End the loop, and wait until it has ended."""
        with self._starting:
            self.closed = True
        self._events.put(lambda: None)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(10)

    def _run(self) -> None:
        busy = False
        while not self.closed:
            with contextlib.suppress(queue.Empty):
                self._events.get(timeout=TICK_S if busy else None)()
            busy = self._tick()
        self._end()


class Conductor:
    """The back end of a panel. Public methods return at once; any thread may call them.

    Private methods run in the event loop, unless their docstring names another thread.

    Args:
        show: called in a thread with a name and a new value (JSON) that the front end shows.
        artifact: folder of the bundle to serve.
        port: for the service; 0 takes a free one.
        watched: whether a view is open; when none is, the service is stopped.
    """

    def __init__(
        self,
        show: Callable[[str, Any], None],
        artifact: Path = DEFAULT_ARTIFACT,
        port: int = 0,
        watched: Callable[[], bool] = lambda: True,
    ) -> None:
        self._loop = EventLoop(self._tick, self._end)
        self._post = self._loop.post
        self._state = State(show)
        self._artifact = artifact
        self._port = port
        self._watched = watched
        self._plan: list[str] = []
        """What runs next, in this order: modes, or `TAMPER`."""
        self._run = 0
        """Number of the current process; what is posted about an earlier one is ignored."""
        self._flow = Flow()
        self._program: Program | None = None
        self._deadline = 0.0
        """When the process must have started, or stopped (monotonic)."""
        self._load_ms: float | None = None
        """The time of the last load that a naive service has logged."""
        self._folder: TemporaryFolder | None = None
        self._damaged = ""
        """The file with the flipped bit, while a damaged copy is served."""
        self._farewell: tuple[str, str, dict[str, Any]] = ("stopped", "", {})
        """The sentence after the stop: a text's name, its kind, its values."""
        self._deaths = 0
        self._died: float | None = None
        """When the process died that is being started again (monotonic)."""
        _all.add(self)

    @property
    def alive(self) -> bool:
        """Whether a process of this panel runs."""
        return self._program is not None

    def simulate(self, mode: str) -> None:
        """Run the flow for a mode, or for all in turn. Ignored while a step is under way."""
        self._post(self._begin_plan, list(MODES) if mode == ALL else [mode])

    def tamper(self) -> None:
        """Start the service with a damaged copy of the artifact."""
        self._post(self._begin_plan, [TAMPER])

    def choose(self, mode: str) -> None:
        """Remember the position of the switch, for other views of this panel."""
        self._post(setattr, self._state, "chosen", mode)

    def stop(self) -> None:
        """Ask the service to stop."""
        self._post(self._stop, "stopped")

    def kill(self) -> None:
        """Kill the service. It is started again, as a supervisor would do."""
        self._post(self._kill)

    def more(self) -> None:
        """Send the photos once more."""
        self._post(self._send_photos_again)

    def predict(self, name: str, image: bytes) -> None:
        """Classify an image file."""
        self._post(self._classify, name, image)

    def sample(self, name: str) -> None:
        """Classify a sample photo."""
        self._post(self._classify, name, photo_named(name))

    def close(self) -> None:
        """End the process and the event loop; leave nothing behind."""
        self._loop.close()

    # Called by the event loop

    def _tick(self) -> bool:
        """Notice an end, enforce deadlines, show changes. True: call this again soon."""
        if self._program is not None and self._flow.phase != "stopping" and not self._watched():
            self._stop("unwatched")
        self._state.flow(self._flow, self.alive, sure=not self._plan)
        program, late = self._program, time.monotonic() > self._deadline
        if program is not None and not program.running:
            program.kill()  # posts its last lines before the event of its end
            self._program = None
            self._post_if_current(self._ended)(program.wait(0) or 0)
        elif program is not None and late and self._flow.phase == "stopping":
            program.kill()
        elif program is not None and late and self._flow.phase in ("starting", "recovering"):
            self._plan.clear()
            self._end_with("too_slow", "bad", seconds=round(START_S))
            program.kill()
        self._state.flush()
        return self.alive or self._state.dirty

    def _end(self) -> None:
        self._run += 1
        if self._program is not None:
            self._program.kill()
            self._program = None
        self._remove_folder()

    # Work of other threads

    def _in_background(self, work: Callable[..., None], *values: Any) -> None:
        threading.Thread(target=work, args=values, daemon=True, name="panel-work").start()

    def _post_if_current(self, action: Callable[..., None]) -> Callable[..., None]:
        """Return a function that posts `action`, which is ignored once another process runs."""
        run = self._run

        def call(*values: Any) -> None:
            if run == self._run:
                action(*values)

        return partial(self._post, call)

    def _is_wanted(self, run: int) -> bool:
        """Whether results about a process still matter. Called from other threads."""
        return run == self._run and not self._loop.closed

    # What is run next

    def _begin_plan(self, plan: list[str]) -> None:
        if self._flow.busy or self._plan:
            return
        self._deaths, self._died = 0, None
        self._plan = plan
        for mode in plan:
            self._state.forget_latencies(mode)
        if self._program is None:
            self._run_next()
        else:
            self._make_way()

    def _make_way(self) -> None:
        self._state.say_and_log("making_way")
        self._end_with("stopped")

    def _run_next(self) -> None:
        if (what := self._plan.pop(0)) == TAMPER:
            self._begin(START_UP)
            self._state.say("copying")
            self._folder = TemporaryFolder("workshop-panel-")
            self._in_background(self._copy, self._run, self._folder)
        else:
            self._state.say("starting")
            self._start(what, self._artifact)

    def _begin(self, mode: str, *, again: bool = False) -> None:
        """Begin a flow; what belongs to an earlier one does not count any more."""
        self._run += 1
        self._flow = Flow(SERVICES[mode].steps)
        self._flow.begin(time.monotonic(), again=again)
        self._state.begin(mode)
        self._load_ms = None

    def _start(self, mode: str, artifact: Path, *, again: bool = False) -> None:
        """Start the service of a mode; `again`: after it died."""
        self._begin(mode, again=again)
        self._deadline = time.monotonic() + START_S
        command = SERVICES[mode].command(self._port, artifact)
        shown = [part.removeprefix(f"{ROOT}/") for part in command[1:]]
        self._state.command(f"$ python {' '.join(shown)}")
        read = self._post_if_current(self._read_line)
        try:
            (artifact / MANIFEST).stat()
            self._program = Program(command, on_line=lambda line: read(time.monotonic(), line.text))
        except OSError as error:
            self._not_started(error)

    def _copy(self, run: int, folder: TemporaryFolder) -> None:
        """Runs in a thread of its own."""
        try:
            copy, name = background.copy_with_a_flipped_bit(self._artifact, folder.path)
        except (OSError, ValueError) as error:
            self._post(self._not_copied, run, folder, error)
        else:
            self._post(self._copied, run, folder, copy, name)

    def _not_copied(self, run: int, folder: TemporaryFolder, error: Exception) -> None:
        folder.remove()
        if run == self._run:
            self._folder = None
            self._not_started(error)

    def _copied(self, run: int, folder: TemporaryFolder, copy: Path, name: str) -> None:
        if run != self._run:
            folder.remove()
            return
        self._damaged = name
        self._state.say("tampered", file=name)
        self._start(START_UP, copy)

    def _not_started(self, error: Exception) -> None:
        """There is no artifact, no room for a copy, or no new process."""
        self._flow.ended(time.monotonic())
        self._plan.clear()
        self._damaged = ""
        self._remove_folder()
        if (self._artifact / MANIFEST).is_file():
            self._state.say("not_started", "bad", reason=str(error))
        else:
            self._state.say("no_artifact", "bad", path=str(self._artifact))

    # It is ready

    def _read_line(self, at: float, text: str) -> None:
        self._load_ms = self._state.line(text) or self._load_ms
        was_ready = self._flow.url is not None
        self._flow.line(at, text)
        if self._flow.url is not None and not was_ready:
            self._became_ready(self._flow.url)

    def _became_ready(self, url: str) -> None:
        """Watch it, and send photos: all of them, or one after a restart."""
        if self._damaged:
            self._end_with("not_caught", "bad")
            return
        service = SERVICES[self._state.mode]
        if service.has_metrics:
            wanted = partial(self._is_wanted, self._run)
            self._in_background(background.watch, url, wanted, self._post_if_current(self._told))
        if self._died is None:
            self._state.say("photos")
        self._send_photos(service.photos if self._died is None else 1)

    def _told(self, name: str, value: dict[str, Any]) -> None:
        if self.alive:
            self._state.tell(name, value)

    def _send_photos(self, count: int) -> None:
        assert self._program is not None
        self._flow.photos(time.monotonic())
        self._in_background(
            background.send_photos,
            self._flow.url,
            self._program.group,
            photos_to_send(),
            count,
            SERVICES[self._state.mode].seconds,
            partial(self._is_wanted, self._run),
            self._post_if_current(self._answered),
            self._post_if_current(self._photos_done),
        )

    def _answered(self, at: float, answer: httpx.Response) -> None:
        if answer.status_code != 200:
            return
        first = self._flow.first_s is None
        self._flow.answered(at)
        if self._died is None:
            self._state.latency(background.milliseconds(answer))
        if first and self._died is None:
            shown = self._flow.snapshot()
            self._state.remark("milestone", first=shown["first_s"], ready=shown["ready_s"])

    def _photos_done(self, at: float, others: float) -> None:
        if self._flow.phase != "serving" or self._program is None:
            return
        self._flow.photos_done(at)
        if self._died is not None:
            self._state.say("back", "good", seconds=f"{at - self._died:.1f}")
            self._died = None
        else:
            self._state.verdict(others)
        if any(other is not self and other.alive for other in _all):
            self._state.remark("shared")
        if self._plan:
            self._in_background(self._pause, self._post_if_current(self._go_on))

    def _pause(self, then: Callable[[], None]) -> None:
        """Runs in a thread of its own."""
        time.sleep(BETWEEN_S)
        then()

    def _go_on(self) -> None:
        if self._plan and self._program is not None:
            self._make_way()

    def _send_photos_again(self) -> None:
        if self._flow.phase == "serving" and not self._flow.busy and self._program is not None:
            self._state.forget_latencies(self._state.mode)
            self._state.say("photos")
            self._send_photos(SERVICES[self._state.mode].photos)

    def _classify(self, name: str, image: bytes) -> None:
        if self._flow.phase != "serving" or self._flow.url is None:
            self._tried(self._run, {"key": "try_first", "values": {}})
            return
        self._load_ms = None
        tell = partial(self._post, self._tried, self._run)
        self._in_background(background.classify, self._flow.url, name, image, tell)

    def _tried(self, run: int, result: dict[str, Any]) -> None:
        if "predictions" in result and run == self._run:
            self._state.latency(result["total_ms"])
            if self._load_ms is not None:  # a naive service logs it
                result["timing_ms"] = {**result["timing_ms"], "load": self._load_ms}
        # With the time, because the same answer twice is two answers.
        self._state.tell("trial", {**result, "at": time.time()})

    # It ends

    def _stop(self, reason: str) -> None:
        self._plan.clear()
        if self._program is not None:
            self._state.say("stopping")
            self._end_with(reason)
        elif self._flow.busy:  # the copy is being made; it is removed when it is done
            self._run += 1
            self._folder = None
            self._flow.stop(time.monotonic())
            self._flow.ended(time.monotonic())
            self._state.say(reason)

    def _end_with(self, key: str, kind: str = "", **values: Any) -> None:
        """Send SIGTERM, and SIGKILL after `STOP_S`; then say `key`."""
        assert self._program is not None
        self._farewell = (key, kind, values)
        self._flow.stop(time.monotonic())
        self._deadline = time.monotonic() + STOP_S
        self._program.ask_to_stop()

    def _kill(self) -> None:
        if self._program is not None and self._flow.phase == "serving":
            self._died = time.monotonic()
            self._program.kill()

    def _ended(self, status: int) -> None:
        """Run the next service, say why this one has ended, or start it again."""
        asked, was_ready = self._flow.phase == "stopping", self._flow.url is not None
        status = 128 - status if status < 0 else status  # as a shell says it: 137 for SIGKILL
        self._flow.ended(time.monotonic())
        self._state.tell("metrics", {})
        damaged, self._damaged = self._damaged, ""
        self._remove_folder()
        if asked and self._plan:
            self._run_next()
        elif asked:
            self._state.say(*self._farewell[:2], **self._farewell[2])
        elif was_ready:
            self._come_back(status)
        else:
            self._plan.clear()
            self._state.refused(self._flow.error, status, damaged, self._port)

    def _come_back(self, status: int) -> None:
        self._deaths += 1
        if self._deaths > MAX_DEATHS:
            self._plan.clear()
            self._state.say("keeps_dying", "bad", n=self._deaths)
            return
        self._died = self._died or time.monotonic()
        self._state.say_and_log("killed", "bad", status=status)
        self._start(self._state.mode, self._artifact, again=True)

    def _remove_folder(self) -> None:
        if self._folder is not None:
            self._folder.remove()
            self._folder = None
