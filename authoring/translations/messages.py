"""A message: a text of the workshop, its place, its translation."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

NUMBERED = re.compile(r"notebooks/.+/\d+")
MARKDOWN = re.compile(r"notebooks/[^/]+\.ipynb/[^/]+/\d+")
LABEL = re.compile(r"notebooks/figures/.+\.svg/text/\d+")
FIRST_WORDS = 40
"""Characters of a text that identify it for people, where it has no context."""


@dataclass(frozen=True, slots=True)
class Message:
    """A text to be translated. Its key is `(context, text)`, as in any gettext catalogue."""

    text: str
    context: str | None = None
    """The place of a text in a lesson, figure or question; in code, the context of `pgettext`."""
    files: tuple[str, ...] = ()
    """The files of code with this text, relative to the repository. Without line numbers: those
    would change the catalogues with every edit of the code around."""

    @property
    def key(self) -> tuple[str | None, str]:
        """Its identity among all messages."""
        return self.context, self.text

    @property
    def place(self) -> str:
        """Its name for people: the context, or the file and the first words."""
        if not self.files:
            return self.context or first_words(self.text)
        named = first_words(self.text) if self.context is None else self.context
        return f"{self.files[0]}: {named}"

    @property
    def group(self) -> str:
        """The cell, figure or file of code that it shares with other messages."""
        if self.files:
            return self.files[0]
        context = self.context or ""
        return context.rpartition("/")[0] if NUMBERED.fullmatch(context) else context

    @property
    def ordered(self) -> bool:
        """Whether its order in the group identifies it, instead of its context."""
        return bool(self.files) or NUMBERED.fullmatch(self.context or "") is not None

    @property
    def markdown(self) -> bool:
        """Whether it is a Markdown block of a lesson; otherwise it is plain text."""
        return MARKDOWN.fullmatch(self.context or "") is not None

    @property
    def label(self) -> bool:
        """Whether it is a label in a figure, where room is limited."""
        return LABEL.fullmatch(self.context or "") is not None


@dataclass(frozen=True, slots=True)
class Entry:
    """A message and its translation in a catalogue."""

    message: Message
    translation: str = ""
    fuzzy: bool = False
    """The translation belongs to `previous`, not to the current text."""
    previous: str = ""
    comments: tuple[str, ...] = field(default=())
    """Translators' comments, which are kept."""

    @property
    def state(self) -> str:
        """`missing`, `fuzzy` or `translated`."""
        if not self.translation:
            return "missing"
        return "fuzzy" if self.fuzzy else "translated"

    @property
    def usable(self) -> str | None:
        """The translation, if it is one of the current text."""
        return self.translation if self.state == "translated" else None

    def translated(self, translation: str) -> "Entry":
        """Return the entry with a new translation."""
        return replace(self, translation=translation, fuzzy=False, previous="")


class SourceError(Exception):
    """A source of messages cannot be read; the text says which one and why."""


def first_words(text: str) -> str:
    """Return the beginning of a text, on one line, in quotation marks."""
    line = " ".join(text.split())
    return f'"{line if len(line) <= FIRST_WORDS else line[: FIRST_WORDS - 1] + "…"}"'


def merge_equal(messages: Sequence[Message]) -> list[Message]:
    """Return each key once, in the order of the first, with the files of all."""
    merged: dict[tuple[str | None, str], Message] = {}
    for message in messages:
        if (known := merged.get(message.key)) is not None:
            files = tuple(dict.fromkeys((*known.files, *message.files)))
            merged[message.key] = replace(known, files=files)
        else:
            merged[message.key] = message
    return list(merged.values())
