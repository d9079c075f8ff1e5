"""Check that an artifact is the one that was validated, before anything in it is deserialised.

A .pt2 archive holds native code and a pickle can run any code, so all files are hashed first. Later
a file may be another one, so each is read once more to be used, and the very bytes that are used
are hashed. At last the golden photos must give the answers that were validated. Each check raises
`OperatorError` with one line: what, expected, found, what to do.
"""

import errno
import hashlib
import os
import platform
import stat
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from io import BufferedReader
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from service.artifact.manifest import (
    MANIFEST,
    MANIFEST_DIGEST,
    SIGNATURE,
    Manifest,
    digest_line,
)
from service.engines.base import Engine, Form
from service.errors import OperatorError, write_command
from service.preprocessing import preprocess

MOST_MANIFEST_BYTES = 64 * 2**20
"""Largest manifest that is read. One with 200,000 labels has 5.6 MB."""
_BUILD = write_command("service.artifact build")
_RESTORE = f"Restore it from its source, or build it again: {_BUILD}"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle: every byte is as recorded in its manifest."""

    path: Path
    manifest: Manifest
    digest: str
    """SHA-256 of manifest.json, which holds the hashes of all other files."""

    @property
    def size(self) -> int:
        """Return the bytes of all files that the manifest lists."""
        return sum(file.bytes for file in self.manifest.files.values())

    def file(self, name: str) -> "BundleFile":
        """Return a file of the manifest, for an engine to read."""
        return BundleFile(self, PurePosixPath(name))

    def read(self, name: str) -> bytes:
        """Return the content of a file that the manifest lists; these bytes were hashed.

        Raises:
            OperatorError: it was changed or removed since it was verified.
        """
        file = self.manifest.files[name]
        with _explain_os_error(self.path), _open(self.path / name) as opened:
            data = opened.read(file.bytes + 1)
        self.compare(name, hashlib.sha256(data).hexdigest())
        return data

    def compare(self, name: str, digest: str) -> None:
        """Raise an OperatorError if a file's SHA-256 is another one than the manifest records."""
        expected = self.manifest.files[name].sha256
        if digest != expected:
            raise OperatorError(
                f"{self.path / name} was changed: expected the SHA-256 {expected}, found "
                f"{digest}. {_RESTORE}"
            )


@dataclass(frozen=True, slots=True)
class BundleFile:
    """A file or folder of a verified bundle; see `service.engines.base.File`."""

    bundle: Bundle
    inner: PurePosixPath
    """Its path in the bundle."""

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.inner.name

    @property
    def parent(self) -> "BundleFile":
        """The folder that it is in."""
        return BundleFile(self.bundle, self.inner.parent)

    def __truediv__(self, name: str, /) -> "BundleFile":
        return BundleFile(self.bundle, self.inner / name)

    def is_file(self) -> bool:
        """Return whether the manifest lists it."""
        return str(self.inner) in self.bundle.manifest.files

    def read_bytes(self) -> bytes:
        """Return its content, as `Bundle.read` does."""
        return self.bundle.read(str(self.inner))


def verify(path: Path, expected_digest: str | None = None) -> Bundle:
    """Check every byte of a bundle against its manifest, and the manifest against its digest.

    A user who can write to the folder can change files afterwards; `Bundle.read` refuses those.

    Args:
        path: the bundle's folder.
        expected_digest: SHA-256 of the manifest, from a trusted source. Without it a bundle is
            protected against damage, but not against an attacker who replaces all of it.

    Raises:
        OperatorError: something is missing, added, or not as recorded.
    """
    with _explain_os_error(path):
        bundle = read_bundle(path, expected_digest)
        _verify_listing(path, bundle.manifest)
        # Two at a time: hashing releases the GIL, and a bundle is a few large files.
        with ThreadPoolExecutor(2) as pool:
            names = bundle.manifest.files
            for name, digest in zip(
                names, pool.map(sha256, [path / name for name in names]), strict=True
            ):
                bundle.compare(name, digest)
    return bundle


