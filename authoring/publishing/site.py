"""The lessons as web pages that work offline: `python -m authoring.publishing.site` (`make site`).

The pages show the outputs that are stored in the notebooks (`make lessons`); nothing is run.
"""

import argparse
import shutil
from pathlib import Path
from typing import Any

import nbformat.v4

from authoring.publishing import rendering, search
from learner.errors import LearnerError
from learner.language import LANGUAGES, _, speaking
from notebooks.lab.arguments import run
from notebooks.lab.lessons import NOTEBOOKS, Lesson, lessons

MARK = ".made-by-workshop-site"
"""A file that marks a folder as made here: it may be replaced."""


def main() -> int:
    """Build the site."""
    parser = argparse.ArgumentParser(prog="make site", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("site"))
    options = parser.parse_args()
    build(options.output)
    print(_("The site: {path}").format(path=options.output / "index.html"))
    return 0


def build(output: Path, notebooks: Path = NOTEBOOKS) -> None:
    """Write the pages of all languages that have lessons.

    Args:
        output: a folder; the pages of an earlier build are replaced.
        notebooks: the folder of the lessons.

    Raises:
        LearnerError: the folder contains other files, or there are no lessons.
    """
    by_language = {code: made for code in LANGUAGES if (made := lessons(code, notebooks))}
    if "en" not in by_language:
        raise LearnerError(_("There are no lessons in {folder}.").format(folder=notebooks / "en"))
    clear(output, MARK)
    style = (rendering.TEMPLATES / "style.css").read_text(encoding="utf-8")
    _write(output / "style.css", style + rendering.code_style())
    shutil.copyfile(rendering.TEMPLATES / "search.js", output / "search.js")
    names = {code: [lesson.name for lesson in made] for code, made in by_language.items()}
    for code in by_language:
        if (notebooks / code / "glossary.md").exists():
            names[code].append("glossary")
        names[code].append("index")
    titles = {}
    for code, made in by_language.items():
        with speaking(code):
            titles[code] = words()["site"]
            _write_language(output, code, made, names, notebooks / code)
    page = rendering.templates().get_template("languages.html.j2")
    shown = {code: LANGUAGES[code] for code in by_language}
    _write(output / "index.html", page.render(languages=shown, titles=titles))


def clear(folder: Path, mark: str) -> None:
    """Empty a folder that an earlier build made, or create it.

    Raises:
        LearnerError: it contains files of somebody else.
    """
    if folder.exists() and not (folder / mark).exists() and any(folder.iterdir()):
        raise LearnerError(
            _("{folder} has other files in it. Give another folder: --output").format(folder=folder)
        )
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / mark).touch()


def words() -> dict[str, str]:
    """Return the texts of every page, in the current language."""
    return {
        "site": _("From notebook to production"),
        "skip": _("Skip to the content"),
        "search": _("Search the lessons (key: /)"),
        "none": _("No section contains all of these words."),
        "some": _("Sections found: {n}"),
        "many": _("Sections found: {n}. These are the first {most}."),
        "language": _("Language"),
        "lessons": _("Lessons"),
        "before": _("Previous"),
        "after": _("Next"),
        "glossary": _("Glossary"),
        "objectives": _("After this lesson you can"),
        "intro": _(
            "Eight lessons take a PyTorch model out of a notebook and into a service that people "
            "can rely on. In each you guess first and measure then. These pages show what was "
            "measured on one machine; run the lessons to see what yours does."
        ),
        "made": _(
            "This page shows a notebook. Run it yourself in JupyterLab, from the workshop's folder:"
        ),
    }


def minutes(number: float) -> str:
    """Return a duration in words, in the current language."""
    return _("About {n:.0f} minutes").format(n=number)


def _write_language(
    output: Path, code: str, made: list[Lesson], names: dict[str, list[str]], source: Path
) -> None:
    pages = output / code
    shared = {"language": code, "words": words(), "root": "../", "home": "index.html"}

    def page(name: str, template: str = "page.html.j2", **more: Any) -> None:
        languages = [
            {
                "code": other,
                "name": LANGUAGES[other],
                "href": f"../{other}/{name if name in there else 'index'}.html",
            }
            for other, there in names.items()
        ]
        made_of = {**shared, "languages": languages, **more}
        html = rendering.templates().get_template(template).render(page=made_of)
        _write(pages / f"{name}.html", html)

    sections: list[search.Section] = []

    def cells_page(name: str, title: str, notebook: Any, **more: Any) -> None:
        body = rendering.cells(notebook)
        sections.extend(search.cut_sections(body, f"{name}.html", title))
        page(name, title=title, body=body, **more)

    steps: list[dict[str, str] | None] = [
        None,
        *({"href": f"{lesson.name}.html", "title": lesson.title} for lesson in made),
        None,
    ]
    for lesson, before, after in zip(made, steps, steps[2:], strict=False):
        cells_page(lesson.name, lesson.title, lesson.notebook, before=before, after=after)
    contents = [
        {
            "href": f"{lesson.name}.html",
            "title": lesson.title,
            "minutes": minutes(lesson.minutes),
            "objectives": [rendering.markdown(text) for text in lesson.objectives],
        }
        for lesson in made
    ]
    glossary = source / "glossary.md"
    page(
        "index",
        "contents.html.j2",
        title=words()["lessons"],
        lessons=contents,
        glossary=glossary.exists(),
    )
    if glossary.exists():
        text = nbformat.v4.new_markdown_cell(  # type: ignore[no-untyped-call]
            glossary.read_text(encoding="utf-8"), id="glossary"
        )
        notebook = nbformat.v4.new_notebook(cells=[text])  # type: ignore[no-untyped-call]
        cells_page("glossary", words()["glossary"], notebook)
    _write(pages / "sections.js", search.write_index(sections))
    if (source / "figures").is_dir():
        shutil.copytree(source / "figures", pages / "figures")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run(main)
