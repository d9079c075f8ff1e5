"""Admission: refuse at the door what could not be answered in time.

A queue in front of a busy device only grows: requests that wait in it come too late for their
callers and make all others late. So the wait is computed before a request is let in, from the
rate at which requests really leave, and a refusal says when to try again.
"""

import math

STRICT, LENIENT = 0.6, 2.0
"""Shares of the target latency that a request may be expected to take: under lasting overload (the
rest is room for what cannot be foreseen), and in a burst."""
PATIENCE_S = 0.1
"""A burst is over by then; what lasts longer is overload."""
CALM_S = 1.0
"""Overload is over when nothing had to be refused for so long."""
_WEIGHT = 0.05
"""Of the newest observation in the moving averages."""


class Admission:
    """Decides who may enter. Not thread-safe: its owner holds a lock. Times in seconds."""

    def __init__(self, target_s: float, service_s: float, parallel: int) -> None:
        """Start from what the warm-up measured.

        Args:
            target_s: the latency that 99 of 100 answers should keep.
            service_s: one request's time when alone.
            parallel: how many requests the machine works on at full speed.
        """
        self.target_s = target_s
        self.service_s = service_s
        """Of a request, once work on it begins (moving average)."""
        self._parallel = parallel
        self.interval_s = service_s / parallel
        """Between two answers while requests wait (moving average): 1 / drain rate."""
        self._last_answer: float | None = None
        self._above_since: float | None = None
        self._overloaded_until = -math.inf

    def answered(self, now: float, service_s: float, requests_wait: bool) -> None:
        """Learn from a request that is done."""
        self.service_s += _WEIGHT * (service_s - self.service_s)
        if self._last_answer is not None:
            self.interval_s += _WEIGHT * (now - self._last_answer - self.interval_s)
        # The time between two answers is the drain rate's only if there was always work to do.
        self._last_answer = now if requests_wait else None
        # Without waiting there would be nothing to learn from, and a slow start never forgotten.
        self.interval_s = min(self.interval_s, self.service_s / self._parallel)

    def expected_s(self, ahead: int) -> float:
        """How long a request will take that finds so many before it."""
        return max(self.service_s, (ahead + 1) * self.interval_s)

    def retry_after(self, ahead: int, now: float, deadline_s: float | None) -> int | None:
        """Whether to let a request in.

        Args:
            ahead: requests inside that will be answered before it.
            now: seconds of a monotonic clock.
            deadline_s: what the request says that it can wait; None leaves it to the target.

        Returns:
            None for yes; else whole seconds, at least 1, after which it would be let in.
        """
        expected = self.expected_s(ahead)
        limit = deadline_s if deadline_s is not None else self._limit(expected, now)
        if expected <= limit or (ahead < self._parallel and deadline_s is None):
            return None
        return max(1, math.ceil(expected - limit))

    def _limit(self, expected: float, now: float) -> float:
        """How long a request may be expected to take that does not say.

        The target is one for 99 of 100: in a burst the hundredth is late rather than refused.
        Under lasting overload, however, all would be late; then the line is drawn before that.
        """
        strict = STRICT * self.target_s
        if expected <= strict:
            self._above_since = None
        elif self._above_since is None:
            self._above_since = now
        overloaded = now < self._overloaded_until
        if self._above_since is not None and (overloaded or now - self._above_since > PATIENCE_S):
            self._overloaded_until = now + CALM_S
            overloaded = True
        return strict if overloaded else LENIENT * self.target_s
