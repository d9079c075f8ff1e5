"""Put a bundle in place atomically.

A bundle is built in a temporary folder next to its destination, and renamed when it is complete. So
a build that was interrupted, or that filled the disk, leaves nothing that a start could take for an
artifact.
"""

import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.artifact.manifest import MANIFEST, MANIFEST_DIGEST, Manifest, digest_line
from service.errors import OperatorError

DISK_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO)
"""Error numbers that mean that the destination cannot take the bundle."""


def check_destination(destination: Path, replaces: bool = True) -> None:
    """Check that the destination is free, an empty folder or an older artifact.

    Args:
        destination: the bundle's folder.
        replaces: whether an older artifact may be replaced.

    Raises:
        OperatorError: it holds something else.
    """
    if not replaces and (destination / MANIFEST).exists():
        raise OperatorError(
            f"{destination} holds an artifact already: expected a folder to create, so that no "
            "older version is lost. Choose another --output, or add --replace"
        )
    if destination.exists() and not (destination / MANIFEST).exists():
        empty = destination.is_dir() and not any(destination.iterdir())
        if not empty:
            raise OperatorError(
                f"{destination} exists and is no artifact: expected a folder to create or an older "
                "artifact to replace. Choose another --output"
            )


@contextmanager
def temporary_sibling(destination: Path) -> Iterator[Path]:
    """Create a temporary folder next to the destination, on the same disk; remove it at the end.

    Builds for the same destination run one at a time; the others wait.
    """
    prefix = f".{destination.name}.building-"
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        lock = (destination.parent / f".{destination.name}.lock").open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in destination.parent.glob(f"{prefix}*"):
            shutil.rmtree(leftover, ignore_errors=True)  # from a build that was killed
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=destination.parent))
    except OSError as error:
        raise explain_disk_fault(error, destination) from error
    try:
        folder.chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.close()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write a manifest and its digest."""
    text = json.dumps(manifest.model_dump(mode="json"), indent=1, ensure_ascii=False)
    data = f"{text}\n".encode()
    (folder / MANIFEST).write_bytes(data)
    (folder / MANIFEST_DIGEST).write_bytes(digest_line(hashlib.sha256(data).hexdigest()))


def sync(folder: Path) -> None:
    """Flush all files to the disk and make them readable for every user, before the rename."""
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            with path.open("rb") as file:
                os.fsync(file.fileno())


def put_in_place(folder: Path, destination: Path) -> None:
    """Rename a complete bundle to its destination; remove an older one."""
    older = folder.with_name(folder.name + "-older")
    if destination.exists():
        destination.rename(older)
    folder.rename(destination)
    shutil.rmtree(older, ignore_errors=True)


def explain_disk_fault(error: OSError, destination: Path) -> OperatorError:
    """Return an error that says why the build stopped and what to do."""
    return OperatorError(
        f"cannot write the artifact {destination}: {error.strerror or error}. Nothing was left "
        "behind; make room (five forms take about five times the size of the weights) or choose "
        "another --output, and build again"
    )
