"""Who opens which file, seen from outside: the kernel says it (inotify, Linux only)."""

import contextlib
import ctypes
import errno
import os
import shutil
import struct
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

IN_ACCESS, IN_OPEN, IN_CREATE, IN_MOVED_TO = 0x1, 0x20, 0x100, 0x80
IN_ISDIR, IN_Q_OVERFLOW = 0x40000000, 0x4000
_EVENT = struct.Struct("iIII")
_MOST_FOLDERS = 4_000


@dataclass(frozen=True, slots=True)
class Opened:
    """A file was opened or read."""

    path: Path
    read: bool
    """It was read from; else opened (a mapped file is never "read")."""
    size: int
    """Bytes of the file now; 0 if it is gone."""


class Watcher:
    """Collects which files are opened and read, by whatever process.

    Folders are watched with all below them, also such as come later. A file is seen when it is
    opened by a path in them; through a hard link elsewhere it is not, so that other programs that
    use the same file there do not count.

    Args:
        folders: that are watched; those that do not exist are passed over.

    Raises:
        OSError: this machine cannot watch (`reason_against` says so beforehand).
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self._paths: dict[int, Path] = {}
        self.complete = True
        """Nothing stays unseen: the kernel's limits sufficed so far."""
        for folder in folders:
            self._add_tree(folder)

    def _add_tree(self, top: Path) -> None:
        for folder, _folders, _names in os.walk(top):
            if len(self._paths) > _MOST_FOLDERS:
                self.complete = False
                return
            mask = IN_OPEN | IN_ACCESS | IN_CREATE | IN_MOVED_TO
            watch = self._libc.inotify_add_watch(self._fd, os.fsencode(folder), mask)
            if watch >= 0:
                self._paths[watch] = Path(folder)
            elif ctypes.get_errno() == errno.ENOSPC:
                self.complete = False

    def take(self) -> list[Opened]:
        """What happened since the last call, in order, repetitions left out.

        A folder that is new counts as watched from this call on.
        """
        found: dict[Opened, None] = {}
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._fd, 1 << 16):
                at = 0
                while at < len(data):
                    watch, mask, _cookie, length = _EVENT.unpack_from(data, at)
                    at += _EVENT.size
                    name = data[at : at + length].rstrip(b"\0")
                    at += length
                    self.complete = self.complete and not mask & IN_Q_OVERFLOW
                    if watch in self._paths:
                        self._take_one(self._paths[watch] / os.fsdecode(name), mask, found)
        return list(found)

    def _take_one(self, path: Path, mask: int, found: dict[Opened, None]) -> None:
        if mask & IN_ISDIR:
            if mask & (IN_CREATE | IN_MOVED_TO):
                self._add_tree(path)
        elif mask & (IN_OPEN | IN_ACCESS):
            size = 0
            with contextlib.suppress(OSError):
                size = path.stat().st_size
            found[Opened(path, bool(mask & IN_ACCESS), size)] = None

    def close(self) -> None:
        """Watch no longer."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def can_watch(folder: Path) -> bool:
    """Whether opened files are seen here: tried with a folder in `folder`."""
    if sys.platform != "linux":
        return False
    probe = folder / f".watched-{os.getpid()}"
    try:
        probe.mkdir()
        (probe / "file").write_bytes(b"1")
        with Watcher([probe]) as watcher:
            (probe / "file").read_bytes()
            return any(event.read for event in watcher.take())
    except OSError:
        return False
    finally:
        shutil.rmtree(probe, ignore_errors=True)
