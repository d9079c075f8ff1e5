"""Catalogues: written and read without loss, and fast for every learner."""

import subprocess
import sys
from pathlib import Path

import pytest

from authoring.translations import catalogue
from authoring.translations.messages import Entry, Message, SourceError
from learner import language
from learner.paths import ROOT

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


def test_a_file_from_an_editor_is_read() -> None:
    """As Poedit and Weblate write it: a byte order mark, wrapped previous texts, old entries."""
    content = (
        '\ufeffmsgid ""\nmsgstr "Language: ja\\n"\n\n#, fuzzy\n#| msgid ""\n#| "one "\n#| "two"\n'
        'msgid "one three"\nmsgstr "一"\n\n#~| msgid "older"\n#~ msgid "old"\n#~ msgstr "古い"\n'
    )
    (entry,) = catalogue.parse(content.encode(), "ja")
    assert (entry.message.text, entry.previous, entry.state) == ("one three", "one two", "fuzzy")
