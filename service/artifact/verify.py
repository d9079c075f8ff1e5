"""Is this the artifact that was validated? Asked before anything in it is deserialised.

A .pt2 archive holds native code and a pickle holds anything, so a file is hashed first and opened
by its engine afterwards. Each check raises `OperatorError` with one line: what, expected, found,
and what to do.
"""

import hashlib
import platform
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from pydantic import ValidationError

from service.artifact.manifest import (
    MANIFEST,
    MANIFEST_DIGEST,
    File,
    Manifest,
    code_files,
    digest_line,
)
from service.errors import OperatorError

_RESTORE = "Restore it from its source, or build it again: python -m service.artifact build"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A folder whose every byte is what its manifest says."""

    path: Path
    manifest: Manifest
    digest: str
    """SHA-256 of manifest.json; through it, of everything in the bundle."""

    @property
    def size(self) -> int:
        """Bytes of all files that the manifest lists."""
        return sum(file.bytes for file in self.manifest.files.values())


def verify(path: Path, expected_digest: str | None = None) -> Bundle:
    """Check every byte of a bundle against its manifest, and the manifest against its digest.

    It is checked once: whoever may write to the folder afterwards can still change what is loaded.
    Serve from a folder that the service's user cannot write to.

    Args:
        path: the bundle's folder.
        expected_digest: SHA-256 of the manifest, from a source that is trusted. Without it a
            bundle is protected against damage, but not against one who replaces all of it.

    Raises:
        OperatorError: anything is missing, added, or not as recorded.
    """
    try:
        data, digest = _read_manifest(path, expected_digest)
        manifest = _parse_manifest(path, data)
        _verify_listing(path, manifest)
        # Two at a time: hashing releases the GIL, and a bundle is a few large files.
        with ThreadPoolExecutor(2) as pool:
            jobs = [pool.submit(_verify_file, path, *item) for item in manifest.files.items()]
            for job in jobs:
                job.result()
    except OSError as error:
        raise OperatorError(
            f"{error.filename or path} cannot be read: {error.strerror}. "
            "Give this user the right to read the artifact, or restore it"
        ) from error
    return Bundle(path, manifest, digest)


def read_bundle(path: Path, digest: str) -> Bundle:
    """A bundle that another process has verified: its manifest must still be the same.

    Raises:
        OperatorError: it is another one.
    """
    data, found = _read_manifest(path, digest)
    return Bundle(path, _parse_manifest(path, data), found)


def _read_manifest(path: Path, expected_digest: str | None) -> tuple[bytes, str]:
    if not path.is_dir():
        raise OperatorError(
            f"no artifact at {path}: there is no such folder. "
            "Build one (python -m service.artifact build) or name another (--artifact)"
        )
    for name in (MANIFEST, MANIFEST_DIGEST):
        if not (path / name).is_file() or (path / name).is_symlink():
            raise OperatorError(
                f"{path} is no complete artifact: expected a file {name}, found none. {_RESTORE}"
            )
    data = (path / MANIFEST).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    recorded = (path / MANIFEST_DIGEST).read_bytes()
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
    return data, digest


def _parse_manifest(path: Path, data: bytes) -> Manifest:
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise OperatorError(
            f"{path / MANIFEST} does not fit this version of the service: {where}: {fault['msg']}. "
            "Build the artifact again: python -m service.artifact build"
        ) from None


def _verify_listing(path: Path, manifest: Manifest) -> None:
    """Nothing missing, nothing added, sizes right; cheap, so it comes before the hashes."""
    found = {
        entry.relative_to(path).as_posix()
        for entry in path.rglob("*")
        if entry.is_symlink() or not entry.is_dir()
    }
    listed = {*manifest.files, MANIFEST, MANIFEST_DIGEST}
    for name in sorted(listed - found):
        raise OperatorError(f"{path / name} is missing: the manifest lists it. {_RESTORE}")
    for name in sorted(found - listed):
        raise OperatorError(
            f"{path / name} does not belong to the artifact: the manifest does not list it. "
            "Remove it"
        )
    for name, file in manifest.files.items():
        if (path / name).is_symlink():
            raise OperatorError(f"{path / name} is a link, expected a file. {_RESTORE}")
        size = (path / name).stat().st_size
        if size != file.bytes:
            raise OperatorError(
                f"{path / name} was changed: expected {file.bytes:,} bytes, found {size:,}. "
                f"{_RESTORE}"
            )


def _verify_file(path: Path, name: str, file: File) -> None:
    digest = sha256(path / name)
    if digest != file.sha256:
        raise OperatorError(
            f"{path / name} was changed: expected the SHA-256 {file.sha256}, found {digest}. "
            f"{_RESTORE}"
        )


def sha256(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_code(bundle: Bundle) -> None:
    """The running preprocessing and model definition are those that the bundle was built with.

    Raises:
        OperatorError: one of the two files differs.
    """
    for name, running in code_files().items():
        expected, found = bundle.manifest.files[name].sha256, sha256(running)
        if found != expected:
            raise OperatorError(
                f"{running} is not the code that the artifact was validated with: expected the "
                f"SHA-256 {expected} ({bundle.path / name}), found {found}. "
                "Check out that version, or validate the new one: python -m service.artifact build"
            )


def environment_differences(manifest: Manifest, packages: Iterable[str]) -> list[str]:
    """How this environment differs from the one that the model was validated in.

    Args:
        manifest: of a verified bundle.
        packages: distributions that take part in an answer.

    Returns:
        One phrase for each difference, "pillow 12.0.0 (validated with 13.0.0)"; empty if none.
    """
    validated = manifest.environment
    pairs: list[tuple[str, str | None, str | None]] = [
        ("Python", validated.python, running_python()),
        ("system", validated.system, platform.system()),
        ("machine", validated.machine, platform.machine()),
    ]
    for package in packages:
        pairs.append((package, validated.packages.get(package), installed_version(package)))
    return [
        f"{name} {found or 'is not installed'} (validated with {expected or 'none'})"
        for name, expected, found in pairs
        if expected != found
    ]


def running_python() -> str:
    """Major and minor version of the running Python."""
    return ".".join(platform.python_version_tuple()[:2])


def installed_version(package: str) -> str | None:
    """Version of an installed distribution, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
