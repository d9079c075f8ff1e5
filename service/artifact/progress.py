"""Show how far a build is: a line for each step, with a sign of life at least every 8 seconds.

On a terminal the line of a step changes in place; in a file it grows, so that a log stays short.
"""

import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Self, TextIO

HEARTBEAT_S = 8.0
"""Most seconds between two signs of life in a file, as in learner/setup_environment.py."""
TERMINAL_S = 1.0
"""The same on a terminal."""
WIDTH = 78
"""Columns of a step's line, which must fit into one row of a terminal to be replaced."""

Say = Callable[[str], None]
"""Takes a complete line."""
Note = Callable[[str, str], None]
"""Takes a step, such as "[build 2/5] eager:", and what it does now, such as "export"."""


def ignore(step: str, doing: str) -> None:
    """Show nothing: the `Note` of a caller that wants complete lines only."""


class Progress:
    """Shows steps while the `with` block runs; a thread writes the signs of life."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Show on `stream`, by default standard output."""
        self._stream = sys.stdout if stream is None else stream
        self._in_place = self._stream.isatty()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="progress", daemon=True)
        self._step = self._doing = ""
        self._since = 0.0
        self._shown = False  # whether the step has a line that is not ended

    def say(self, line: str) -> None:
        """Write a complete line; one that begins with the current step ends the step's line."""
        with self._lock:
            if self._in_place:
                self._write(f"\r{line:<{WIDTH}}\n" if self._shown else f"{line}\n")
            elif self._shown and line.startswith(self._step):
                self._write(f"{line.removeprefix(self._step)}\n")
            else:
                self._write(f"\n{line}\n" if self._shown else f"{line}\n")
            self._step, self._shown = "", False

    def note(self, step: str, doing: str) -> None:
        """Take what a step does now; a new step begins a new line."""
        with self._lock:
            if step != self._step:
                self._close_line()
                self._step, self._since = step, time.monotonic()
            self._doing = doing
            if self._in_place:
                self._show()

    def _beat(self) -> None:
        while not self._ended.wait(TERMINAL_S if self._in_place else HEARTBEAT_S):
            with self._lock, suppress(OSError):  # the main thread meets a closed pipe, and says so
                if self._step:
                    self._show()

    def _show(self) -> None:
        text = f"{self._doing}, {time.monotonic() - self._since:.0f} s"
        if self._in_place:
            self._write(f"\r{f'{self._step} {text}'[:WIDTH]:<{WIDTH}}")
        else:
            self._write(f" {text};" if self._shown else f"{self._step} {text};")
        self._shown = True

    def _close_line(self) -> None:
        if self._shown:
            self._write(f"\r{'':{WIDTH}}\r" if self._in_place else "\n")
        self._step, self._shown = "", False

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        with self._lock:
            self._close_line()
