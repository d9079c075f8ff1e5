"""What a message is: a text of the workshop, the place that it stands in, its translation."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

NUMBERED = re.compile(r"notebooks/.+/\d+")
MARKDOWN = re.compile(r"notebooks/[^/]+\.ipynb/[^/]+/\d+")
LABEL = re.compile(r"notebooks/figures/.+\.svg/text/\d+")
FIRST_WORDS = 40
"""Characters of a text that stand for it where no context does."""


@dataclass(frozen=True, slots=True)
class Message:
    """A text to be translated. Its key is `(context, text)`, as in any gettext catalogue."""

    text: str
    context: str | None = None
    """Where a text of a lesson, figure or question stands; what a `pgettext` in code says."""
    files: tuple[str, ...] = ()
    """Where a text of code stands, as paths relative to the repository, without line numbers:
    they would change the catalogues with every edit of the code around."""

    @property
    def key(self) -> tuple[str | None, str]:
        """What tells it from all other messages."""
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
        """What it stands in with others, in an order: the cell, the figure, the file of code."""
        if self.files:
            return self.files[0]
        context = self.context or ""
        return context.rpartition("/")[0] if NUMBERED.fullmatch(context) else context

    @property
    def ordered(self) -> bool:
        """Whether its order in the group, instead of its context, says which message it is."""
        return bool(self.files) or NUMBERED.fullmatch(self.context or "") is not None

    @property
    def markdown(self) -> bool:
        """Whether it is a block of a lesson; otherwise it is plain text."""
        return MARKDOWN.fullmatch(self.context or "") is not None

    @property
    def label(self) -> bool:
        """Whether it stands in a figure, where there is only so much room."""
        return LABEL.fullmatch(self.context or "") is not None


@dataclass(frozen=True, slots=True)
class Entry:
    """A message and what a catalogue has for it."""

    message: Message
    translation: str = ""
    fuzzy: bool = False
    """The translation is of `previous`, not of the message as it is now."""
    previous: str = ""
    comments: tuple[str, ...] = field(default=())
    """Of translators; kept."""

    @property
    def state(self) -> str:
        """`missing`, `fuzzy` or `translated`."""
        if not self.translation:
            return "missing"
        return "fuzzy" if self.fuzzy else "translated"

    @property
    def usable(self) -> str | None:
        """The translation, if there is one of just this text."""
        return self.translation if self.state == "translated" else None

    def translated(self, translation: str) -> "Entry":
        """The same with a new translation."""
        return replace(self, translation=translation, fuzzy=False, previous="")


class SourceError(Exception):
    """A source of messages cannot be read as it is; the message says which and why."""


def first_words(text: str) -> str:
    """The beginning of a text, on one line, in quotation marks."""
    line = " ".join(text.split())
    return f'"{line if len(line) <= FIRST_WORDS else line[: FIRST_WORDS - 1] + "…"}"'


def unique(messages: Sequence[Message]) -> list[Message]:
    """Each key once, in the order of the first, with the files of all."""
    found: dict[tuple[str | None, str], Message] = {}
    for message in messages:
        if (known := found.get(message.key)) is not None:
            files = tuple(dict.fromkeys((*known.files, *message.files)))
            found[message.key] = replace(known, files=files)
        else:
            found[message.key] = message
    return list(found.values())
