"""The headings of lessons' sections are found, in the learner's language."""

import json
from pathlib import Path
from typing import Any

import pytest

from learner import sections
from learner.language import speaking

CELLS: list[dict[str, Any]] = [
    {"cell_type": "code", "id": "first", "source": "# no heading"},
    {"cell_type": "markdown", "id": "title", "source": ["# 1 · Title\n", "\n", "text"]},
    {"cell_type": "markdown", "id": "tail", "source": "text\n\n## 1. How long?  \n### Not this"},
    {"cell_type": "code", "id": "code", "source": ["# nor this"]},
]


@pytest.fixture
def lessons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one English lesson."""
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "01_a.ipynb").write_text(json.dumps({"cells": CELLS}))
    monkeypatch.setattr(sections, "LESSONS", tmp_path)
    return tmp_path


def test_the_last_heading_at_or_above_a_cell_counts(lessons: Path) -> None:
    headings = [sections.find_heading("01_a", cell["id"]) for cell in CELLS]
    assert headings == [None, "1 · Title", "1. How long?", "1. How long?"]
    assert sections.find_heading("01_a", "nowhere") is None
    assert sections.find_heading("02_b", "title") is None


def test_headings_are_in_the_learners_language(lessons: Path) -> None:
    with speaking("ja"):
        assert sections.find_heading("01_a", "title") == "1 · Title", "not translated yet"
        (lessons / "ja").mkdir()
        text = json.dumps({"cells": [{**CELLS[1], "source": "# 1 · 題"}]})
        (lessons / "ja" / "01_a.ipynb").write_text(text)
        assert sections.find_heading("01_a", "title") == "1 · 題"
