"""A task in a notebook: `task("drain")` says what to write, and checks what was written."""

import html
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from IPython.display import display

from challenges.minimal_service.learner_service import NAME
from challenges.tasks import display as words
from challenges.tasks import engine, progress
from challenges.tasks.catalogue import Task, find
from challenges.tasks.engine import Outcome
from challenges.tasks.places import is_written
from learner.folder import folder
from learner.language import _


def task(name: str, *, hint: bool = False, solution: bool = False) -> None:
    """Show a task; once something of it is written, check it and show the verdict.

    Args:
        name: of the task.
        hint: show one more hint instead.
        solution: show the solution instead, if it is open.

    Raises:
        LearnerError: there is no such task, another one comes first, or the solution is not open.
    """
    chosen = find(name)
    engine.lay_out()
    if hint:
        _show_hint(chosen, progress.take_hint(chosen))
        return
    if solution:
        code = words.open_solution(chosen, progress.load().of(chosen))
        _show(f"<pre>{html.escape(code)}</pre>", code)
        return
    written = is_written(chosen, engine.own_folder())
    _show_task(chosen, written)
    if written:
        _show_outcome(chosen, engine.check(chosen))


def _show_task(chosen: Task, written: bool) -> None:
    file = f"{NAME}/{chosen.file}"
    link = _link_from_here(file)
    code = f"<code>{_text(file)}</code>"
    place = _("Write it in {file}").format(file="\N{OBJECT REPLACEMENT CHARACTER}")
    linked = html.escape(place).replace(
        "\N{OBJECT REPLACEMENT CHARACTER}",
        code if link is None else f'<a href="{quote(link)}">{code}</a>',
    )
    next_step = (
        _("It is checked now. This can take half a minute.")
        if written
        else _("Save the file, then run this cell again: it is checked.")
    )
    _show(
        f"<p><strong>{_text(words.heading(chosen))}</strong></p><p>{_text(chosen.ask)}</p>"
        f"<p>{linked}</p><p><em>{_text(next_step)}</em></p>",
        "\n".join(
            (
                words.heading(chosen),
                chosen.ask,
                _("Write it in {file}").format(file=file),
                next_step,
            )
        ),
    )


def _link_from_here(file: str) -> str | None:
    """Return the way from the notebook to a file of the learner's folder, which JupyterLab opens.

    None for a notebook that lies elsewhere: the originals are run by authors and published.
    """
    here = Path.cwd()
    if not here.is_relative_to(folder()):
        return None
    return Path(os.path.relpath(folder() / file, here)).as_posix()


def _show_outcome(chosen: Task, outcome: Outcome) -> None:
    verdict = outcome.verdict
    colour = "#2e7d32" if verdict.passed else "#b45309"
    heading = words.verdict_heading(verdict)
    parts = words.parts(verdict)
    rows = "".join(f"<dt>{_text(name)}</dt><dd>{_text(text)}</dd>" for name, text in parts)
    printed = "\n".join(outcome.printed)
    further = _how_to_go_on(chosen)
    _show(
        (f"<pre>{_text(printed)}</pre>" if printed else "")
        + f'<p role="status" style="border-left: 5px solid {colour}; padding-left: 8px">'
        f"<strong>{_text(heading)}</strong></p>"
        + (f"<dl>{rows}</dl>" if rows else "")
        + f"<p><em>{_text(further)}</em></p>",
        "\n".join(
            text
            for text in (printed, heading, *(f"{name}: {text}" for name, text in parts), further)
            if text
        ),
    )


def _how_to_go_on(chosen: Task) -> str:
    return words.next_step(chosen, progress.load().of(chosen)).format(
        hint=f'task("{chosen.id}", hint=True)', solution=f'task("{chosen.id}", solution=True)'
    )


def _show_hint(chosen: Task, number: int) -> None:
    heading = _("{title}, hint {number} of {most}").format(
        title=chosen.title, number=number, most=len(chosen.hints)
    )
    text = chosen.hints[number - 1]
    body = "".join(
        f"<pre>{html.escape(line)}</pre>" if line.startswith(" ") else f"<p>{_text(line)}</p>"
        for line in text.splitlines()
        if line.strip()
    ).replace("</pre><pre>", "\n")
    _show(f"<p><strong>{_text(heading)}</strong></p>{body}", f"{heading}\n{text}")


def _text(text: str) -> str:
    """Texts mark code `so`, and are otherwise shown as they are."""
    parts = html.escape(text).split("`")
    return "".join(f"<code>{part}</code>" if at % 2 else part for at, part in enumerate(parts))


def _show(page: str, plain: str) -> None:
    shown: dict[str, Any] = {
        "text/html": f'<div class="workshop-task">{page}</div>',
        "text/plain": plain,
    }
    display(shown, raw=True)  # type: ignore[no-untyped-call]
