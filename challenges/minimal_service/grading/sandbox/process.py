"""Runs a command of a submission so that no accident of it harms the machine or the grade.

Its output is bounded, it cannot fill the disk, and nothing that it starts outlives it.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import psutil

from learner.errors import LearnerError
from learner.language import _
from learner.processes import Line

SUPERVISOR = Path(__file__).with_name("supervisor.py")
MOST_LINES = 2_000
"""Lines of output that are kept, the last ones."""
MOST_CHARACTERS = 500
"""Kept of each line."""
MOST_OUTPUT_RATE = 1 << 20
"""Bytes of output read per second; a faster program has to wait."""
MOST_BYTES = 8 << 30
"""Limit for what a command writes to its folders, together, and for a single file."""
MOST_FILES = 50_000
LEAST_FREE_BYTES = 200 << 20
"""A disk with less left counts as full."""
_UNPRINTABLE = re.compile(r"[^\t -~\u00a0-\U0010ffff]")


class ServiceFault(LearnerError):  # noqa: N818 (a fault of the service, not of this program)
    """A fault of the submission's own process, in one sentence.

    Attributes:
        kind: "ended", "not-ready", "html", "other-port", "wrong-service", "disk" or
            "cannot-start".
    """

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind


class Contained:
    """A command with an environment of its own. As a context manager, it leaves nothing behind.

    Args:
        command: program and arguments.
        environment: all variables that it sees.
        cwd: where it runs.
        folders: what it may write to; they must not grow by more than `most_bytes`.
        most_bytes: see `folders`; also the largest size of a single file.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        cwd: Path,
        folders: Sequence[Path] = (),
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.command = list(command)
        self.left_behind: list[str] = []
        """Command lines of processes that outlived the command; they were ended."""
        self.fault: ServiceFault | None = None
        """Why it was ended, if it was not asked to stop."""
        self.said = 0
        """Number of lines of output so far, including those dropped."""
        self._kept: deque[Line] = deque(maxlen=MOST_LINES)
        self._folders, self._most_bytes = list(folders), most_bytes
        self._over = threading.Event()
        self._base = self._usage()
        self._ending = threading.RLock()
        self._cleaned = False
        self.started = time.monotonic()
        self._started_at = time.time()
        read_end, write_end = os.pipe()
        try:
            self._supervisor = subprocess.Popen(
                [
                    *(sys.executable, "-I", "-S", str(SUPERVISOR), str(write_end), str(most_bytes)),
                    *self.command,
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=dict(environment),
                pass_fds=(write_end,),
                start_new_session=True,
            )
        except BaseException:
            os.close(read_end)
            raise
        finally:
            os.close(write_end)
        self._report = os.fdopen(read_end, encoding="utf-8")
        self._threads = [
            threading.Thread(target=target, daemon=True) for target in (self._read, self._watch)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def lines(self) -> list[Line]:
        """Its output on both streams: the last `MOST_LINES`, long lines cut."""
        return list(self._kept)

    @property
    def seconds(self) -> float:
        """Seconds since its start."""
        return time.monotonic() - self.started

    @property
    def last_words(self) -> str:
        """Its last line that is not empty."""
        said = (line.text for line in reversed(self.lines) if line.text.strip())
        return next(said, _("nothing"))

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._supervisor.poll() is None

    @property
    def group(self) -> int:
        """Id of its process group. Its children may move to other groups: see `pids`."""
        return self._supervisor.pid

    def pids(self) -> list[int]:
        """Return the ids of all its processes, without the supervisor.

        On Linux, a child that moved to another session or lost its parent is still below the
        supervisor.
        """
        with contextlib.suppress(psutil.Error):
            children = psutil.Process(self._supervisor.pid).children(recursive=True)
            return sorted(child.pid for child in children if _lives(child))
        return []

    def ask_to_stop(self) -> None:
        """Send SIGTERM to the command."""
        with contextlib.suppress(ProcessLookupError):
            self._supervisor.send_signal(signal.SIGTERM)

    def wait(self, seconds: float) -> int | None:
        """Return its exit status (128 + n after signal n), or None if it still runs after that."""
        try:
            status = self._supervisor.wait(max(0, seconds))
            return status if status >= 0 else 128 - status
        except subprocess.TimeoutExpired:
            return None

    def stop(self, seconds: float = 40) -> int | None:
        """Ask it to stop; kill it after `seconds`. Return its exit status; None: killed."""
        self.ask_to_stop()
        status = self.wait(seconds)
        self.kill()
        return status

    def kill(self) -> None:
        """End all its processes at once (SIGKILL) and read the rest of its output."""
        with self._ending:
            if not self._cleaned:
                self._end()
            self._cleaned = True

    def _end(self) -> None:
        shared = _shared_memory(self.pids(), self._started_at)
        self._kill_all()
        assert self._supervisor.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._supervisor.stdin.close()  # ends the supervisor, if its command's end did not
        self.wait(5)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._supervisor.pid, signal.SIGKILL)
        self._supervisor.wait()
        self._kill_all()
        self._over.set()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(5)
        for path in shared:
            path.unlink(missing_ok=True)

    def _kill_all(self) -> None:
        deadline = time.monotonic() + 10
        while (pids := self.pids()) and time.monotonic() < deadline:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)

    def _read(self) -> None:
        """Read the output as lines, in bounded memory and time, however fast or binary it is."""
        assert self._supervisor.stdout is not None
        rest, received = b"", 0
        with self._supervisor.stdout as output:
            while chunk := os.read(output.fileno(), 1 << 16):
                # Keep the last lines of a flood, and the beginning of an endless line.
                *lines, rest = (rest + chunk).rsplit(b"\n", 200)
                self._keep([line for line in lines if b"\n" not in line])
                rest = rest[: 4 * MOST_CHARACTERS]
                received += len(chunk)
                if received > MOST_OUTPUT_RATE * (1 + self.seconds):
                    time.sleep(0.05)  # the machine is for what is measured
            self._keep([rest] if rest else [])
        self._read_report()

    def _keep(self, lines: list[bytes]) -> None:
        at = time.monotonic() - self.started
        for line in lines:
            text = line[: 4 * MOST_CHARACTERS].decode("utf-8", "replace")[:MOST_CHARACTERS]
            self.said += 1
            self._kept.append(Line(at, _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)))

    def _read_report(self) -> None:
        with self._report as file, contextlib.suppress(ValueError):
            report = json.loads(file.read())
            self.left_behind = report.get("left", [])
            if "error" in report:
                sentence = _(
                    "The command {command} cannot be started: {reason}. "
                    "Correct it in service.toml; {{python}} stands for the workshop's Python."
                )
                self.fault = ServiceFault(
                    "cannot-start",
                    sentence.format(command=" ".join(self.command), reason=report["error"]),
                )

    def _watch(self) -> None:
        """End it when it has written too much."""
        while not self._over.wait(1) and self.running:
            size, files = self._usage()
            written = size - self._base[0]
            existing = (path for path in self._folders if path.is_dir())
            free = min((shutil.disk_usage(path).free for path in existing), default=MOST_BYTES)
            if written > self._most_bytes or free < LEAST_FREE_BYTES < written:
                sentence = _(
                    "The disk was being filled: the program wrote {written:.0f} MB to its folder "
                    "and to its temporary folder, {free:.0f} MB are left. It was ended. A service "
                    "writes nothing but a little log."
                )
                sentence = sentence.format(written=written / 1e6, free=free / 1e6)
                self.fault = ServiceFault("disk", sentence)
            elif files - self._base[1] > MOST_FILES:
                sentence = _("The service wrote {files:,} files. It was ended.")
                self.fault = ServiceFault("disk", sentence.format(files=files - self._base[1]))
            else:
                continue
            self.kill()

    def _usage(self) -> tuple[int, int]:
        """Return the bytes and the number of files in the folders that it may write to."""
        size = files = 0
        for top in self._folders:
            for folder, _folders, names in os.walk(top):
                for name in names:
                    files += 1
                    with contextlib.suppress(OSError):
                        size += os.lstat(os.path.join(folder, name)).st_blocks * 512  # noqa: PTH118
                if files > 2 * MOST_FILES:
                    return size, files
        return size, files

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self.kill()


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def _shared_memory(pids: list[int], since: float) -> list[Path]:
    """Return the segments that these processes hold and that were made after `since` (time.time).

    A killed process cannot remove them itself.
    """
    segments = set()
    for pid in pids if sys.platform == "linux" else ():
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/maps").read_text(errors="replace").splitlines():
                if (at := line.find("/dev/shm/")) >= 0:
                    segments.add(Path(line[at:].removesuffix(" (deleted)")))
    return [path for path in segments if path.exists() and path.stat().st_ctime >= since]