@contextmanager
def _explain_os_error(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OperatorError(
            f"{error.filename or path} cannot be read: {error.strerror}. "
            "Give this user the right to read the artifact, or restore it"
        ) from error


def _open(path: Path) -> BufferedReader:
    """Open a file; anything else, such as a link or a pipe that waits for a writer, is an error."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no file", str(path))
    return os.fdopen(descriptor, "rb")


def read_bundle(path: Path, expected_digest: str | None) -> Bundle:
    """Read a manifest. The other files are hashed as they are read, or by `verify`.

    Raises:
        OperatorError: the manifest is damaged, or is not the expected one.
    """
    data = read_manifest(path, expected_digest)
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise OperatorError(
            f"{path / MANIFEST} does not fit this version of the service: {where}: {fault['msg']}. "
            f"Build the artifact again: {write_command('service.artifact build')}"
        ) from None
    return Bundle(path, manifest, hashlib.sha256(data).hexdigest())


def read_manifest(path: Path, expected_digest: str | None = None) -> bytes:
    """Return the bytes of a bundle's manifest.

    Raises:
        OperatorError: it is damaged, or is not the expected one.
    """
    if not path.is_dir():
        raise OperatorError(
            f"no artifact at {path}: there is no such folder. "
            f"Build one ({_BUILD}) or name another (--artifact)"
        )
    for name in (MANIFEST, MANIFEST_DIGEST):
        if not (path / name).is_file() or (path / name).is_symlink():
            raise OperatorError(
                f"{path} is no complete artifact: expected a file {name}, found none. {_RESTORE}"
            )
    with _open(path / MANIFEST) as file, _open(path / MANIFEST_DIGEST) as digest_file:
        data, recorded = file.read(MOST_MANIFEST_BYTES + 1), digest_file.read(200)
    if len(data) > MOST_MANIFEST_BYTES:
        raise OperatorError(
            f"{path / MANIFEST} is too large: expected at most {MOST_MANIFEST_BYTES:,} bytes. "
            f"{_RESTORE}"
        )
    digest = hashlib.sha256(data).hexdigest()
    if recorded != digest_line(digest):
        raise OperatorError(
            f"{path / MANIFEST} was changed: {MANIFEST_DIGEST} expects "
            f"{recorded[:64].decode(errors='replace')}, found {digest}. {_RESTORE}"
        )
    if expected_digest is not None and digest != expected_digest:
        raise OperatorError(
            f"{path} is another artifact than the one asked for: expected the digest "
            f"{expected_digest}, found {digest}. Deploy the right one or change --artifact-digest"
        )
    return data


def _verify_listing(path: Path, manifest: Manifest) -> None:
    """Check names and sizes; this is cheap, so it comes before the hashes."""
    present = {entry.relative_to(path).as_posix() for entry in path.rglob("*")}
    listed = {*manifest.files, MANIFEST, MANIFEST_DIGEST}
    folders = {parent.as_posix() for name in listed for parent in PurePosixPath(name).parents}
    for name in sorted(listed - present):
        raise OperatorError(f"{path / name} is missing: the manifest lists it. {_RESTORE}")
    for name in sorted(present - listed - folders - {SIGNATURE}):
        raise OperatorError(
            f"{path / name} does not belong to the artifact: the manifest does not list it. "
            "Remove it"
        )
    for name, file in manifest.files.items():
        found = (path / name).lstat()
        if not stat.S_ISREG(found.st_mode):
            kind = "link" if stat.S_ISLNK(found.st_mode) else "folder, a pipe or a device"
            raise OperatorError(f"{path / name} is a {kind}, expected a file. {_RESTORE}")
        if found.st_size != file.bytes:
            raise OperatorError(
                f"{path / name} was changed: expected {file.bytes:,} bytes, found "
                f"{found.st_size:,}. {_RESTORE}"
            )


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def replay(bundle: Bundle, form: Form, engine: Engine) -> float:
    """Send each golden photo through the model; return the largest difference of a probability.

    Raises:
        OperatorError: a probability differs by more than the manifest allows.
    """
    record = bundle.manifest.forms[form.name]
    largest = 0.0
    for photo, expected in record.golden.items():
        pixels = preprocess(bundle.read(photo), bundle.manifest.preprocessing)
        (probabilities,) = engine([pixels])
        for class_id, probability in expected.items():
            difference = abs(float(probabilities[class_id]) - probability)
            if not difference <= record.golden_tolerance:  # "not <=": NaN must not pass
                raise OperatorError(
                    f"golden photo {photo}: class {class_id} "
                    f"({bundle.manifest.labels[class_id]}) expected {probability:.6f}, found "
                    f"{probabilities[class_id]:.6f}, tolerance {record.golden_tolerance}. This "
                    "machine does not compute the validated model with this form; choose another "
                    f"(--engine) or validate here: {_BUILD}"
                )
            largest = max(largest, difference)
    return largest


def environment_differences(manifest: Manifest, packages: Iterable[str]) -> list[str]:
    """Compare this environment with the one in which the model was validated.

    Args:
        manifest: the manifest of a verified bundle.
        packages: distributions that take part in an answer.

    Returns:
        One phrase for each difference, "pillow 12.0.0 (validated with 13.0.0)"; empty if none.
    """
    validated = manifest.environment
    pairs: list[tuple[str, str | None, str | None]] = [
        ("Python", validated.python, running_python()),
        ("system", validated.system, platform.system()),
        ("machine", validated.machine, platform.machine()),
        *((name, validated.packages.get(name), installed_version(name)) for name in packages),
    ]
    return [
        f"{name} {found or 'is not installed'} (validated with {expected or 'none'})"
        for name, expected, found in pairs
        if expected != found
    ]


def running_python() -> str:
    """Return major and minor version of the running Python."""
    return ".".join(platform.python_version_tuple()[:2])


def installed_version(package: str) -> str | None:
    """Return the version of an installed distribution, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
