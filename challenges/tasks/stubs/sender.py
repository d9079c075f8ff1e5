"""Lesson 4: an open-loop sender. Requests come when they are due, whatever became of the others.

An example first, and how not to do it: a closed loop. It waits for each answer before it sends the
next request. A slow service gets fewer requests, and the waiting of those that were not sent is
never measured. Real users do not wait for each other.
"""

import threading
import time
from collections.abc import Callable, Sequence


def send_closed(count: int, request: Callable[[int], object]) -> list[float | None]:
    """Send requests one after another; the latency of each in ms, from its sending on."""
    latencies_ms: list[float | None] = []
    for i in range(count):
        sent = time.perf_counter()
        request(i)
        latencies_ms.append((time.perf_counter() - sent) * 1000)
    return latencies_ms


def send(due: Sequence[float], request: Callable[[int], object]) -> list[float | None]:
    """Send request i at the moment due[i]; the latency of each in ms, from that moment on.

    - `due` are seconds from the start, ascending: [0.0, 0.02, 0.04, …]. Sleep until each moment.
    - `request(i)` sends a request and returns when its answer is there. Call it in a thread of its
      own (`threading.Thread(target=…, args=(i,))`), so that the next one can be sent in time.
    - The latency counts from the moment when the request was DUE, not from when it was sent. If the
      sender itself is late (a moment may even lie before the start), users have waited.
    - A request that raises an error has the latency None. `percentile` of lesson 1 counts it.
    - Return when all answers are there: `thread.join()`.
    """
    raise NotImplementedError
