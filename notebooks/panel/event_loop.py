"""One thread that takes one event after another, so that what it owns needs no locks."""

import contextlib
import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

TICK_S = 0.05


class Actor:
    """Runs what is posted to it, in order, in a daemon thread that begins with the first post.

    A subclass overrides `tick`, called after each event and every `TICK_S` while `restless`, and
    `end`, called last.
    """

    def __init__(self) -> None:
        self._events: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self.closed = False

    def post(self, action: Callable[..., None], *values: Any) -> None:
        """Have the actor call `action(*values)`; from any thread, returns at once."""
        self._events.put(partial(action, *values))
        with self._starting:
            if self._thread is None and not self.closed:
                self._thread = threading.Thread(target=self._loop, daemon=True, name="panel")
                self._thread.start()

    def in_background(self, work: Callable[..., None], *values: Any) -> None:
        """Call `work(*values)` in a thread of its own, which posts what it finds."""
        threading.Thread(target=work, args=values, daemon=True, name="panel-work").start()

    def close(self) -> None:
        """End, and wait until it has."""
        with self._starting:
            self.closed = True
        self._events.put(lambda: None)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(10)

    @property
    def restless(self) -> bool:
        """Whether there is something to look after."""
        return False

    def tick(self) -> None:
        """Look after what happens by itself."""

    def end(self) -> None:
        """Let go of everything."""

    def _loop(self) -> None:
        while not self.closed:
            with contextlib.suppress(queue.Empty):
                self._events.get(timeout=TICK_S if self.restless else None)()
            self.tick()
        self.end()
