"""The learner's language: which it is, and every text that they see, in it.

English is in the code, `_("…")`; the other languages are in gettext catalogues beside this file.
`make translations` collects the texts of all lessons and modules into them.
"""

import functools
import gettext
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from io import BytesIO
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from learner.errors import LearnerError
from learner.paths import folder_path

LANGUAGES = {"en": "English", "ja": "日本語", "id": "Bahasa Indonesia"}
"""Code (ISO 639-1) → what the language calls itself."""
CATALOGUES = Path(__file__).resolve().parent / "catalogues"
VARIABLE = "WORKSHOP_LANGUAGE"
CHOICE = "choice.json"
"""In the learner's folder: what `make lab` was last told."""
_chosen: ContextVar[str | None] = ContextVar("chosen", default=None)


def language() -> str:
    """The code of the learner's language.

    It is that of the environment variable WORKSHOP_LANGUAGE; without it, that of the folder which a
    lesson lies in (`notebooks/ja/…`); without that, the last one that `make lab` was told; and
    without that, English.

    Raises:
        LearnerError: the variable names none of `LANGUAGES`.
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
    """Within the block (of this thread or task), the learner's language is `code`."""
    token = _chosen.set(code)
    try:
        yield
    finally:
        _chosen.reset(token)


def _(text: str) -> str:
    """`text` in the learner's language; as it is, where no translation exists.

    Placeholders are filled in afterwards: `_("{n} photos").format(n=3)`.
    """
    # Under the empty text gettext keeps the catalogue's header.
    return translations(language()).gettext(text) if text else ""


def pgettext(context: str, text: str) -> str:
    """`text` in the learner's language, of the message that `context` names.

    For texts that stand in data instead of code: a question, an option, a hint.
    """
    return translations(language()).pgettext(context, text)


@functools.cache
def translations(code: str) -> gettext.NullTranslations:
    """The catalogue of a language, compiled in memory."""
    path = CATALOGUES / f"{code}.po"
    if code == "en" or not path.exists():
        return gettext.NullTranslations()
    with path.open("rb") as file:
        catalogue = read_po(file, locale=code)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)
