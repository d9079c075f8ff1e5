"""Carry the translations of a catalogue over to the current messages.

Nothing is guessed from similarity. An unchanged text keeps its translation, wherever it now stands.
A changed text is recognised by its place: by its context, or, where contexts are numbers (blocks of
a cell, texts of a figure, strings of a file of code), by its order among the others.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from authoring.translations.messages import Entry, Message


@dataclass(frozen=True, slots=True)
class Merged:
    """A catalogue that matches its sources."""

    entries: list[Entry]
    """One per message, in the order of the messages."""
    dropped: list[Entry]
    """Translations of texts that the sources no longer contain."""


def merge(messages: Sequence[Message], old: Sequence[Entry]) -> Merged:
    """Return entries for `messages`, with the translations of `old`."""
    pairs = _Pairs(messages, old)
    pairs.match(lambda message: message.key)
    pairs.match(lambda message: (message.group, message.text))
    pairs.match(lambda message: message.text)
    pairs.match_by_order()
    pairs.match(lambda message: message.context)
    entries = [
        _inherit(message, old[pairs.old_of[number]]) if number in pairs.old_of else Entry(message)
        for number, message in enumerate(messages)
    ]
    kept = set(pairs.old_of.values())
    dropped = [
        entry for number, entry in enumerate(old) if entry.translation and number not in kept
    ]
    return Merged(entries, dropped)


def _inherit(message: Message, old: Entry) -> Entry:
    if not old.translation:
        return Entry(message, comments=old.comments)
    translated = old.previous if old.fuzzy else old.message.text
    if message.text == translated:
        return Entry(message, old.translation, comments=old.comments)
    return replace(old, message=message, fuzzy=True, previous=translated)


class _Pairs:
    """Pairs of a message and an old entry, by their numbers."""

    def __init__(self, messages: Sequence[Message], old: Sequence[Entry]) -> None:
        self.messages = messages
        self.old = old
        self.old_of: dict[int, int] = {}
        # An entry without a translation must not hide one of the same text that has a translation.
        self._taken = {
            number
            for number, entry in enumerate(old)
            if not entry.translation and not entry.comments
        }

    def match(self, key: Callable[[Message], Hashable | None]) -> None:
        """Pair those with equal keys and no partner yet, first with first; None is no key."""
        waiting: dict[Hashable, deque[int]] = defaultdict(deque)
        for number, entry in enumerate(self.old):
            if number not in self._taken and (own := key(entry.message)) is not None:
                waiting[own].append(number)
        for number, message in enumerate(self.messages):
            if number not in self.old_of and waiting.get(key(message)):
                self._pair(number, waiting[key(message)].popleft())

    def match_by_order(self) -> None:
        """Pair, within each ordered group, the texts in the same gap between unchanged texts."""
        groups: dict[str, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
        for number, entry in enumerate(self.old):
            if entry.message.ordered:
                groups[entry.message.group][0].append(number)
        for number, message in enumerate(self.messages):
            if message.ordered:
                groups[message.group][1].append(number)
        for before, after in groups.values():
            aligned = SequenceMatcher(
                None,
                [self.old[number].message.text for number in before],
                [self.messages[number].text for number in after],
                autojunk=False,
            )
            for tag, first, end, new_first, new_end in aligned.get_opcodes():
                if tag != "replace":
                    continue
                gone = [number for number in before[first:end] if number not in self._taken]
                new = [n for n in after[new_first:new_end] if n not in self.old_of]
                for pair in zip(new, gone, strict=False):
                    self._pair(*pair)

    def _pair(self, message: int, old: int) -> None:
        self.old_of[message] = old
        self._taken.add(old)
