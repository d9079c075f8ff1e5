"""What a process leaves for others to find: its environment, its shared memory."""

import contextlib
import sys
from pathlib import Path

import psutil


def environment_of(pid: int) -> bytes:
    """A process's environment as bytes; empty if it is gone or another user's."""
    if sys.platform == "linux":
        try:
            return Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return b""
    try:
        variables = psutil.Process(pid).environ()
    except (psutil.Error, OSError):
        return b""
    return "\0".join(f"{name}={value}" for name, value in variables.items()).encode()


def shared_memory_of(pids: list[int], since: float) -> list[Path]:
    """Segments that these processes hold and that were made after `since` (seconds, time.time).

    Killed, a process cannot take them away.
    """
    found = set()
    for pid in pids if sys.platform == "linux" else ():
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/maps").read_text(errors="replace").splitlines():
                if (at := line.find("/dev/shm/")) >= 0:
                    found.add(Path(line[at:].removesuffix(" (deleted)")))
    return [path for path in found if path.exists() and path.stat().st_ctime >= since]
