"""Check that an artifact is the one that was validated, before anything in it is deserialised.

A .pt2 archive holds native code and a pickle can run any code, so a file is hashed first and opened
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
    MODEL_DEFINITION,
    File,
    Manifest,
    code_files,
    digest_line,
)
from service.engines import FORMS
from service.engines.base import Form
from service.errors import OperatorError, write_command

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


def verify(path: Path, expected_digest: str | None = None) -> Bundle:
    """Check every byte of a bundle against its manifest, and the manifest against its digest.

    It is checked once: a user who can write to the folder can still change files afterwards. Serve
    from a folder that the service's user cannot write to.

    Args:
        path: the bundle's folder.
        expected_digest: SHA-256 of the manifest, from a trusted source. Without it a bundle is
            protected against damage, but not against an attacker who replaces all of it.

    Raises:
        OperatorError: something is missing, added, or not as recorded.
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
    """Read a bundle that another process has verified; its manifest must be the same still.

    Raises:
        OperatorError: the manifest has another digest.
    """
    data, digest = _read_manifest(path, digest)
    return Bundle(path, _parse_manifest(path, data), digest)


def _read_manifest(path: Path, expected_digest: str | None) -> tuple[bytes, str]:
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
            f"Build the artifact again: {_BUILD}"
        ) from None


def _verify_listing(path: Path, manifest: Manifest) -> None:
    """Check names and sizes; this is cheap, so it comes before the hashes."""
    present = {
        entry.relative_to(path).as_posix()
        for entry in path.rglob("*")
        if entry.is_symlink() or not entry.is_dir()
    }
    listed = {*manifest.files, MANIFEST, MANIFEST_DIGEST}
    for name in sorted(listed - present):
        raise OperatorError(f"{path / name} is missing: the manifest lists it. {_RESTORE}")
    for name in sorted(present - listed):
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
    """Return the SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_code(bundle: Bundle, form: Form | None = None) -> None:
    """Check that the running code does what the code in the bundle does.

    Statements count; comments, docstrings and layout do not. The copy in the bundle is compared,
    because it was verified byte for byte.

    Args:
        bundle: a verified bundle.
        form: what is served; only some forms run the model definition. None: all in the bundle.

    Raises:
        OperatorError: a statement differs.
    """
    forms = [FORMS[name] for name in bundle.manifest.forms] if form is None else [form]
    runs_definition = any(one.runs_model_definition for one in forms)
    for name, running in code_files().items():
        if name == MODEL_DEFINITION and not runs_definition:
            continue
        shipped = bundle.path / name
        if sha256(running) == bundle.manifest.files[name].sha256:
            continue
        from service.artifact.code import find_difference  # rarely needed

        difference = find_difference(shipped, running)
        if difference is not None:
            expected, found = difference
            raise OperatorError(
                f"{running} is not the code that the artifact was validated with: expected "
                f"{expected} ({shipped}), found {found}. "
                f"Check out that version, or validate the new one: {_BUILD}"
            )


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
    ]
    for package in packages:
        pairs.append((package, validated.packages.get(package), installed_version(package)))
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
