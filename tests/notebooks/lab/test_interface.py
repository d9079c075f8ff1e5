"""The lessons name JupyterLab's commands as JupyterLab shows them in the learner's language."""

import importlib.util
import json
from pathlib import Path

import pytest

from authoring.translations import catalogue
from learner.language import CATALOGUES
from notebooks.lab.interface import DOMAIN, read_added_texts

LOCALES = {"ja": "ja_JP", "id": "id_ID"}
ENOUGH_WORDS = 3
"""Words of a command's name; shorter ones ("Run") are also words of ordinary sentences."""


def read_interface(locale: str) -> dict[str, str]:
    """Return English → text of JupyterLab's interface, as the lab shows it."""
    package = importlib.util.find_spec(f"jupyterlab_language_pack_{locale}")
    assert package is not None
    assert package.origin is not None
    folder = Path(package.origin).parent / "locale" / locale / "LC_MESSAGES"
    texts = json.loads((folder / f"{DOMAIN}.json").read_text(encoding="utf-8"))
    texts.update(read_added_texts(locale) if locale == "id_ID" else {})
    return {english.strip("…"): new[0].strip("…") for english, new in texts.items() if english}


@pytest.mark.parametrize("code", LOCALES)
def test_commands_have_the_names_that_the_lab_shows(code: str) -> None:
    interface = {
        english: shown
        for english, shown in read_interface(LOCALES[code]).items()
        if len(english.split()) >= ENOUGH_WORDS and shown
    }
    named = {}
    for entry in catalogue.read(code, CATALOGUES):
        there = [english for english in interface if english in entry.message.text]
        for english in there:
            if not any(english in other for other in there if other != english):
                is_right = interface[english] in entry.translation
                named[english, entry.message.place] = is_right
    assert len(named) >= 2
    assert [name for name, is_right in named.items() if not is_right] == []


def test_the_indonesian_interface_uses_the_words_of_the_lessons() -> None:
    wrong = {"kamu", "catatan", "mulai lagi", "serpertinya", "di simpan", "direktori"}
    ours = [text for (text, *_plural) in read_added_texts("id_ID").values()]
    assert [text for text in ours for word in wrong if word in text.lower()] == []
