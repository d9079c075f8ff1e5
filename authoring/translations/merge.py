"""Carries the translations of a catalogue over to the messages as they are now.

Nothing is guessed from likeness. A text that is somewhere unchanged keeps its translation. Of the
rest, the place says which message a text has become: its context, or, where places are counted (the
blocks of a cell, the texts of a figure, the strings of a file of code), its order among the others.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from authoring.translations.messages import Entry, Message


@dataclass(frozen=True, slots=True)
class Merged:
    """A catalogue that fits its sources."""

    entries: list[Entry]
    """One for each message, in its order."""
    dropped: list[Entry]
    """Translations of what the sources no longer have."""


def merge(messages: Sequence[Message], old: Sequence[Entry]) -> Merged:
    """The entries for `messages`, with what `old` has for them."""
    heirs = _Heirs(messages, old)
    heirs.match(lambda message: message.key)
    heirs.match(lambda message: (message.group, message.text))
    heirs.match(lambda message: message.text)
    heirs.match_by_order()
    heirs.match(lambda message: message.context)
    entries = [
        _inherit(message, old[heirs.of_message[number]])
        if number in heirs.of_message
        else Entry(message)
        for number, message in enumerate(messages)
    ]
    kept = set(heirs.of_message.values())
    dropped = [
        entry for number, entry in enumerate(old) if entry.translation and number not in kept
    ]
    return Merged(entries, dropped)


def _inherit(message: Message, old: Entry) -> Entry:
    if not old.translation:
        return Entry(message, comments=old.comments)
    of = old.previous if old.fuzzy else old.message.text
    """The text that the translation is of."""
    if message.text == of:
        return Entry(message, old.translation, comments=old.comments)
    return replace(old, message=message, fuzzy=True, previous=of)


class _Heirs:
    """Which old entry belongs to which message, by their numbers."""

    def __init__(self, messages: Sequence[Message], old: Sequence[Entry]) -> None:
        self.messages = messages
        self.old = old
        self.of_message: dict[int, int] = {}
        # Where there is nothing to inherit, another entry of the same text may have something.
        self._taken = {
            number
            for number, entry in enumerate(old)
            if not entry.translation and not entry.comments
        }

    def match(self, key: Callable[[Message], Hashable | None]) -> None:
        """Pair what has the same key and no partner yet, first with first; None is no key."""
        waiting: dict[Hashable, deque[int]] = defaultdict(deque)
        for number, entry in enumerate(self.old):
            if number not in self._taken and (found := key(entry.message)) is not None:
                waiting[found].append(number)
        for number, message in enumerate(self.messages):
            if number not in self.of_message and waiting.get(key(message)):
                self._pair(number, waiting[key(message)].popleft())

    def match_by_order(self) -> None:
        """Pair, in each ordered group, what stands in the same gap between unchanged texts."""
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
                new = [n for n in after[new_first:new_end] if n not in self.of_message]
                for number, heir in zip(gone, new, strict=False):
                    self._pair(heir, number)

    def _pair(self, message: int, old: int) -> None:
        self.of_message[message] = old
        self._taken.add(old)
