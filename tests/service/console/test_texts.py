"""The texts of the panel in three languages."""

import re

import pytest

from service.console.routes import LANGUAGES
from service.console.texts import english, texts, texts_in


@pytest.mark.parametrize("code", LANGUAGES)
def test_translations_keep_the_placeholders(code: str) -> None:
    def holes(text: str) -> set[str]:
        return set(re.findall(r"\{(\w+)\}", text))

    originals = texts(english)
    for name, text in texts_in(code).items():
        assert holes(text) == holes(originals[name]), name


def test_an_unknown_language_is_english() -> None:
    assert texts_in("xx") == texts(english)
