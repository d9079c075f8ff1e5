"""What becomes of translations when the English changes: nothing is lost, nothing goes unseen."""

import json
import random
import re
import shutil
from functools import partial
from pathlib import Path

import pytest

from authoring.translations import blocks, catalogue, documents, work
from authoring.translations.merge import merge
from authoring.translations.messages import Entry, Message
from authoring.translations.sources import Workshop, collect
from learner.paths import ROOT
from tests.authoring.translations.a_workshop import (
    build_translated,
    edit,
    entry_of,
    named,
)

ENGLISH = ROOT / "notebooks" / "en"
EDITS = 20
TAIL = "notebooks/01_one.ipynb/tail"


def old(*texts: str, place: str = "notebooks/01_a.ipynb/x") -> list[Entry]:
    """Entries of a cell's blocks, each translated into its upper case."""
    return [
        Entry(Message(text, f"{place}/{number}"), text.upper()) for number, text in enumerate(texts)
    ]


def new(*texts: str, place: str = "notebooks/01_a.ipynb/x") -> list[Message]:
    return [Message(text, f"{place}/{number}") for number, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("ab", "ab", "A B"),
        ("abc", "xabc", "- A B C"),
        ("abc", "bc", "B C"),
        ("abc", "axc", "A B? C"),
        ("abc", "xaybc", "- A - B C"),
        ("abc", "xayc", "- A B? C"),
        ("abc", "cab", "C A B"),
        ("ab", "xy", "A? B?"),
        ("a", "xy", "A? -"),
        ("ab", "x", "A?"),
        ("aa", "aaa", "A A -"),
        ("aab", "axb", "A A? B"),
    ],
)
def test_blocks_of_a_cell(before: str, after: str, expected: str) -> None:
    """Expected: a capital keeps its translation, with ? it is fuzzy; - is a missing one."""
    found = merge(new(*after), old(*before)).entries
    said = [
        {"missing": "-", "fuzzy": f"{e.translation}?"}.get(e.state, e.translation) for e in found
    ]
    assert " ".join(said) == expected
    assert all(e.previous.upper() == e.translation for e in found if e.state == "fuzzy")


def test_a_moved_text_is_kept_and_a_deleted_one_dropped() -> None:
    merged = merge(new("b", place="notebooks/02_b.ipynb/y"), old("a", "b"))
    assert [(entry.translation, entry.state) for entry in merged.entries] == [("B", "translated")]
    assert [entry.message.text for entry in merged.dropped] == ["a"]


def test_a_fuzzy_text_keeps_its_previous_english() -> None:
    fuzzy = merge(new("x"), old("a")).entries
    again = merge(new("y"), fuzzy).entries
    assert (again[0].previous, again[0].translation, again[0].fuzzy) == ("a", "A", True)
    assert merge(new("a"), again).entries == old("a")


def test_texts_of_code_are_matched_by_their_order() -> None:
    before = [
        Entry(Message(text, None, ("a.py",)), text.upper()) for text in ("one", "two", "three")
    ]
    after = [Message(text, None, ("a.py",)) for text in ("one", "TWO", "three")]
    states = [(entry.state, entry.previous) for entry in merge(after, before).entries]
    assert states == [("translated", ""), ("fuzzy", "two"), ("translated", "")]


def test_options_never_take_each_others_place() -> None:
    """Options of a question do not take each other's place, whatever their order."""
    before = [
        Entry(Message("a", "quiz/q/option/x"), "A"),
        Entry(Message("b", "quiz/q/option/y"), "B"),
    ]
    after = [Message("b2", "quiz/q/option/y"), Message("c", "quiz/q/option/z")]
    assert [entry.translation for entry in merge(after, before).entries] == ["B", ""]


def copy_lessons(folder: Path) -> Workshop:
    """Return a workshop in `folder` with a copy of the English lessons."""
    shutil.copytree(ENGLISH, folder / "notebooks" / "en")
    (folder / "catalogues").mkdir()
    return Workshop(folder / "notebooks" / "en", folder / "catalogues")


def change(text: str, chance: random.Random) -> str:
    """Return a similar text: with a word more, less, doubled or replaced."""
    spans = list(re.finditer(r"(?<=[a-z] )[a-z]{2,}(?=[ ,.?])", text))
    if not spans:
        return f"{text} again"
    span = chance.choice(spans)
    found: str = span[0]
    word = chance.choice(["", "never", f"{found} {found}", f"not {found}"])
    return text[: span.start()] + word + text[span.end() :]


def change_one(number: int, chance: random.Random, block: int, text: str) -> str | None:
    return change(text, chance) if block == number else None


def test_seeded_edits_are_reported_by_place(tmp_path: Path) -> None:
    """20 edits of English blocks, one at a time: exactly the edited place is reported."""
    workshop = copy_lessons(tmp_path)
    entries = [Entry(message, f"«{message.text}»") for message in collect(workshop)]
    catalogue.write(entries, "ja", workshop.catalogues)
    chance = random.Random(20)
    candidates = [entry.message for entry in entries if entry.message.markdown]
    caught = 0
    for message in chance.sample(candidates, EDITS):
        _notebooks, name, cell_id, number = (message.context or "").split("/")
        path = workshop.english / name
        text = path.read_text()
        content = json.loads(text)
        for found in content["cells"]:
            if found["id"] == cell_id:
                of = partial(change_one, int(number), chance)
                found["source"] = blocks.translate(documents.cell_source(found), of)
        path.write_text(json.dumps(content))
        left = work.merge_catalogue(workshop, "ja", collect(workshop)).entries
        stale = [entry for entry in left if entry.state != "translated"]
        assert [entry.message.place for entry in stale] == [message.context]
        assert stale[0].previous == message.text
        caught += 1
        path.write_text(text)
    assert caught == EDITS


def test_an_edit_is_fuzzy_until_it_is_undone(tmp_path: Path) -> None:
    workshop = build_translated(tmp_path)
    complete = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert named(workshop) == []
    edit(workshop, "01_one.ipynb", "- one", "- 1 or two")
    place = f"{TAIL}/3"
    assert [found for found in named(workshop) if found[0] != "file"] == [("fuzzy", place)]
    work.regenerate(workshop)
    assert named(workshop) == [("fuzzy", place)]
    found = entry_of(workshop, place)
    assert (found.previous, found.translation) == ("- one\n- two", "- 一\n- 二")
    po = (workshop.catalogues / "ja.po").read_text()
    assert '#, fuzzy\n#| msgid "- one\\n- two"\n' in po
    lesson = (workshop.lessons_in("ja") / "01_one.ipynb").read_text()
    assert "- 1 or two" in lesson, "English stands in"
    assert "レイテンシ" in lesson
    edit(workshop, "01_one.ipynb", "- 1 or two", "- one")
    work.regenerate(workshop)
    assert {path: path.read_bytes() for path in complete} == complete


def test_a_new_text_is_missing_an_edited_note_is_fuzzy(tmp_path: Path) -> None:
    workshop = build_translated(tmp_path)
    edit(
        workshop, "01_one.ipynb", '"About 5 minutes\\n"', '"About 5 minutes\\n",\n    "\\n", "New."'
    )
    edit(workshop, "01_one.ipynb", "expect the mean", "expect a mean")
    assert [found for found in named(workshop) if found[0] != "file"] == [
        ("missing", "notebooks/01_one.ipynb/title/2"),
        ("fuzzy", f"{TAIL}/notes"),
    ]
