"""Watches which files any process opens or reads, through the kernel's inotify (Linux only)."""

import contextlib
import ctypes
import errno
import os
import shutil
import struct
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

IN_ACCESS, IN_OPEN, IN_CREATE, IN_MOVED_TO = 0x1, 0x20, 0x100, 0x80
IN_ISDIR, IN_Q_OVERFLOW = 0x40000000, 0x4000
_EVENT = struct.Struct("iIII")
_MOST_FOLDERS = 4_000


@dataclass(frozen=True, slots=True)
class Opened:
    """A file was opened or read."""

    path: Path
    read: bool
    """False: it was only opened; a mapped file is never "read"."""
    size: int
    """Bytes of the file now; 0 if it is gone."""


class Watcher:
    """Collects which files are opened and read, by any process.

    Folders are watched with everything below them, including what comes later. A file opened
    through a hard link elsewhere is not seen, so other users of the same file do not count.

    Args:
        folders: those that do not exist are skipped.

    Raises:
        OSError: this machine cannot watch files (see `can_watch`).
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self._paths: dict[int, Path] = {}
        self.complete = True
        """False once a limit of the kernel was reached: events may be missing."""
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
        """Return the events since the last call, in order, without repetitions.

        A new folder is watched from this call on.
        """
        events: dict[Opened, None] = {}
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
                        self._take_one(self._paths[watch] / os.fsdecode(name), mask, events)
        return list(events)

    def _take_one(self, path: Path, mask: int, events: dict[Opened, None]) -> None:
        if mask & IN_ISDIR:
            if mask & (IN_CREATE | IN_MOVED_TO):
                self._add_tree(path)
        elif mask & (IN_OPEN | IN_ACCESS):
            size = 0
            with contextlib.suppress(OSError):
                size = path.stat().st_size
            events[Opened(path, bool(mask & IN_ACCESS), size)] = None

    def close(self) -> None:
        """Stop watching."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


@contextlib.contextmanager
def watch_files(own: Path, folders: Iterable[Path] = ()) -> Iterator[Watcher | None]:
    """Give a watcher until the block ends; None where files cannot be watched.

    Args:
        own: a folder to try it in, and to watch if no others are given.
        folders: to watch.
    """
    if not can_watch(own):
        yield None
        return
    with contextlib.closing(Watcher(list(folders) or [own])) as watcher:
        yield watcher


def can_watch(folder: Path) -> bool:
    """Return whether opened files are seen here, after trying it below `folder`."""
    if sys.platform != "linux":
        return False
    probe = folder / f".watched-{os.getpid()}"
    try:
        probe.mkdir()
        (probe / "file").write_bytes(b"1")
        with contextlib.closing(Watcher([probe])) as watcher:
            (probe / "file").read_bytes()
            return any(event.read for event in watcher.take())
    except OSError:
        return False
    finally:
        shutil.rmtree(probe, ignore_errors=True)
