"""Processes and folders for as long as this process runs: none outlives it, however it ends."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from learner.errors import LearnerError
from learner.language import _
from learner.paths import ROOT

GUARD = (sys.executable, "-I", "-S", str(Path(__file__).with_name("parent_guard.py")))
MOST_LINES = 10_000
"""Lines of a program's output that are kept; the oldest are dropped."""


def bypass_proxy() -> None:
    """Send no request for this machine to a proxy, from this process and those that it starts."""
    for name in ("no_proxy", "NO_PROXY"):
        hosts = [host for host in os.environ.get(name, "").split(",") if host]
        own = [host for host in ("127.0.0.1", "localhost") if host not in hosts]
        os.environ[name] = ",".join(hosts + own)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a program's output."""

    at: float
    """Seconds since the program was started."""
    text: str


class Program:
    """A command in a process group of its own. Leaving it as a context manager kills the group.

    The group is also killed when this process ends, however that ends (parent_guard.py).

    Args:
        command: program and arguments.
        environment: variables in addition to those of this process.
        cwd: working directory; the repository's root by default.
        on_line: called in another thread with each line of standard output and standard error.
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
            [*GUARD, "run", *command],
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
        """Whether the command has not ended."""
        return self._process.poll() is None

    @property
    def group(self) -> int:
        """The id of the process group."""
        return self._process.pid

    def wait_for(self, words: str, seconds: float = 60) -> Line:
        """Wait for a line of output that contains `words`, and return the first one.

        Raises:
            LearnerError: the program ended, or `seconds` passed, without such a line. The message
                quotes the last line.
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
        """Return the exit status (128 + n after signal n), or None if it runs after `seconds`."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def ask_to_stop(self) -> None:
        """Send SIGTERM to the command."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the whole group (SIGKILL), and read its output to the end. May be repeated."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join(5)
        if self._process.stdin is not None:
            self._process.stdin.close()

    def stop(self, seconds: float = 10) -> int:
        """Send SIGTERM, after `seconds` SIGKILL; return the exit status."""
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

    def __exit__(self, *_error: object) -> None:
        self.kill()


class TemporaryFolder:
    """A folder that is deleted by `remove`, or when this process ends, however that ends.

    Args:
        prefix: of the folder's name.
    """

    def __init__(self, prefix: str) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=prefix))
        # In a session of its own: a signal to our process group must not end it before its work.
        self._guard = subprocess.Popen(
            [*GUARD, "delete", str(self.path)], stdin=subprocess.PIPE, start_new_session=True
        )

    def remove(self) -> None:
        """Delete the folder and everything in it."""
        self._guard.communicate()
        # Another thread may have written to it while the guard deleted it.
        shutil.rmtree(self.path, ignore_errors=True)
