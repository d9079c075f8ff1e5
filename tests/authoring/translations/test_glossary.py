"""What a translator does: `todo`, then `fill`, several people at the same time."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from authoring.translations import __main__ as command
from authoring.translations import work
from authoring.translations.messages import SourceError
from authoring.translations.sources import Workshop, collect
from tests.authoring.translations.a_workshop import (
    build,
    build_translated,
    cell,
    edit,
    entry_of,
    named,
    notebook,
)


def test_todo_says_what_a_translator_needs(tmp_path: Path) -> None:
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


def test_fill_keeps_what_is_good_and_refuses_the_rest(tmp_path: Path) -> None:
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


def test_fill_drops_nothing_while_a_source_is_away(tmp_path: Path) -> None:
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


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workshop = build(tmp_path)
    monkeypatch.setattr(Workshop, "of_repository", lambda: workshop)
    assert command.main(["--check"]) == 1
    assert "ja: missing: notebooks/01_one.ipynb/title/0\n" in capsys.readouterr().out
    assert command.main([]) == 0
    assert "ja: 14 missing\n  missing: notebooks/01_one" in capsys.readouterr().out
    assert command.main(["todo", "ja", "--place", "glossary/title"]) == 0
    items = json.loads(capsys.readouterr().out)
    items[0]["translation"] = "用語集"
    (tmp_path / "todo.json").write_text(json.dumps(items))
    assert command.main(["fill", "ja", str(tmp_path / "todo.json")]) == 0
    assert capsys.readouterr().out == "1 accepted, 0 refused, 0 left empty\n"
    (tmp_path / "todo.json").write_text("[")
    assert command.main(["fill", "ja", str(tmp_path / "todo.json")]) == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path}/todo.json: ")
