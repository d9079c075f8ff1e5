"""Slides for teachers: `python -m authoring.publishing.slides --lang ja` (`make slides`).

One deck per lesson, made from the notebooks, and a page with the decks and the timetables. They
work offline: reveal.js is copied beside them.
"""

import argparse
import re
import shutil
from pathlib import Path
from typing import Any

from authoring.publishing import rendering, slide_cells, timetable
from authoring.publishing.site import clear, minutes, words
from learner.language import LANGUAGES, _, language, speaking
from notebooks.lab.arguments import known_language, run
from notebooks.lab.lessons import NOTEBOOKS, Lesson, lessons_or_error

MARK = ".made-by-workshop-slides"
REVEAL = Path(__file__).with_name("reveal")
"""reveal.js 5.2.0 (MIT), as published in the npm package `reveal.js`: dist/, plugin/notes/."""
_LINK = re.compile(r'<a href="(?!https?:)[^"]*"[^>]*>(.*?)</a>', re.DOTALL)


def main() -> int:
    """Build the decks of one language."""
    parser = argparse.ArgumentParser(prog="make slides", description=__doc__)
    parser.add_argument("--lang", help=f"one of {', '.join(LANGUAGES)}")
    parser.add_argument("--output", type=Path, default=Path("slides"))
    options = parser.parse_args()
    code = known_language(options.lang or language())
    with speaking(code):
        build(options.output, code)
        page = options.output / code / "index.html"
        print(_("The slides: {path}").format(path=page))
        print(_("In them: arrow keys to move, S for the speaker's window with the notes."))
    return 0


def build(output: Path, code: str, notebooks: Path = NOTEBOOKS) -> None:
    """Write the decks of one language; those of other languages stay.

    Args:
        output: a folder; the decks of an earlier build in this language are replaced.
        code: the language.
        notebooks: the folder of the lessons.

    Raises:
        LearnerError: the lessons are missing, or the folder contains other files.
    """
    found = lessons_or_error(code, notebooks)
    pages = output / code
    clear(pages, MARK)
    shutil.copytree(REVEAL, output / "reveal", dirs_exist_ok=True)
    for name in ("style.css", "deck.css"):
        style = (rendering.TEMPLATES / name).read_text(encoding="utf-8")
        (output / name).write_text(style + rendering.code_style(name == "style.css"), "utf-8")
    if (notebooks / code / "figures").is_dir():
        shutil.copytree(notebooks / code / "figures", pages / "figures")
    with speaking(code):
        shown = [_write_deck(lesson, pages, code) for lesson in found]
        _write_contents(found, shown, pages, code)


def _write_deck(lesson: Lesson, pages: Path, code: str) -> dict[str, Any]:
    slides = slide_cells.cut(lesson, minutes(lesson.minutes))
    body = _LINK.sub(r"\1", rendering.cells(slides, "deck"))
    page = {"language": code, "title": lesson.title, "body": body}
    html = rendering.templates().get_template("deck.html.j2").render(page=page)
    (pages / f"{lesson.name}.html").write_text(html, encoding="utf-8")
    return {
        "href": f"{lesson.name}.html",
        "title": lesson.title,
        "minutes": minutes(lesson.minutes),
        "slides": _("{n} slides").format(n=len(slides.cells)),
    }


def _write_contents(
    found: list[Lesson], shown: list[dict[str, Any]], pages: Path, code: str
) -> None:
    tables = []
    for total in timetable.LENGTHS:
        slots = timetable.timetable(found, total)
        rows = [
            {
                "start": timetable.format_clock(slot.start),
                "minutes": slot.minutes,
                "what": timetable.describe(slot),
                "kind": slot.kind,
            }
            for slot in slots
        ]
        rest = timetable.list_left_out(found, slots)
        tables.append({"title": timetable.name_length(total), "slots": rows, "rest": rest})
    page = {
        "language": code,
        "root": "../",
        "home": "index.html",
        "title": _("Slides and timetables"),
        "languages": [],
        "lessons": shown,
        "timetables": tables,
        "words": {
            **words(),
            "how": _(
                "Arrow keys move, S opens the speaker's window with notes and clock, O shows all "
                "slides, F fills the screen. To print, add ?print-pdf to a deck's address."
            ),
            "timetable": _("Timetables"),
            "start": _("Start"),
            "minutes": _("Minutes"),
            "what": _("What"),
            "rest": _("To read afterwards:"),
        },
    }
    html = rendering.templates().get_template("deck_contents.html.j2").render(page=page)
    (pages / "index.html").write_text(html, encoding="utf-8")


if __name__ == "__main__":
    run(main)
