"""The learner's language: which choice counts, and how texts are translated."""

import json
from pathlib import Path

import pytest

from learner.errors import LearnerError
from learner.language import CATALOGUES, CHOICE, LANGUAGES, _, language, pgettext, speaking

SENTENCE = "Ctrl+C here ends it."


@pytest.fixture(autouse=True)
def nothing_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORKSHOP_LANGUAGE", raising=False)
    monkeypatch.setenv("WORKSHOP_FOLDER", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def test_the_nearest_choice_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert language() == "en"
    (tmp_path / CHOICE).write_text(json.dumps({"language": "id"}))
    assert language() == "id"
    (tmp_path / "ja").mkdir()
    monkeypatch.chdir(tmp_path / "ja")
    assert language() == "ja"
    monkeypatch.setenv("WORKSHOP_LANGUAGE", "id")
    assert language() == "id"
    with speaking("en"):
        assert language() == "en"
    assert language() == "id"


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"language": "fr"}'])
def test_a_damaged_choice_is_english(tmp_path: Path, content: str) -> None:
    (tmp_path / CHOICE).write_text(content)
    assert language() == "en"


def test_an_unknown_language_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKSHOP_LANGUAGE", "fr")
    with pytest.raises(LearnerError, match="is 'fr'; it must be one of en, ja, id"):
        language()


def test_texts_are_translated_and_others_returned() -> None:
    assert _(SENTENCE) == SENTENCE
    translated = set()
    for code in LANGUAGES:
        with speaking(code):
            translated.add(_(SENTENCE))
            assert _("not in any catalogue") == "not in any catalogue"
            assert pgettext("no such context", SENTENCE) == SENTENCE
            assert _("") == ""
    assert len(translated) == len(LANGUAGES)


def test_every_language_but_english_has_a_catalogue() -> None:
    assert {path.stem for path in CATALOGUES.glob("*.po")} == LANGUAGES.keys() - {"en"}
