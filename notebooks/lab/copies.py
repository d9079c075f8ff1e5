"""Copies the lessons to the learner's folder, and updates those that the learner has not changed.

The digest of each copied file is stored. A file that still has this digest is replaced by a newer
one; any other file is the learner's, and stays.
"""

import contextlib
import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from learner.folder import folder, read_json, write_json
from learner.language import _
from learner.paths import write_atomically
from notebooks.lab.lessons import NOTEBOOKS

FILE = "lessons.json"
KEPT = "kept"
_SKIPPED = {".ipynb_checkpoints", KEPT}


@dataclass(frozen=True, slots=True)
class Layout:
    """The result of copying the lessons."""

    folder: Path
    """Where the lessons are."""
    lines: tuple[str, ...]
    """Messages for the learner."""


def lay_out(language: str, fresh: bool = False, notebooks: Path = NOTEBOOKS) -> Layout:
    """Copy the lessons of `language` to the learner's folder, or update them there.

    Args:
        language: a code with a folder under `notebooks`.
        fresh: also replace files that the learner changed; their version goes into `kept/`.
        notebooks: folder of the workshop's lessons.
    """
    source, target = notebooks / language, folder() / language
    before: dict[str, str] = read_json(FILE).get(language, {})
    after: dict[str, str] = {}
    lines: list[str] = []
    aside = target / KEPT / time.strftime("%Y%m%d-%H%M%S")
    for name in _list_files(source):
        offered, there = source / name, target / name
        wanted, present = digest(offered), digest(there)
        after[name] = wanted or ""
        if present == wanted and not fresh:
            continue
        if present in (None, before.get(name)) or fresh:
            if fresh and present is not None and there.read_bytes() != _without_outputs(offered):
                kept = aside / name
                kept.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(there, kept)
                lines.append(
                    _("{file}: a fresh one; yours is in {kept}").format(file=name, kept=kept)
                )
            write_atomically(there, _without_outputs(offered))
        else:
            # The old digest stays stored, so that the message comes next time, too.
            after[name] = before.get(name, "")
            if after[name] != wanted:
                lines.append(
                    _(
                        "{file}: you changed it, so it stays, although there is a newer one. "
                        "To get that (a copy of yours is kept): make lab lang={language} fresh=1"
                    ).format(file=name, language=language)
                )
    for name in before.keys() - after.keys():
        if digest(target / name) == before[name]:  # not a lesson any more, and unchanged
            (target / name).unlink(missing_ok=True)
    write_json(FILE, {**read_json(FILE), language: after})
    return Layout(target, tuple(lines))


def digest(path: Path) -> str | None:
    """Return a digest that changes when a person edits the file; None if there is no such file.

    In a notebook only the type, id and source of non-empty cells count: running and opening it
    change outputs and metadata, and Shift+Enter adds an empty cell at the end.
    """
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if path.suffix == ".ipynb":
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
            content = _select_edited_parts(content)  # damaged: all bytes count
    return hashlib.sha256(content).hexdigest()[:16]


def _select_edited_parts(notebook: bytes) -> bytes:
    cells = [
        (cell["cell_type"], cell.get("id"), "".join(cell["source"]))
        for cell in json.loads(notebook)["cells"]
    ]
    return json.dumps([cell for cell in cells if cell[2].strip()]).encode()


def _list_files(source: Path) -> Iterator[str]:
    for path in sorted(source.rglob("*")):
        inside = path.relative_to(source)
        if path.is_file() and not any(
            part in _SKIPPED or part.startswith(".") for part in inside.parts
        ):
            yield inside.as_posix()


def _without_outputs(path: Path) -> bytes:
    """Return the file, a notebook without its outputs: they would show results before the guess."""
    content = path.read_bytes()
    if path.suffix != ".ipynb":
        return content
    notebook = json.loads(content)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
    return json.dumps(notebook, indent=1, ensure_ascii=False).encode() + b"\n"
