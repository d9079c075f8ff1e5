"""Copies a submission: its code as new files, its artifact as links where possible."""

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

from learner.errors import LearnerError
from learner.language import _

LEFT_OUT = {".git", ".venv", "venv", "__pycache__", ".ipynb_checkpoints", ".mypy_cache"}
"""Folders without code of a submission."""
MOST_BYTES = 2 << 30
"""Limit for a submission without its artifact."""
MOST_FILES = 20_000


def files_in(folder: Path) -> list[Path]:
    """Return all regular files below a folder, sorted; links are not followed."""
    files = []
    for top, _folders, names in os.walk(folder):
        paths = (Path(top, name) for name in names)
        files += [path for path in paths if stat.S_ISREG(path.lstat().st_mode)]
    return sorted(files)


def copy_tree(source: Path, target: Path, leave_out: Path | None = None) -> None:
    """Copy a folder's files (or one file), so that nothing in the copy leads out of it.

    Links to files inside are copied as files. Pipes, sockets and devices are left out.

    Args:
        source: the folder.
        target: is created if it does not exist.
        leave_out: a folder that is not copied, nor are hidden files of its name next to it.

    Raises:
        LearnerError: a link leads out of the folder or nowhere, it is too large, or the disk full.
    """
    _each_file(source, target, leave_out, lambda file, to: shutil.copy2(file, to))


def link_tree(artifact: Path, target: Path) -> None:
    """Put the same files at another place by hard links: on the same disk no bytes are copied.

    Raises:
        LearnerError: as `copy_tree`.
    """
    _each_file(artifact, target, None, _link, limited=False)


def _link(file: Path, to: Path) -> None:
    try:
        os.link(file, to)
    except OSError:  # another disk, or one without links
        shutil.copy2(file, to)


def _each_file(
    source: Path,
    target: Path,
    leave_out: Path | None,
    put: Callable[[Path, Path], object],
    limited: bool = True,
) -> None:
    base = source.resolve()
    total = count = 0
    try:
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            put(base, target)
            return
        for top, folders, names in os.walk(source):
            here = Path(top)
            folders[:] = [name for name in folders if not _left_out(here / name, leave_out)]
            to = target / here.relative_to(source)
            to.mkdir(parents=True, exist_ok=True)
            for name in [*names, *(name for name in folders if (here / name).is_symlink())]:
                path = here / name
                if _left_out(path, leave_out):
                    continue
                file = _follow_link(path, base)
                if not stat.S_ISREG(file.stat().st_mode):
                    continue
                total, count = total + file.stat().st_size, count + 1
                if limited and (total > MOST_BYTES or count > MOST_FILES):
                    sentence = _(
                        "{folder} holds more than {gigabytes:g} GB or {files:,} files besides its "
                        "artifact. Keep data, environments and models out of it."
                    )
                    raise LearnerError(
                        sentence.format(
                            folder=source, gigabytes=MOST_BYTES / (1 << 30), files=MOST_FILES
                        )
                    )
                put(file, to / name)
    except OSError as error:
        sentence = _("{path} cannot be copied: {reason}.")
        raise LearnerError(
            sentence.format(path=error.filename or source, reason=error.strerror or error)
        ) from None


def _left_out(path: Path, leave_out: Path | None) -> bool:
    if path.name in LEFT_OUT:
        return True
    if leave_out is None:
        return False
    beside = path.parent == leave_out.parent and path.name.startswith(f".{leave_out.name}.")
    return path == leave_out or beside


def _follow_link(path: Path, base: Path) -> Path:
    """Return the file itself, where `path` may be a link.

    Raises:
        LearnerError: it leads out of the folder, to nowhere, or to a folder.
    """
    if not path.is_symlink():
        return path
    target = path.resolve()
    if not target.is_relative_to(base):
        sentence = _(
            "{path} is a link that leads out of the folder, to {target}. "
            "Everything that the service needs must lie in its folder."
        )
        raise LearnerError(sentence.format(path=path, target=target))
    if not target.exists() or target.is_dir():
        sentence = _("{path} is a link to {target}; only links to files can be copied.")
        raise LearnerError(sentence.format(path=path, target=target))
    return target
