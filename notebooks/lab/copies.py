"""Lays the lessons out in the learner's folder, so that updates and the learner never collide.

What was laid out is remembered by a digest. A file that still has it is the workshop's, and is
replaced by a newer one; any other is the learner's, and stays.
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
    """Where the lessons lie now, and what the learner should know about it."""

    folder: Path
    lines: tuple[str, ...]


def lay_out(language: str, fresh: bool = False, notebooks: Path = NOTEBOOKS) -> Layout:
    """Bring the lessons of `language` into the learner's folder.

    Args:
        language: a code with a folder under `notebooks`.
        fresh: also replace what the learner changed; a copy of theirs goes into `kept/`.
        notebooks: where the lessons come from.
    """
    source, target = notebooks / language, folder() / language
    before: dict[str, str] = read_json(FILE).get(language, {})
    after: dict[str, str] = {}
    lines: list[str] = []
    aside = target / KEPT / time.strftime("%Y%m%d-%H%M%S")
    for name in _files(source):
        offered, there = source / name, target / name
        wanted, found = digest(offered), digest(there)
        after[name] = wanted or ""
        if found == wanted and not fresh:
            continue
        if found in (None, before.get(name)) or fresh:
            if fresh and found is not None and there.read_bytes() != _to_be_run(offered):
                kept = aside / name
                kept.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(there, kept)
                lines.append(
                    _("{file}: a fresh one; yours is in {kept}").format(file=name, kept=kept)
                )
            write_atomically(there, _to_be_run(offered))
        else:
            # Still the learner's; remembered as laid out before, so that it is said next time too.
            after[name] = before.get(name, "")
            if after[name] != wanted:
                lines.append(
                    _(
                        "{file}: you changed it, so it stays, although there is a newer one. "
                        "To get that (a copy of yours is kept): make lab lang={language} fresh=1"
                    ).format(file=name, language=language)
                )
    for name in before.keys() - after.keys():
        if digest(target / name) == before[name]:  # no longer part of the workshop, and untouched
            (target / name).unlink(missing_ok=True)
    write_json(FILE, {**read_json(FILE), language: after})
    return Layout(target, tuple(lines))


def digest(path: Path) -> str | None:
    """What tells an edited file from an untouched one; None if there is no such file.

    Of a notebook only what people write counts: kind, id and source of its cells. Outputs and
    metadata change by running and opening it; empty cells appear at its end by Shift+Enter.
    """
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if path.suffix == ".ipynb":
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
            content = _written(content)  # a damaged one is judged by its bytes
    return hashlib.sha256(content).hexdigest()[:16]


def _written(notebook: bytes) -> bytes:
    cells = [
        (cell["cell_type"], cell.get("id"), "".join(cell["source"]))
        for cell in json.loads(notebook)["cells"]
    ]
    return json.dumps([cell for cell in cells if cell[2].strip()]).encode()


def _files(source: Path) -> Iterator[str]:
    for path in sorted(source.rglob("*")):
        inside = path.relative_to(source)
        if path.is_file() and not any(
            part in _SKIPPED or part.startswith(".") for part in inside.parts
        ):
            yield inside.as_posix()


def _to_be_run(path: Path) -> bytes:
    """The file; a lesson without its outputs, which would tell the answers before the guess."""
    content = path.read_bytes()
    if path.suffix != ".ipynb":
        return content
    notebook = json.loads(content)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
    return json.dumps(notebook, indent=1, ensure_ascii=False).encode() + b"\n"
