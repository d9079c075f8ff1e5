"""Programs that run on the learner's behalf, and leave nothing behind when the learner leaves."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from learner.errors import LearnerError
from learner.language import _
from learner.paths import ROOT

GUARD = Path(__file__).with_name("parent_guard.py")
MOST_LINES = 10_000
"""Kept of a program's output; older ones go first."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of output, and the seconds since the start at which it came."""

    at: float
    text: str


class Program:
    """A command in a process group of its own. As a context manager, it is ended on the way out.

    It ends, too, when the process that started it does, however that ends (parent_guard.py).

    Args:
        command: program and arguments.
        environment: variables besides those of this process.
        cwd: where it runs; the repository's root if not given.
        on_line: called with each line of output (both streams) as it comes, in another thread.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
        on_line: Callable[[Line], None] | None = None,
    ) -> None:
        self.command = list(command)
        self.lines: list[Line] = []
        self._on_line = on_line
        self._dropped = 0
        self._news = threading.Condition()
        self._started = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(GUARD), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            cwd=cwd,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    @property
    def group(self) -> int:
        """The id of its process group."""
        return self._process.pid

    def wait_for(self, words: str, seconds: float = 60) -> Line:
        """The first line of output with `words` in it.

        Raises:
            LearnerError: it ended, or the time was up, without one; the message has its last line.
        """
        deadline = time.monotonic() + seconds
        seen = 0
        with self._news:
            while True:
                for line in self.lines[max(0, seen - self._dropped) :]:
                    if words in line.text:
                        return line
                seen = self._dropped + len(self.lines)
                left = deadline - time.monotonic()
                if left <= 0 or not (self.running or self._reader.is_alive()):
                    break
                self._news.wait(min(left, 0.1))
        last = self.lines[-1].text if self.lines else _("nothing")
        sentence = (
            _("The program was not ready within {seconds:g} s. The last it said: {last}")
            if self.running
            else _("The program ended before it was ready. The last it said: {last}")
        )
        raise LearnerError(sentence.format(seconds=seconds, last=last))

    def wait(self, seconds: float) -> int | None:
        """Its exit status (128 + n if signal n ended it), or None if it still runs after that."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def ask_to_stop(self) -> None:
        """Send SIGTERM, as a supervisor does."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the whole group at once (SIGKILL), and take what it said until then."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join(5)
        if self._process.stdin is not None:
            self._process.stdin.close()

    def stop(self, seconds: float = 10) -> int:
        """Ask it to stop; after `seconds` kill it. Its exit status."""
        self.ask_to_stop()
        self.wait(seconds)
        self.kill()
        return self._process.returncode

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for text in output:
                line = Line(time.monotonic() - self._started, text.rstrip("\n"))
                with self._news:
                    self.lines.append(line)
                    if len(self.lines) > MOST_LINES:
                        del self.lines[: MOST_LINES // 10]
                        self._dropped += MOST_LINES // 10
                    self._news.notify_all()
                if self._on_line is not None:
                    self._on_line(line)
        with self._news:
            self._news.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
