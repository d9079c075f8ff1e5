"""From English to the other languages: what is left to do, and translators' work."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from authoring.translations import work
from authoring.translations.messages import SourceError
from authoring.translations.sources import collect
from tests.authoring.translations.a_workshop import (
    build,
    build_translated,
    cell,
    edit,
    entry_of,
    named,
    notebook,
)


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return content and time of writing of all files in a folder."""
    return {
        str(path): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    workshop = build_translated(tmp_path)
    edit(workshop, "01_one.ipynb", "- one", "- only one")
    work.regenerate(workshop)
    before = contents(tmp_path)
    assert work.regenerate(workshop) == []
    assert contents(tmp_path) == before


def test_checking_writes_nothing_and_lists_each_file(tmp_path: Path) -> None:
    workshop = build_translated(tmp_path)
    japanese = workshop.lessons_in("ja")
    (japanese / "02_two.ipynb").write_text("{}")
    (japanese / "figures" / "queue.svg").unlink()
    (japanese / "09_old.ipynb").write_text("{}")
    (japanese / "figures" / "old.svg").write_text("<svg/>")
    (japanese / "glossary.md").write_text("")
    (japanese / "Untitled.ipynb").write_text("somebody's own")
    before = contents(tmp_path)
    assert named(workshop) == [
        ("file", "notebooks/ja/glossary.md is not what would be generated"),
        ("file", "notebooks/ja/02_two.ipynb is not what would be generated"),
        ("file", "notebooks/ja/figures/queue.svg is not there"),
        ("file", "notebooks/ja/09_old.ipynb has no English original"),
        ("file", "notebooks/ja/figures/old.svg has no English original"),
    ]
    assert contents(tmp_path) == before
    work.regenerate(workshop)
    assert named(workshop) == []
    assert (japanese / "Untitled.ipynb").read_text() == "somebody's own"
    (workshop.catalogues / "ja.po").write_text((workshop.catalogues / "ja.po").read_text() + "\n")
    assert named(workshop) == [("file", "ja.po")]


def test_a_wrong_translation_is_reported(tmp_path: Path) -> None:
    workshop = build_translated(tmp_path)
    path = workshop.catalogues / "ja.po"
    path.write_text(path.read_text().replace("[次のレッスン](02_two.ipynb)", "[次](01_one.ipynb)"))
    left = list(work.find_problems(workshop, "ja", collect(workshop)))
    assert [str(problem) for problem in left if problem.kind != "file"] == [
        "wrong: notebooks/01_one.ipynb/tail/0: "
        "link targets: missing '02_two.ipynb', added '01_one.ipynb'"
    ]
    assert next(work.summarise("ja", left, 1)) == "ja: 1 wrong, 1 file"


def test_todo_lists_what_a_translator_needs(tmp_path: Path) -> None:
    workshop = build_translated(tmp_path)
    assert work.todo(workshop, "ja") == []
    assert len(work.todo(workshop, "ja", everything=True)) == len(collect(workshop))
    edit(workshop, "01_one.ipynb", "**low**", "**lower**")
    edit(workshop, "02_two.ipynb", "a cell", "A cell")
    found = work.todo(workshop, "ja", place="notebooks/01_")
    assert found == [
        {
            "place": "notebooks/01_one.ipynb/tail/0",
            "english": "The latency of `f(x)` is **lower**: $t < 50$ ms. See [two](02_two.ipynb).",
            "previous": "The latency of `f(x)` is **low**: $t < 50$ ms. See [two](02_two.ipynb).",
            "suggestion": entry_of(workshop, "notebooks/01_one.ipynb/tail/0").translation,
            "terms": {"latency": "レイテンシ"},
            "translation": "",
        }
    ]
    found[0]["translation"] = found[0]["suggestion"]
    assert work.fill(workshop, "ja", found).accepted == 1
    assert work.todo(workshop, "ja", place="notebooks/01_") == []


def test_fill_accepts_good_translations_only(tmp_path: Path) -> None:
    workshop = build(tmp_path)
    items = work.todo(workshop, "id")
    by_text = {item["english"]: item for item in items}
    by_text["About 5 minutes"]["translation"] = "Sekitar 5 menit"
    by_text["They expect the mean."]["translation"] = " Mereka mengira rata-rata."
    by_text["Cannot read {file!r}."]["translation"] = "Tidak dapat membaca {file}."
    items.append({"place": "notebooks/x", "english": "gone", "translation": "hilang"})
    filled = work.fill(workshop, "id", items)
    assert (filled.accepted, filled.empty) == (1, len(items) - 4)
    assert [refusal.split(": ")[0] for refusal in filled.refused] == [
        "notebooks/01_one.ipynb/tail/notes",
        "module.py",
        "notebooks/x",
    ]
    assert entry_of(workshop, "notebooks/01_one.ipynb/title/1", "id").usable == "Sekitar 5 menit"
    wrong: object
    for wrong in ({}, [1], [{"place": "a"}], [{"place": "a", "english": "b", "translation": None}]):
        with pytest.raises(SourceError):
            work.fill(workshop, "id", wrong)


def test_fill_drops_nothing_while_a_source_is_missing(tmp_path: Path) -> None:
    workshop = build_translated(tmp_path)
    path = workshop.english / "02_two.ipynb"
    path.rename(path.with_name("away"))
    assert work.fill(workshop, "ja", []).refused == []
    path.with_name("away").rename(path)
    work.regenerate(workshop)
    assert named(workshop) == []


def test_many_translators_at_the_same_time(tmp_path: Path) -> None:
    workshop = build(tmp_path)
    cells = [cell("markdown", f"c{n}", f"Text {n}.") for n in range(24)]
    (workshop.english / "03_three.ipynb").write_text(notebook(cells))
    items = work.todo(workshop, "id", place="notebooks/03")
    for number, item in enumerate(items):
        item["translation"] = f"Teks {number}."
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda item: work.fill(workshop, "id", [item]), items))
    assert [filled.accepted for filled in done] == [1] * len(items)
    assert work.todo(workshop, "id", place="notebooks/03") == []
