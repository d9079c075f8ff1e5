"""A workshop for tests: two small lessons, a figure, a module, and their translation."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from authoring.translations import catalogue, work
from authoring.translations.messages import Entry
from authoring.translations.sources import Workshop, collect

TERMS = """
[[term]]
term = "latency"
ja = ["レイテンシ"]
id = ["latensi"]
forbidden = { ja = ["レイテンシー"], id = ["keterlambatan"] }
definition = "Time until the answer."
"""
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 90" role="img">\n'
    "  <!-- <text>not this</text> -->\n"
    '  <title>Fast &amp; slow</title><text x="1"/><text x="8" y="9"> the queue </text>\n'
    '  <text x="8" y="9">50</text>\n</svg>\n'
)
CODE = 'from learner.language import _ as tr\n\nprint(tr("{n} of {m} photos"))\n'
JAPANESE = {
    "# 1 · Speed": "# 1 · 速さ",
    "About 5 minutes": "約 5 分",
    "The latency of `f(x)` is **low**: $t < 50$ ms. See [two](02_two.ipynb).": (
        "`f(x)` のレイテンシは **低く**、$t < 50$ ms です。[次のレッスン](02_two.ipynb)を参照。"
    ),
    "- one\n- two": "- 一\n- 二",
    "They expect the mean.": "平均値だと思っている。",
    "| a cell | b |\n|---|---|\n| left | right |": "| セル | b |\n|---|---|\n| 左 | 右 |",
    "Fast & slow": "速い & 遅い",
    "the queue": "キュー",
    "{n} of {m} photos": "{m} 枚中 {n} 枚",
    "Cannot read {file!r}.": "{file!r} を読めません。",
    "Glossary": "用語集",
    "Meaning": "意味",
    "Time until the answer.": "応答までの時間。",
}


def cell(kind: str, name: str, source: str, **metadata: object) -> dict[str, Any]:
    """Return a cell as nbformat writes it."""
    found: dict[str, Any] = {"cell_type": kind, "id": name, "metadata": metadata}
    if kind == "code":
        found |= {"execution_count": 1, "outputs": []}
    return dict(sorted({**found, "source": source.splitlines(keepends=True)}.items()))


def notebook(cells: Sequence[dict[str, Any]]) -> str:
    """Return a notebook as nbformat writes it."""
    whole = {"cells": cells, "metadata": {"x": "é"}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def build(folder: Path) -> Workshop:
    """Create the workshop in English in `folder`, with an empty folder of catalogues."""
    english = folder / "notebooks" / "en"
    (english / "figures").mkdir(parents=True)
    (english / "figures" / "queue.svg").write_text(SVG)
    (english / "01_one.ipynb").write_text(
        notebook(
            [
                cell("markdown", "title", "# 1 · Speed\n\nAbout 5 minutes\n"),
                cell("code", "setup", CODE),
                cell(
                    "markdown",
                    "tail",
                    "The latency of `f(x)` is **low**: $t < 50$ ms. See [two](02_two.ipynb).\n\n"
                    "```python\nnot_a_message()\n```\n\n---\n\n- one\n- two\n",
                    minutes=5,
                    speaker_notes="They expect the mean.",
                ),
            ]
        )
    )
    table = "| a cell | b |\n|---|---|\n| left | right |"
    (english / "02_two.ipynb").write_text(notebook([cell("markdown", "table", table)]))
    code = folder / "module.py"
    code.write_text('raise LearnerError(_("Cannot read {file!r}.").format(file=1))\n')
    terms = folder / "glossary.toml"
    terms.write_text(TERMS)
    catalogues = folder / "catalogues"
    catalogues.mkdir()
    return Workshop(english, catalogues, [code], False, terms)


def build_translated(folder: Path) -> Workshop:
    """Create the workshop, translate it completely into Japanese, and generate its lessons."""
    workshop = build(folder)
    work.regenerate(workshop)
    items = work.todo(workshop, "ja")
    for item in items:
        item["translation"] = JAPANESE.get(item["english"]) or "各言語の用語です。"
    assert work.fill(workshop, "ja", items).refused == []
    work.regenerate(workshop)
    return workshop


def named(workshop: Workshop, code: str = "ja") -> list[tuple[str, str]]:
    """Return kind and place of each problem."""
    found = work.find_problems(workshop, code, collect(workshop))
    return [(problem.kind, problem.place) for problem in found]


def edit(workshop: Workshop, file: str, before: str, after: str) -> None:
    """Change an English file, once."""
    path = workshop.english / file
    text = path.read_text()
    assert text.count(before) == 1
    path.write_text(text.replace(before, after))


def entry_of(workshop: Workshop, context: str, code: str = "ja") -> Entry:
    """Return the entry of a catalogue with that context."""
    entries = catalogue.read(code, workshop.catalogues)
    return next(entry for entry in entries if entry.message.context == context)
