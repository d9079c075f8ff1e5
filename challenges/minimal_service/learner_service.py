"""The learner's own service: its folder, its first content, and digests that show changes."""

import ast
import hashlib
import os
import shutil
import tomllib
import warnings
from contextlib import suppress
from pathlib import Path

from challenges.minimal_service.starter_code import STARTER
from learner.errors import LearnerError
from learner.folder import folder
from learner.language import _

NAME = "challenge"
CODE_SUFFIXES = {".py", ".toml", ".pyx", ".c", ".cc", ".cpp", ".h", ".rs", ".go", ".sh"}
HASH_COMMENTS = {".toml", ".sh"}
CODE_NAMES = ("containerfile", "dockerfile", "requirements")
"""Beginnings of further names of code, in lower case; # begins a comment in these files, too."""
MOST_BYTES = 1_000_000
"""Largest file of code; larger ones are data."""


def own_folder() -> Path:
    """Return the folder of the learner's service; it may not exist yet."""
    return folder() / NAME


def started_folder() -> Path:
    """Return the folder of the learner's service.

    Raises:
        LearnerError: it does not exist yet.
    """
    path = own_folder()
    if not path.is_dir():
        raise LearnerError(
            _("There is no service of yours in {folder} yet. Begin with: make challenge").format(
                folder=path
            )
        )
    return path


def lay_out_starter() -> bool:
    """Copy the starter to the learner's folder unless a service is there; return whether it did.

    Raises:
        LearnerError: the folder cannot be written to.
    """
    path = own_folder()
    if path.is_dir():
        return False
    part = path.with_name(f".{NAME}.{os.getpid()}.part")
    try:
        # The starter has an artifact if it was graded itself.
        left_out = shutil.ignore_patterns("__pycache__", ".*", "artifact")
        shutil.copytree(STARTER, part, ignore=left_out)
        part.rename(path)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise LearnerError(
            _("Cannot write to {folder}: {reason}. Make room, or move what is in the way.").format(
                folder=path, reason=error.strerror or error
            )
        ) from None
    return True


def fingerprints(path: Path) -> dict[str, str]:
    """Return a short digest of each file of code in a folder, by its relative path.

    Comments, layout, hidden files, caches and the artifact do not count.
    """
    digests = {}
    left_out = {"__pycache__", "node_modules", "venv", _artifact_name(path)}
    for parent, folders, files in os.walk(path):
        here = Path(parent)
        inside = here.relative_to(path)
        folders[:] = [
            name
            for name in sorted(folders)
            if not name.startswith(".") and not {name, (inside / name).as_posix()} & left_out
        ]
        for name in sorted(files):
            if _is_code(name) and (digest := _fingerprint(here / name)):
                digests[(inside / name).as_posix()] = digest
    return digests


def code_digest(files: dict[str, str]) -> str:
    """Return one short digest of all `fingerprints`."""
    whole = "\n".join(f"{name} {digest}" for name, digest in sorted(files.items()))
    return hashlib.sha256(whole.encode()).hexdigest()[:12]


def _is_code(name: str) -> bool:
    return not name.startswith(".") and (
        Path(name).suffix in CODE_SUFFIXES or name.lower().startswith(CODE_NAMES)
    )


def _fingerprint(file: Path) -> str:
    """Return a file's digest; "" if it cannot be read, as while an editor replaces it."""
    try:
        if not file.is_file() or file.stat().st_size > MOST_BYTES:
            return ""
        content = file.read_bytes()
    except OSError:
        return ""
    if file.suffix == ".py":
        # Unfinished code is taken as it is.
        unreadable = suppress(SyntaxError, ValueError, RecursionError, MemoryError)
        with unreadable, warnings.catch_warnings(action="ignore"):
            content = ast.dump(ast.parse(content)).encode()
    elif file.suffix not in CODE_SUFFIXES or file.suffix in HASH_COMMENTS:
        lines = (line.strip() for line in content.splitlines())
        content = b"\n".join(line for line in lines if line and not line.startswith(b"#"))
    return hashlib.sha256(content).hexdigest()[:12]


def _artifact_name(path: Path) -> str:
    try:
        name = tomllib.loads((path / "service.toml").read_text(encoding="utf-8"))["artifact"]
    except (OSError, ValueError, LookupError):
        return "artifact"
    return name.strip("/") if isinstance(name, str) else "artifact"
