"""The generated lessons are the English ones, with the texts of their language."""

import json
from dataclasses import replace
from pathlib import Path

from authoring.translations import catalogue, generate, work
from authoring.translations.glossary import unlink
from authoring.translations.messages import Entry, Message
from authoring.translations.sources import Workshop
from service.console.texts import english as english_texts
from service.console.texts import texts
from tests.authoring.translations.a_workshop import (
    JAPANESE,
    build,
    build_translated,
    cell,
    named,
    notebook,
)


def test_untranslated_lessons_equal_the_english() -> None:
    workshop = Workshop.of_repository()
    files = generate.generate(workshop, "id", [])
    english_files = generate.generate(workshop, "en", [])
    for path in [*workshop.lessons(), *workshop.figures()]:
        generated = workshop.lessons_in("id") / path.relative_to(workshop.english)
        made = files[generated].decode()
        english = english_files.get(path, path.read_bytes()).decode()
        if path.suffix == ".ipynb":
            made, english = without_outputs(made), without_outputs(english)
        assert made == english, path.name


def without_outputs(text: str) -> str:
    """Return a notebook as it is before it runs."""
    whole = json.loads(text)
    for one in whole["cells"]:
        if one["cell_type"] == "code":
            one["outputs"], one["execution_count"] = [], None
            one["metadata"].pop("executed", None)
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def test_translated_lessons_differ_in_their_texts_only(
    tmp_path: Path,
) -> None:
    workshop = build_translated(tmp_path)
    assert named(workshop) == []
    english = (workshop.english / "01_one.ipynb").read_text()
    assert english.count("The [latency](glossary.md#latency) of `f(x)`") == 1
    lesson = without_outputs(unlink(english))
    for before, after in JAPANESE.items():
        lesson = lesson.replace(
            json.dumps(before, ensure_ascii=False)[1:-1],
            json.dumps(after, ensure_ascii=False)[1:-1],
        )
    lesson = lesson.replace("- one", "- 一").replace("- two", "- 二")
    # The strings of code stay: the cells are the same in all languages.
    lesson = lesson.replace("{m} 枚中 {n} 枚", "{n} of {m} photos")
    translated = (workshop.lessons_in("ja") / "01_one.ipynb").read_text()
    assert unlink(translated) == lesson
    assert translated.count("`f(x)` の[レイテンシ](glossary.md#latency)は") == 1
    figure = (workshop.lessons_in("ja") / "figures" / "queue.svg").read_text()
    assert "<title>速い &amp; 遅い</title>" in figure
    assert '<text x="8" y="9"> キュー </text>' in figure
    assert "<!-- <text>not this</text> -->" in figure
    assert (
        '| <a id="latency"></a>latency | レイテンシ | latensi | 応答までの時間。 |'
        in (workshop.lessons_in("ja") / "glossary.md").read_text()
    )
    untranslated = workshop.lessons_in("id") / "01_one.ipynb"
    original = (workshop.english / "01_one.ipynb").read_text()
    assert untranslated.read_text() == without_outputs(original)
    assert {kind for kind, _place in named(workshop, "id")} == {"missing"}


def test_texts_of_the_panel_are_written_for_the_service(tmp_path: Path) -> None:
    workshop = replace(build(tmp_path), panel=tmp_path / "translations")
    message = Message("Copy output", None, ("texts.py",))
    files = generate.generate(workshop, "ja", [Entry(message, "出力をコピー")])
    words = json.loads(files[tmp_path / "translations" / "ja.json"])
    assert words == {**texts(english_texts), "copy": "出力をコピー"}


def test_blocks_that_run_into_each_other_are_reported(tmp_path: Path) -> None:
    """Each block alone has the form of the English, but one opens a comment that hides the next."""
    workshop = build(tmp_path)
    lesson = workshop.english / "03_three.ipynb"
    lesson.write_text(notebook([cell("markdown", "c", "<!-- a --> words\n\nmore")]))
    message = Message("<!-- a --> words", "notebooks/03_three.ipynb/c/0")
    catalogue.write([Entry(message, "<!-- a -- 言葉")], "ja", workshop.catalogues)
    work.regenerate(workshop)
    left = [place for kind, place in named(workshop) if kind == "wrong"]
    assert left == ["notebooks/03_three.ipynb/c"]
