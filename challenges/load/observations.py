"""The record of a load run, and whether its figures describe the server."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from challenges.load.arrivals import Seconds

LOST = 0
"""Status of a request without an answer: refused, reset or given up."""
UNSENT = -1
"""Status of a request that the generator could not send, for want of its own means."""
MOST_LATE_MS = 10.0
MOST_CPU_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class Observations:
    """One run: arrays with one entry per request; times in seconds from the start."""

    due: Seconds
    sent: Seconds
    done: Seconds
    """When the answer was complete, or the request lost."""
    status: npt.NDArray[np.int64]
    """HTTP status; `LOST` without an answer, `UNSENT` if it never left."""
    bodies: Sequence[bytes]
    retry_after: Seconds
    """The header's value, seconds (a date is turned into them); NaN without one."""
    cpu_share: float
    """Share of one core that the generator itself used."""
    own_fault: str = ""
    """What the generator lacked to send all requests, if it did."""

    @property
    def ok(self) -> npt.NDArray[np.bool_]:
        """Which requests were answered 200."""
        return np.equal(self.status, 200)

    @property
    def latency_ms(self) -> npt.NDArray[np.float64]:
        """From the moment a request was due to its whole answer, milliseconds."""
        return (self.done - self.due) * 1000

    @property
    def waited_ms(self) -> npt.NDArray[np.float64]:
        """`latency_ms`, and infinity for a request that failed: to refuse must not look fast."""
        return np.where(self.ok, self.latency_ms, np.inf)

    @property
    def lateness_ms(self) -> npt.NDArray[np.float64]:
        """From the moment a request was due to its leaving: the generator's own fault, ms."""
        return (self.sent - self.due) * 1000

    @property
    def throughput(self) -> float:
        """Right answers a second, from the first request due to the last answer."""
        if not self.ok.any():
            return 0.0
        return float(self.ok.sum() / (self.done[self.ok].max() - self.due[0]))

    def percentile(self, share: float) -> float:
        """Return the time in ms (`waited_ms`) that `share` (in %) of the requests do not exceed."""
        return float(np.percentile(self.waited_ms, share, method="higher"))

    def wrong(self, is_right: Callable[[int, bytes], bool]) -> int:
        """Count the answers with status 200 that `is_right(request number, body)` rejects."""
        return sum(
            ok and not is_right(number, body)
            for number, (ok, body) in enumerate(zip(self.ok, self.bodies, strict=True))
        )

    def bottleneck(self) -> str | None:
        """Return why this run measured the generator rather than the server, or None."""
        if self.own_fault:
            unsent = int((self.status == UNSENT).sum())
            return f"the generator could not send {unsent} requests: {self.own_fault}"
        late = float(np.percentile(self.lateness_ms, 99))
        if self.cpu_share > MOST_CPU_SHARE:
            return f"the generator used {self.cpu_share:.0%} of a core"
        if late > MOST_LATE_MS:
            return f"the generator sent 1 % of the requests over {late:.1f} ms late"
        return None
