"""From English to the other languages and back: `python -m authoring.translations`."""

import ast
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from authoring.translations import __main__ as command
from authoring.translations import catalogue, generate, work
from authoring.translations.checks import problems
from authoring.translations.glossary import INTRODUCTION
from authoring.translations.messages import Entry, Message, SourceError
from authoring.translations.notebooks import source_of
from authoring.translations.sources import Workshop, collect, of_code, of_lesson
from learner import language
from learner.paths import ROOT
from service.console.texts import english, texts
from tests.authoring.translations.a_workshop import (
    JAPANESE,
    build,
    build_translated,
    cell,
    edit,
    named,
    notebook,
)


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """What lies in a folder, and when it was written."""
    return {
        str(path): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_workshop_is_completely_translated(capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m authoring.translations --check` on this repository."""
    status = command.main(["--check"])
    assert status == 0, capsys.readouterr().out


def test_english_has_the_form_of_english() -> None:
    """No check finds fault with a text held against itself, for all texts of the workshop."""
    for message in collect(Workshop.of_repository()):
        found = problems(message, message.text, "id", [])
        assert set(found) <= {"it is still English"}, message.place


def test_every_text_in_code_can_be_collected() -> None:
    """It is a literal; what is put together while the program runs is in no catalogue."""
    workshop = Workshop.of_repository()
    sources = {path.name: path.read_text() for path in workshop.code if path.suffix == ".py"}
    for path in workshop.lessons():
        for item in json.loads(path.read_text())["cells"]:
            if item["cell_type"] == "code":
                sources[f"{path.name}/{item['id']}"] = source_of(item)
    for name, source in sources.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"_", "tr"}:
                assert isinstance(node.args[0], ast.Constant), f"{name}: {ast.unparse(node)}"


def test_untranslated_lessons_are_the_english_ones_to_the_byte() -> None:
    workshop = Workshop.of_repository()
    files = generate.files_of(workshop, "id", [])
    for path in [*workshop.lessons(), *workshop.drawings()]:
        generated = workshop.lessons_in("id") / path.relative_to(workshop.english)
        assert files[generated] == path.read_bytes(), path.name


def test_what_is_collected(tmp_path: Path) -> None:
    found = {message.place: message.text for message in collect(build(tmp_path))}
    assert found == {
        "notebooks/01_one.ipynb/title/0": "# 1 · Speed",
        "notebooks/01_one.ipynb/title/1": "About 5 minutes",
        "notebooks/01_one.ipynb/tail/0": (
            "The latency of `f(x)` is **low**: $t < 50$ ms. See [two](02_two.ipynb)."
        ),
        "notebooks/01_one.ipynb/tail/3": "- one\n- two",
        "notebooks/01_one.ipynb/tail/notes": "They expect the mean.",
        'notebooks/01_one.ipynb/setup: "{n} of {m} photos"': "{n} of {m} photos",
        "notebooks/02_two.ipynb/table/0": "| a cell | b |\n|---|---|\n| left | right |",
        "notebooks/figures/queue.svg/title/0": "Fast & slow",
        "notebooks/figures/queue.svg/text/1": "the queue",
        'module.py: "Cannot read {file!r}."': "Cannot read {file!r}.",
        "glossary/title": "Glossary",
        "glossary/introduction": INTRODUCTION,
        "glossary/meaning": "Meaning",
        "glossary/latency": "Time until the answer.",
    }


def test_strings_of_code() -> None:
    source = (
        '%timeit x\n!ls\n_("a" "b")\ntr(name)\nx.tr("é {n}").format(n=1)\n'
        'pgettext("verb", "load")\n_("42")\n# _("no")\n'
    )
    text = notebook([cell("code", "c", source)])
    found = [(m.context, m.text, m.files) for m in of_lesson(text, "n")]
    assert found == [
        (None, "ab", ("n/c",)),
        (None, "é {n}", ("n/c",)),
        ("verb", "load", ("n/c",)),
    ]
    script = 'el.textContent = _("Simulate {n}"); other("no"); // _("nor this")\n'
    assert [message.text for message in of_code(script, "a.js", "javascript")] == ["Simulate {n}"]
    with pytest.raises(SourceError, match=r"a\.py cannot be read as python"):
        list(of_code('_("a', "a.py", "python"))


def test_a_translated_workshop_is_complete_and_its_lessons_are_the_english_ones(
    tmp_path: Path,
) -> None:
    workshop = build_translated(tmp_path)
    assert named(workshop) == []
    lesson = (workshop.english / "01_one.ipynb").read_text()
    for before, after in JAPANESE.items():
        lesson = lesson.replace(
            json.dumps(before, ensure_ascii=False)[1:-1],
            json.dumps(after, ensure_ascii=False)[1:-1],
        )
    lesson = lesson.replace("- one", "- 一").replace("- two", "- 二")
    # The strings of code stay: the cells are the same in all languages.
    lesson = lesson.replace("{m} 枚中 {n} 枚", "{n} of {m} photos")
    assert (workshop.lessons_in("ja") / "01_one.ipynb").read_text() == lesson
    figure = (workshop.lessons_in("ja") / "figures" / "queue.svg").read_text()
    assert "<title>速い &amp; 遅い</title>" in figure
    assert '<text x="8" y="9"> キュー </text>' in figure
    assert "<!-- <text>not this</text> -->" in figure
    assert (
        "| latency | レイテンシ | latensi | 応答までの時間。 |"
        in (workshop.lessons_in("ja") / "glossary.md").read_text()
    )
    untranslated = workshop.lessons_in("id") / "01_one.ipynb"
    assert untranslated.read_bytes() == (workshop.english / "01_one.ipynb").read_bytes()
    assert {kind for kind, _place in named(workshop, "id")} == {"missing"}


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    workshop = build_translated(tmp_path)
    edit(workshop, "01_one.ipynb", "- one", "- only one")
    work.regenerate(workshop)
    before = contents(tmp_path)
    assert work.regenerate(workshop) == []
    assert contents(tmp_path) == before


def test_checking_writes_nothing_and_names_each_file(tmp_path: Path) -> None:
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


def test_the_texts_of_the_panel_are_written_for_the_service(tmp_path: Path) -> None:
    workshop = replace(build(tmp_path), panel=tmp_path / "translations")
    message = Message("Copy output", None, ("texts.py",))
    files = generate.files_of(workshop, "ja", [Entry(message, "出力をコピー")])
    words = json.loads(files[tmp_path / "translations" / "ja.json"])
    assert words == {**texts(english), "copy": "出力をコピー"}


def test_a_wrong_translation_is_named(tmp_path: Path) -> None:
    workshop = build_translated(tmp_path)
    path = workshop.catalogues / "ja.po"
    path.write_text(path.read_text().replace("[次のレッスン](02_two.ipynb)", "[次](01_one.ipynb)"))
    left = list(work.problems_of(workshop, "ja", collect(workshop)))
    assert [str(problem) for problem in left if problem.kind != "file"] == [
        "wrong: notebooks/01_one.ipynb/tail/0: "
        "link targets: missing '02_two.ipynb', added '01_one.ipynb'"
    ]
    assert next(work.summary("ja", left, 1)) == "ja: 1 wrong, 1 file"


def test_blocks_that_run_into_each_other_are_found(tmp_path: Path) -> None:
    """Alone, each has the form of the English; one leaves a comment open that takes the next."""
    workshop = build(tmp_path)
    lesson = workshop.english / "03_three.ipynb"
    lesson.write_text(notebook([cell("markdown", "c", "<!-- a --> words\n\nmore")]))
    message = Message("<!-- a --> words", "notebooks/03_three.ipynb/c/0")
    catalogue.write([Entry(message, "<!-- a -- 言葉")], "ja", workshop.catalogues)
    work.regenerate(workshop)
    left = [place for kind, place in named(workshop) if kind == "wrong"]
    assert left == ["notebooks/03_three.ipynb/c"]


TEXTS = [
    "",
    "plain",
    "trailing \nspaces  \n",
    "\n\ntwice\n\n\n\nempty",
    'quo"te\\ and \\n',
    "tab\there\rreturn",
    "a\u2028b\x0bc\x85d",
    "x" * 300,
    "word " * 100,
    "日本語の文章は空白がない。" * 30,
    "#~ not obsolete\n#, fuzzy\nmsgid",
    "emoji \U0001f600",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_catalogue_goes_round(text: str) -> None:
    entries = [
        Entry(Message(f"{text} {number}", context, files), text, fuzzy, previous, comments)
        for number, (context, files, fuzzy, previous, comments) in enumerate(
            [
                (None, ("a.py", "b c.py"), False, "", ()),
                ("notebooks/a.ipynb/b/0", (), bool(text), f"{text}\n\n{text}" if text else "", ()),
                ("c", ("d.py",), False, "", ("a translator's remark", "and another")),
            ]
        )
    ]
    content = catalogue.render(entries, "ja")
    assert catalogue.parse(content, "ja") == entries
    assert catalogue.render(catalogue.parse(content, "ja"), "ja") == content


def test_a_damaged_catalogue_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "ja.po").write_text('msgid "a"\nmsgstr "b"\n\nnonsense\n')
    with pytest.raises(SourceError, match=r"^ja\.po, line 4: Unknown or misformatted keyword"):
        catalogue.read("ja", tmp_path)


def test_a_learner_never_sees_a_fuzzy_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue.write(
        [
            Entry(Message("load"), "読み込む"),
            Entry(Message("load", "noun"), "負荷"),
            Entry(Message("stale"), "古い", True, "old"),
            Entry(Message("new", "noun")),
        ],
        "ja",
        tmp_path,
    )
    monkeypatch.setattr(language, "CATALOGUES", tmp_path)
    language.translations.cache_clear()
    try:
        with language.speaking("ja"):
            said = [language._("load"), language.pgettext("noun", "load"), language._("stale")]
            assert said == ["読み込む", "負荷", "stale"]
            assert language.pgettext("noun", "new") == "new"
            assert language._("") == ""
    finally:
        language.translations.cache_clear()


def test_a_large_catalogue_is_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """2,000 messages of a paragraph each, in a new process, as each kernel does it."""
    entries = [
        Entry(Message(f"{n} " + "a word and more " * 15, f"c/{n}"), f"{n} " + "言葉" * 80)
        for n in range(2000)
    ]
    catalogue.write(entries, "ja", tmp_path)
    script = (
        "import sys, time; from pathlib import Path; from learner import language\n"
        "language.CATALOGUES = Path(sys.argv[1]); started = time.process_time()\n"
        "assert len(language.translations('ja')._catalog) > 2000\n"
        "print(time.process_time() - started)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 0.5
