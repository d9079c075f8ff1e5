"""Admission: refuse before the body is read what could not be answered in time.

A queue in front of a busy device only grows: requests that wait in it come too late for their
callers and make all others late. So the wait is computed before a request is let in, from the
rate at which requests really leave, and a refusal says when to try again.
"""

import math

STRICT, LENIENT = 0.6, 2.0
"""Multiples of the target latency that a request may be expected to take: under lasting overload
(the rest is a reserve), and in a burst."""
PATIENCE_S, PATIENCE_SERVICES = 0.1, 12
"""A burst counts as overload after PATIENCE_S seconds or PATIENCE_SERVICES service times,
whichever is longer."""
CALM_S = 1.0
"""Overload ends when nothing had to be refused for this many seconds."""
PROBE_S = 1.0
"""Probe interval in seconds: an idle server admits one request per interval whose deadline looks
too short, so that a wrong estimate can recover."""
FORGET_S = 10.0
"""Half-life of the fastest time on an idle server: what is not measured again is not believed."""
_GROWTH = 1.01
"""The fastest time grows by this factor with each request, towards what requests really take."""
_WEIGHT = 0.05
"""Weight of the newest request in the moving averages."""


class Admission:
    """Decide who may enter. Not thread-safe: its owner holds a lock. Times in seconds."""

    def __init__(self, target_s: float, service_s: float, interval_s: float, lanes: int) -> None:
        """Start from what the warm-up measured.

        Args:
            target_s: the latency that 99 of 100 answers should keep.
            service_s: one request's time when alone.
            interval_s: time between two answers when there is always work to do.
            lanes: how many requests are worked on at once without waiting for each other.
        """
        self.target_s = target_s
        self.service_s = service_s
        """Time of a request, once work on it begins (moving average)."""
        self.fastest_s = service_s
        """Time of the fastest requests of late. Images differ in cost by a factor of 100. On an
        idle server only the image itself counts, so there the optimistic estimate decides."""
        self.interval_s = interval_s
        """Time between two answers while requests wait (moving average): 1 / drain rate."""
        self._lanes = lanes
        self._last_answer: float | None = None
        self._above_since: float | None = None
        self._overloaded_until = -math.inf
        self._next_probe = -math.inf
        self._last_seen = math.inf

    def answered(self, now: float, service_s: float, count: int, requests_wait: bool) -> None:
        """Learn from a batch of `count` requests that is done, each of which took `service_s`."""
        weight = 1 - (1 - _WEIGHT) ** count
        self.service_s += weight * (service_s - self.service_s)
        self.fastest_s = min(service_s, self.fastest_s * _GROWTH**count)
        self._last_seen = now
        if self._last_answer is not None:
            self.interval_s += weight * ((now - self._last_answer) / count - self.interval_s)
        # The time between two answers is the drain rate's only if there was always work to do.
        self._last_answer = now if requests_wait else None
        if not requests_wait:
            # Without waiting there is nothing else to learn from, and a slow start would never be
            # forgotten.
            self.interval_s = min(self.interval_s, self.service_s / self._lanes)

    def expected_s(self, ahead: int) -> float:
        """Return how long a request will take that finds `ahead` others before it."""
        return max(self.service_s, (ahead + 1) * self.interval_s)

    def retry_after(self, ahead: int, now: float, deadline_s: float | None) -> int | None:
        """Decide whether to let a request in.

        Args:
            ahead: requests inside that will be answered before it.
            now: seconds of a monotonic clock.
            deadline_s: what the request says that it can wait; None leaves it to the target.

        Returns:
            None for yes; else the whole seconds, at least 1, in which the line will be short
            enough if nobody else comes.
        """
        expected = self.expected_s(ahead)
        if deadline_s is not None:
            if ahead < self._lanes:
                expected = self.fastest_s
            if expected <= deadline_s or self._may_probe(ahead, now, deadline_s):
                return None
            return max(1, math.ceil(expected - deadline_s))
        # The target is one for 99 of 100: in a burst the hundredth is late rather than refused.
        # Under lasting overload, however, all would be late; then the line is drawn before that.
        strict = max(STRICT * self.target_s, self.service_s)
        if expected <= strict:
            self._above_since = None
        elif self._above_since is None:
            self._above_since = now
        patience = max(PATIENCE_S, PATIENCE_SERVICES * self.service_s)
        lasting = self._above_since is not None and now - self._above_since > patience
        overloaded = lasting or now < self._overloaded_until
        limit = strict if overloaded else LENIENT * max(self.target_s, self.service_s)
        if expected <= limit or ahead < self._lanes:
            return None
        if overloaded:
            self._overloaded_until = now + CALM_S
        return max(1, math.ceil(expected - limit))

    def _may_probe(self, ahead: int, now: float, deadline_s: float) -> bool:
        if ahead or now < self._next_probe:
            return False
        silent_s = max(0.0, now - self._last_seen)
        believed_s = self.fastest_s * 0.5 ** (silent_s / FORGET_S)
        if deadline_s < believed_s / 4:
            return False
        self._next_probe = now + PROBE_S
        return True
