"""The flow of a deployment as a state machine: events in, steps and their times out.

Nothing here starts, waits or sends. The caller says what happened, and when.
"""

import re
from dataclasses import dataclass, field
from typing import Any, Literal

Phase = Literal["idle", "starting", "serving", "recovering", "stopping", "stopped", "refused"]
State = Literal["waiting", "running", "done", "failed"]

STEPS = ("start", "verify", "match", "load", "warm-up", "replay", "ready", "photos", "stop")
"""The steps of the reference service, in their order."""
NAIVE_STEPS = ("start", "ready", "photos", "stop")
"""The steps of a service that checks nothing and loads its weights when a request comes."""

_LOGGED = re.compile(
    r"\b(verify|match|load|warm-up|replay|ready)\s.*?(?:· ([\d.]+) (ms|s)\b|$)", re.DOTALL
)
_NAIVE_READY = "Uvicorn running on "
_URL = re.compile(r"https?://[^\s)]+")
_BEFORE_VERIFY = ("cannot listen", "setting ")
"""How the message of a refusal before the first logged step begins."""
_POLLING = re.compile(r'"(GET|HEAD) /(metrics|artifact|readyz|livez|console\S*)\b')


@dataclass(slots=True)
class Step:
    """One step, and how long it took."""

    id: str
    state: State = "waiting"
    ms: float | None = None


@dataclass(slots=True)
class Flow:
    """One run of a service, from its start to its end.

    All times `at` are seconds on one clock of the caller's choice.
    """

    names: tuple[str, ...] = STEPS
    phase: Phase = "idle"
    steps: list[Step] = field(init=False)
    url: str | None = None
    """Where the service listens, once it is ready."""
    error: str | None = None
    """The reason that a service gave for not starting."""
    ready_s: float | None = None
    """Seconds from the start of the process until it was ready."""
    first_s: float | None = None
    """Seconds from the start of the flow until the first prediction."""
    _begun: float = 0.0
    _mark: float = 0.0
    """When the current step began."""

    def __post_init__(self) -> None:
        self.steps = [Step(name) for name in self.names]

    def begin(self, at: float, *, again: bool = False) -> None:
        """Note that the process is being started; `again`: by its supervisor, after it died."""
        self.steps = [Step(name) for name in self.names]
        self.phase = "recovering" if again else "starting"
        self.url = self.error = self.ready_s = self.first_s = None
        self._begun = self._mark = at
        self._step("start").state = "running"

    def line(self, at: float, text: str) -> None:
        """Read a line that a service in another process wrote. A step is logged when it is done."""
        if text.startswith("error: "):
            self.error = text.removeprefix("error: ")
            return
        logged = _LOGGED.search(text)
        if logged:
            name, amount, unit = logged.groups()
        elif _NAIVE_READY in text:
            name, amount, unit = "ready", None, None
        else:
            return
        took = None if amount is None else float(amount) * (1000 if unit == "s" else 1)
        url = _URL.search(text) if name == "ready" else None
        if name != "ready" or url is not None:
            self.step_done(at, name, took, None if url is None else url.group())

    def step_done(self, at: float, name: str, took: float | None, url: str | None = None) -> None:
        """Note that a step of the start is done.

        Args:
            at: when.
            name: of `names`; others are ignored.
            took: its milliseconds if known; for "ready", those since the process started.
            url: where the service listens, for "ready".
        """
        if self.phase not in ("starting", "recovering"):
            return
        if name not in self.names or self._step(name).state == "done":
            return
        if name == "ready":
            self.url = url
            self.ready_s = took / 1000 if took is not None else at - self._begun
            took = None  # it is the sum of all steps, not the time of this one
        position = self.names.index(name)
        open_steps = [step for step in self.steps[:position] if step.state != "done"]
        for step in open_steps:  # in practice: the start of the process, up to its first line
            self._finish(step, max(at, self._mark) - (took or 0) / 1000)
        self._finish(self._step(name), at, took)
        if name == "ready":
            self.phase = "serving"
        else:
            self.steps[position + 1].state = "running"

    def photos(self, at: float) -> None:
        """Note that the first real photo is about to be sent."""
        self._mark = at
        step = self._step("photos")
        step.state, step.ms = "running", None

    def answered(self, at: float) -> None:
        """Note that a photo was answered."""
        if self.first_s is None:
            self.first_s = at - self._begun

    def photos_done(self, at: float) -> None:
        """Note that all photos were answered."""
        self._finish(self._step("photos"), at)

    def stop(self, at: float) -> None:
        """Note that the service was asked to stop."""
        self.phase = "stopping"
        self._mark = at
        for step in self.steps:
            if step.state == "running":
                step.state = "failed" if step.id != "photos" else "done"
        self._step("stop").state = "running"

    def ended(self, at: float) -> None:
        """Note that the process is gone, whether it was asked to stop or not."""
        if self.phase == "stopping":
            self._finish(self._step("stop"), at)
            self.phase = "stopped"
            return
        self.phase = "refused" if self.url is None else "stopped"
        early = (self.error or "").startswith(_BEFORE_VERIFY)
        if self.error and not early and self.lit == "start" and "verify" in self.names:
            self._step(
                "start"
            ).state = "done"  # a step is logged when it is done, not when it fails
            self._step("verify").state = "running"
        for step in self.steps:
            if step.state == "running":
                step.state = "failed"

    @property
    def busy(self) -> bool:
        """True while a step runs, so that the button must wait."""
        return any(step.state == "running" for step in self.steps)

    @property
    def lit(self) -> str | None:
        """The step whose code runs now."""
        return next((step.id for step in self.steps if step.state == "running"), None)

    def snapshot(self) -> dict[str, Any]:
        """Return what the front end shows, as JSON."""
        return {
            "phase": self.phase,
            "busy": self.busy,
            "lit": self.lit,
            "steps": [
                {"id": step.id, "state": step.state, "ms": step.ms and round(step.ms, 1)}
                for step in self.steps
            ],
            "url": self.url,
            "ready_s": self.ready_s and round(self.ready_s, 2),
            "first_s": self.first_s and round(self.first_s, 2),
        }

    def _step(self, name: str) -> Step:
        return self.steps[self.names.index(name)]

    def _finish(self, step: Step, at: float, took_ms: float | None = None) -> None:
        step.state = "done"
        step.ms = (at - self._mark) * 1000 if took_ms is None else took_ms
        step.ms = max(step.ms, 0.0)
        self._mark = max(at, self._mark)


def kind_of(text: str) -> str:
    """Return how the terminal colours a line: "error", "warning", "step", "request" or "quiet"."""
    if text.startswith(("error: ", "Traceback")) or " ERROR " in text:
        return "error"
    if " WARNING " in text:
        return "warning"
    if "HTTP/1.1" in text:
        return "request"
    return "step" if _LOGGED.search(text) or _NAIVE_READY in text else "quiet"


def is_polling(text: str) -> bool:
    """Return whether a log line only says that the panel asked for the state; it is not shown."""
    return bool(_POLLING.search(text))
