"""The learner's language, and the translation of texts into it.

The code holds the English texts, as `_("…")`. The other languages are in gettext catalogues in
`catalogues/`, into which `make translations` collects the texts of all lessons and modules.
"""

import functools
import gettext
import json
import os
import string
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from io import BytesIO
from numbers import Number
from pathlib import Path
from typing import Any

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import get_decimal_symbol, get_group_symbol

from learner.errors import LearnerError
from learner.paths import folder_path

LANGUAGES = {"en": "English", "ja": "日本語", "id": "Bahasa Indonesia"}
"""Code (ISO 639-1) → name of the language in itself."""
CATALOGUES = Path(__file__).resolve().parent / "catalogues"
VARIABLE = "WORKSHOP_LANGUAGE"
CHOICE = "choice.json"
"""File in the learner's folder: the last choice of `make lab`."""
_chosen: ContextVar[str | None] = ContextVar("chosen", default=None)


def language() -> str:
    """Return the code of the learner's language.

    The first of these decides: the environment variable WORKSHOP_LANGUAGE, the name of the working
    directory (a lesson runs in `…/ja`), the last choice of `make lab`, English.

    Raises:
        LearnerError: the variable holds no code of `LANGUAGES`.
    """
    if (chosen := _chosen.get()) is not None:
        return chosen
    if code := os.environ.get(VARIABLE):
        if code not in LANGUAGES:
            raise LearnerError(
                f"{VARIABLE} is {code!r}; it must be one of {', '.join(LANGUAGES)} "
                "(for example: make lab lang=ja)"
            )
        return code
    folder = Path.cwd().name
    return folder if folder in LANGUAGES else _last_choice()


def _last_choice() -> str:
    try:
        chosen = json.loads((folder_path() / CHOICE).read_text(encoding="utf-8"))["language"]
    except (OSError, ValueError, LookupError, TypeError):
        return "en"
    return chosen if chosen in LANGUAGES else "en"


@contextmanager
def speaking(code: str) -> Iterator[None]:
    """Set the learner's language within the block, for this thread or task."""
    token = _chosen.set(code)
    try:
        yield
    finally:
        _chosen.reset(token)


class Translated(str):
    """A text in a learner's language, whose `format` writes numbers as that language does.

    In Indonesian `1,850.5` is written `1.850,5`: read in the English way, it would be a thousand
    times less.
    """

    _code: str

    def __new__(cls, text: str, code: str) -> "Translated":
        """Return the text, which is in the language `code`."""
        translated = super().__new__(cls, text)
        translated._code = code
        return translated

    def format(self, *values: object, **named: object) -> str:
        """Fill in the placeholders; numbers have the separators of the language."""
        return _LocalFormatter(self._code).vformat(str(self), values, named)

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        """Copies and pickles are plain strings."""
        return str, (str(self),)


class _LocalFormatter(string.Formatter):
    def __init__(self, code: str) -> None:
        self._code = code

    def format_field(self, value: Any, format_spec: str) -> str:
        text = format(value, format_spec)
        return localise_number(text, self._code) if isinstance(value, Number) else text


def localise_number(text: str, code: str | None = None) -> str:
    """Return a number in English form, such as `1,850.5`, with the separators of a language.

    Args:
        text: the number; nothing but its separators is changed.
        code: the language; the learner's, if not given.
    """
    return text.translate(_separators(language() if code is None else code))


@functools.cache
def _separators(code: str) -> dict[int, str]:
    return {ord(","): get_group_symbol(code), ord("."): get_decimal_symbol(code)}


def _(text: str) -> str:
    """Translate `text` into the learner's language; return it unchanged without a translation.

    Placeholders are filled in afterwards: `_("{n} photos").format(n=3)`.
    """
    code = language()
    # gettext stores the catalogue's header as the translation of the empty text.
    return Translated(translations(code).gettext(text), code) if text else ""


def pgettext(context: str, text: str) -> str:
    """Translate `text`, whose message has the context `context`.

    For texts in data files: questions, options, hints.
    """
    code = language()
    return Translated(translations(code).pgettext(context, text), code)


@functools.cache
def translations(code: str) -> gettext.NullTranslations:
    """Return the catalogue of a language, compiled in memory."""
    path = CATALOGUES / f"{code}.po"
    if code == "en" or not path.exists():
        return gettext.NullTranslations()
    with path.open("rb") as file:
        catalogue = read_po(file, locale=code)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)
