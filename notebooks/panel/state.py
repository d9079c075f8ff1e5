"""The values that the front end shows: JSON, of bounded size, sent no more often than useful."""

import re
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from notebooks.panel.services import EVERY, FIRST, START_UP
from service.console.flow import Flow, is_polling, kind_of

EVERY_S = {"lines": 0.08, "log": 1.5, "latencies": 0.3}
"""Least seconds between two updates of a value: the service needs the processor, too.
New lines come almost at once; the whole log, with which a second view begins, comes later."""
MOST_LINES = 400
MOST_LATENCIES = 200
TARGET_MS = 50
BUSY = 0.25
"""Share of the processors from which on other programs are named as a cause."""
_LOADED = re.compile(r"Loaded \S+ in (\d+) ms")


class State:
    """The values of a panel, by name. `show(name, value)` is called for each change."""

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
        """The mode of the current or last service."""
        self.chosen = START_UP
        """The position of the switch."""
        self._sentence: dict[str, Any] | None = None

    def begin(self, mode: str) -> None:
        """Forget what belongs to the last process."""
        self.mode = mode
        self.tell("artifact", {})
        self.tell("metrics", {})

    def flow(self, flow: Flow, alive: bool, sure: bool) -> None:
        """Show the flow; `sure`: no other service follows in the plan."""
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
        """Set the sentence under the button: a name of `texts`, its kind, and its values."""
        self._sentence = {"key": key, "kind": kind, "values": values}

    def say_and_log(self, key: str, kind: str = "", **values: Any) -> None:
        """Set the sentence under the button, and log it (screen readers read it only once)."""
        self.say(key, kind, **values)
        self._append({"kind": "panel", "key": key, "values": values, "said": True})

    def line(self, text: str) -> float | None:
        """Add a line of the service's output; return the ms of a load, if it reports one."""
        if not is_polling(text):
            self._append({"kind": kind_of(text), "text": text})
        loaded = _LOADED.search(text)
        return float(loaded[1]) if loaded else None

    def command(self, text: str) -> None:
        """Log the command that starts a service, as one would type it."""
        self._append({"kind": "panel", "text": text})

    def remark(self, key: str, **values: Any) -> None:
        """Log a line of the panel itself, which looks different from the service's output."""
        self._append({"kind": "panel", "key": key, "values": values})

    def latency(self, ms: float) -> None:
        """Add the latency of a photo, in ms."""
        own = [*self._latencies.get(self.mode, []), round(ms, 2)][-MOST_LATENCIES:]
        self._latencies = {**self._latencies, self.mode: own}
        self.tell("latencies", self._latencies)

    def forget_latencies(self, mode: str) -> None:
        """Remove the latencies of a mode."""
        self._latencies = {name: own for name, own in self._latencies.items() if name != mode}
        self.tell("latencies", self._latencies)

    def verdict(self, others: float = 0.0) -> None:
        """Say whether the latencies meet the target.

        Args:
            others: share of the processors, 0 to 1, that other programs had meanwhile.
        """
        own = self._latencies.get(self.mode, [])
        if not own:
            return
        values = {"n": len(own), "target": TARGET_MS, "p50": _format_ms(quantile(own, 0.5))}
        p99 = quantile(own, 0.99)
        if self.mode == EVERY and quantile(own, 0.5) > TARGET_MS:
            self.say("missed_every", "bad", **values)
        elif self.mode == FIRST and own[0] > TARGET_MS and len(own) > 1:
            later = {"n": len(own) - 1, "p50": _format_ms(quantile(own[1:], 0.5))}
            self.say("missed_first", "bad", **{**values, **later, "first": _format_ms(own[0])})
        elif p99 <= TARGET_MS:
            self.say("met", "good", **values, p99=_format_ms(p99))
        else:
            key = "missed_busy" if others >= BUSY else "missed"
            self.say(key, "bad", **values, p99=_format_ms(p99), share=round(100 * others))

    def refused(self, reason: str | None, status: int, damaged: str, port: int) -> None:
        """Say why a service ended before it was ready.

        Args:
            reason: its own error message, if there is one.
            status: its exit status.
            damaged: file of its artifact that was damaged on purpose, or "".
            port: the port that it was given.
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
        """Show a value with the next flush, if it has changed."""
        if self._shown.get(name) != value:
            self._changed[name] = value

    @property
    def dirty(self) -> bool:
        """Whether a change has not been shown yet."""
        return bool(self._changed)

    def flush(self) -> None:
        """Show the changes that are due."""
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
    """Return a quantile (0 < share <= 1) of at least one value, by the nearest-rank method."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def _format_ms(ms: float) -> str:
    return f"{ms:.1f}" if ms < 10 else f"{ms:.0f}"
