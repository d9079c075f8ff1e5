"""Where a bundle grows, and how it takes its place.

It grows in a folder beside its destination and takes that name only when it is complete, so that a
build that was interrupted, or found the disk full, leaves nothing that a start would take for an
artifact.
"""

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.artifact.manifest import MANIFEST
from service.errors import OperatorError

DISK_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO)
"""Errors that say that the destination cannot take the bundle."""


def check_destination(destination: Path) -> None:
    """See that a bundle may be put there: nothing else lies there.

    Raises:
        OperatorError: something does.
    """
    if destination.exists() and not (destination / MANIFEST).exists():
        empty = destination.is_dir() and not any(destination.iterdir())
        if not empty:
            raise OperatorError(
                f"{destination} exists and is no artifact: expected a folder to create or an older "
                "artifact to replace. Choose another --output"
            )


@contextmanager
def folder_beside(destination: Path) -> Iterator[Path]:
    """A new folder on the same disk, removed at the end whatever happens.

    Of several builds for one destination, one runs at a time; the others wait.
    """
    prefix = f".{destination.name}.building-"
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        lock = (destination.parent / f".{destination.name}.lock").open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left_over in destination.parent.glob(f"{prefix}*"):
            shutil.rmtree(left_over, ignore_errors=True)  # of a build that was killed
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=destination.parent))
    except OSError as error:
        raise as_disk_fault(error, destination) from error
    try:
        folder.chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.close()


def sync(folder: Path) -> None:
    """Have everything on the disk, readable by the service's user, before it gets its name."""
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            with path.open("rb") as file:
                os.fsync(file.fileno())


def put_in_place(folder: Path, destination: Path) -> None:
    """Give a complete bundle its name; an older one of that name is removed."""
    older = folder.with_name(folder.name + "-older")
    if destination.exists():
        destination.rename(older)
    folder.rename(destination)
    shutil.rmtree(older, ignore_errors=True)


def as_disk_fault(error: OSError, destination: Path) -> OperatorError:
    """What stopped a build, for the person who runs it."""
    return OperatorError(
        f"cannot write the artifact {destination}: {error.strerror or error}. Nothing was left "
        "behind; make room (five forms take about five times the size of the weights) or choose "
        "another --output, and build again"
    )
