"""Lesson 4: an open-loop sender. Requests come when they are due, whatever became of the others."""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence


def send(due: Sequence[float], request: Callable[[int], object]) -> list[float | None]:
    """Send request i at the moment due[i]; the latency of each in ms, from that moment on."""
    latencies_ms: list[float | None] = [None] * len(due)
    start = time.perf_counter()

    def send_one(i: int) -> None:
        with contextlib.suppress(Exception):  # it stays None
            request(i)
            latencies_ms[i] = (time.perf_counter() - (start + due[i])) * 1000

    threads = [threading.Thread(target=send_one, args=(i,)) for i in range(len(due))]
    for moment, thread in zip(due, threads, strict=True):
        time.sleep(max(0, start + moment - time.perf_counter()))
        thread.start()
    for thread in threads:
        thread.join()
    return latencies_ms
