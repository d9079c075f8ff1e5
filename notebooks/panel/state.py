"""What the front end shows: bounded, told in values of JSON, and not more often than is useful."""

import re
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from notebooks.panel.services import EVERY, FIRST, START_UP
from service.console.flow import Flow, is_polling, kind_of

EVERY_S = {"lines": 0.08, "log": 1.5, "latencies": 0.3}
"""At most so often a value is shown: the service needs the processor more than the picture does.
The new lines come at once, the whole log, which another view begins with, behind them."""
MOST_LINES = 400
MOST_LATENCIES = 200
TARGET_MS = 50
BUSY = 0.25
"""The share of the processors that other programs must have had for it to be worth mentioning."""
_LOADED = re.compile(r"Loaded \S+ in (\d+) ms")


class State:
    """The values of a panel by name; `show(name, value)` is called when one has changed."""

    def __init__(self, show: Callable[[str, Any], None]) -> None:
        self._show = show
        self._lines: deque[dict[str, Any]] = deque(maxlen=MOST_LINES)
        self._count = 0
        self._begun = time.monotonic()
        self._changed: dict[str, Any] = {}
        self._shown: dict[str, Any] = {}
        self._when: dict[str, float] = {}
        self._latencies: dict[str, list[float]] = {}
        self.mode = START_UP
        """The service that runs, or ran last."""
        self.chosen = START_UP
        """Where the switch stands."""
        self._sentence: dict[str, Any] | None = None

    def begin(self, mode: str) -> None:
        """Another process is about to run."""
        self.mode = mode
        self.tell("artifact", {})
        self.tell("metrics", {})

    def flow(self, flow: Flow, alive: bool, sure: bool) -> None:
        """The flow as it stands; `sure`: no further service follows by itself."""
        shown = {
            **flow.snapshot(),
            "alive": alive,
            "mode": self.mode,
            "chosen": self.chosen,
            "sentence": self._sentence,
        }
        shown["busy"] = shown["busy"] or not sure
        self.tell("flow", shown)

    def say(self, key: str, kind: str = "", **values: Any) -> None:
        """The sentence under the button: a name of `texts`, and what fills it in."""
        self._sentence = {"key": key, "kind": kind, "values": values}

    def say_and_log(self, key: str, kind: str = "", **values: Any) -> None:
        """The sentence under the button, and the same in the terminal, unspoken there."""
        self.say(key, kind, **values)
        self._append({"kind": "panel", "key": key, "values": values, "said": True})

    def line(self, text: str) -> float | None:
        """A line of the service's output. Returns the ms of a load, if it reports one."""
        if not is_polling(text):
            self._append({"kind": kind_of(text), "text": text})
        loaded = _LOADED.search(text)
        return float(loaded[1]) if loaded else None

    def command(self, text: str) -> None:
        """The command that starts a service, as one would type it."""
        self._append({"kind": "panel", "text": text})

    def remark(self, key: str, **values: Any) -> None:
        """A line of the panel's own in the terminal, told apart from the service's output."""
        self._append({"kind": "panel", "key": key, "values": values})

    def latency(self, ms: float) -> None:
        """A photo was answered after that time."""
        own = [*self._latencies.get(self.mode, []), round(ms, 2)][-MOST_LATENCIES:]
        self._latencies = {**self._latencies, self.mode: own}
        self.tell("latencies", self._latencies)

    def forget_latencies(self, mode: str) -> None:
        """The photos of a mode are sent anew."""
        self._latencies = {name: own for name, own in self._latencies.items() if name != mode}
        self.tell("latencies", self._latencies)

    def verdict(self, others: float | None = None) -> None:
        """Say how the latencies stand to the target.

        Args:
            others: the share of the processors that other programs had meanwhile, if known.
        """
        own = self._latencies.get(self.mode, [])
        if not own:
            return
        values = {"n": len(own), "target": TARGET_MS, "p50": _shown(quantile(own, 0.5))}
        last = quantile(own, 0.99)
        if self.mode == EVERY and quantile(own, 0.5) > TARGET_MS:
            self.say("missed_every", "bad", **values)
        elif self.mode == FIRST and own[0] > TARGET_MS and len(own) > 1:
            later = {"n": len(own) - 1, "p50": _shown(quantile(own[1:], 0.5))}
            self.say("missed_first", "bad", **{**values, **later, "first": _shown(own[0])})
        elif last <= TARGET_MS:
            self.say("met", "good", **values, p99=_shown(last))
        else:
            share = others or 0.0
            key = "missed_busy" if share >= BUSY else "missed"
            self.say(key, "bad", **values, p99=_shown(last), share=round(100 * share))

    def refused(self, reason: str | None, status: int, damaged: str, port: int) -> None:
        """Say why a service was not ready when it ended.

        Args:
            reason: what it said itself, if anything.
            status: its exit status.
            damaged: the file of its artifact that was damaged on purpose, or "".
            port: that it was given.
        """
        if reason is None:
            self.say("killed_starting", "bad", status=status)
        elif damaged and damaged in reason:
            self.say("caught", "good", file=damaged)
            self.remark("none_runs")
        elif reason.startswith("cannot listen"):
            self.say("port_taken", "bad", port=port)
        else:
            self.say("refused", "bad", reason=reason)

    def tell(self, name: str, value: Any) -> None:
        """Show a value, if it is not what is shown already, with the next flush."""
        if self._shown.get(name) != value:
            self._changed[name] = value

    @property
    def dirty(self) -> bool:
        """Whether something waits to be shown."""
        return bool(self._changed)

    def flush(self) -> None:
        """Show what has changed and is due."""
        now = time.monotonic()
        for name in [*self._changed]:
            if now - self._when.get(name, 0) >= EVERY_S.get(name, 0):
                self._when[name] = now
                value = self._shown[name] = self._changed.pop(name)
                self._show(name, value)

    def _append(self, line: dict[str, Any]) -> None:
        self._count += 1
        at = round(time.monotonic() - self._begun, 3)
        self._lines.append({"n": self._count, "at": at, **line})
        news = [*self._changed.get("lines", []), self._lines[-1]]
        self._changed["lines"] = news[-MOST_LINES:]
        self._changed["log"] = list(self._lines)


def quantile(values: list[float], share: float) -> float:
    """The value that `share` of all (at least one) are not above: the nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def _shown(ms: float) -> str:
    return f"{ms:.1f}" if ms < 10 else f"{ms:.0f}"
