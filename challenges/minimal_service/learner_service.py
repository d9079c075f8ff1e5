"""The learner's own service: its folder, and digests that show changes."""

import ast
import hashlib
import os
import tomllib
import warnings
from contextlib import suppress
from pathlib import Path

from learner.errors import LearnerError
from learner.folder import folder
from learner.language import _

NAME = "service"
EARLIER = "challenge"
"""Folder of those who began before tasks and challenge shared one; it is still found."""
CODE_SUFFIXES = {".py", ".toml", ".pyx", ".c", ".cc", ".cpp", ".h", ".rs", ".go", ".sh"}
HASH_COMMENTS = {".toml", ".sh"}
CODE_NAMES = ("containerfile", "dockerfile", "requirements")
"""Beginnings of further names of code, in lower case; # begins a comment in these files, too."""
MOST_BYTES = 1_000_000
"""Largest file of code; larger ones are data."""


def own_folder() -> Path:
    """Return the folder of the learner's service; it may not exist yet.

    A folder of an earlier version of the workshop counts as long as it is the only one.
    """
    path, earlier = folder() / NAME, folder() / EARLIER
    return earlier if earlier.is_dir() and not path.is_dir() else path


def is_own(path: Path) -> bool:
    """Return whether a path is the folder of the learner's service, or their earlier one."""
    own = (folder() / name for name in (NAME, EARLIER))
    return path.is_dir() and any(one.is_dir() and path.samefile(one) for one in own)


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
