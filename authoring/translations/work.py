"""Find what is left to translate, hand it to translators, and take their work back."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from authoring.translations import catalogue, generate
from authoring.translations.catalogue import TRANSLATED
from authoring.translations.checks import problems, prose
from authoring.translations.glossary import find_terms
from authoring.translations.merge import Merged, merge
from authoring.translations.messages import Entry, Message, SourceError, first_words
from authoring.translations.sources import Workshop, collect
from service.errors import write_command


@dataclass(frozen=True, slots=True)
class Problem:
    """Something left to do in a language."""

    place: str
    """The message's place, or the file."""
    kind: str
    """`missing`, `fuzzy`, `wrong` (the translation differs in form) or `file` (to regenerate)."""
    text: str

    def __str__(self) -> str:
        return (
            f"{self.kind}: {self.place}: {self.text}" if self.text else f"{self.kind}: {self.place}"
        )


def merge_catalogue(workshop: Workshop, code: str, messages: Sequence[Message]) -> Merged:
    """Return a language's catalogue for the current sources; nothing is written."""
    return merge(messages, catalogue.read(code, workshop.catalogues))


def regenerate(workshop: Workshop) -> list[str]:
    """Write catalogues, lessons, figures and glossaries; return a line per change."""
    done = []
    with catalogue.lock(workshop.catalogues):
        messages = collect(workshop)
        for code in TRANSLATED:
            result = merge_catalogue(workshop, code, messages)
            catalogue.write(result.entries, code, workshop.catalogues)
            done += [f"dropped from {code}: {entry.message.place}" for entry in result.dropped]
            files = generate.generate(workshop, code, result.entries)
            done += generate.write(workshop, code, files)
    done += generate.write(workshop, "en", generate.generate(workshop, "en", []))
    return done


def find_problems(workshop: Workshop, code: str, messages: Sequence[Message]) -> Iterator[Problem]:
    """Yield everything left to do in a language, first the messages in their order."""
    entries: list[Entry] = []
    if code in TRANSLATED:
        entries = merge_catalogue(workshop, code, messages).entries
        terms, rules = workshop.glossary(), workshop.style(code)
        for entry in entries:
            place = entry.message.place
            if entry.state == "missing":
                yield Problem(place, "missing", "")
            elif entry.state == "fuzzy":
                yield Problem(place, "fuzzy", f"was {first_words(entry.previous)}")
            else:
                for reason in problems(entry.message, entry.translation, code, terms, rules):
                    yield Problem(place, "wrong", reason)
        path = catalogue.path_of(code, workshop.catalogues)
        if not path.exists() or path.read_bytes() != catalogue.render(entries, code):
            yield Problem(path.name, "file", "the catalogue does not fit its sources")
    files = generate.generate(workshop, code, entries)
    for cell in generate.regrouped_cells(workshop, code, files):
        yield Problem(cell, "wrong", "its blocks run into each other, or into what stands between")
    for difference in generate.differences(workshop, code, files):
        yield Problem(difference, "file", "")


def todo(
    workshop: Workshop, code: str, place: str = "", everything: bool = False
) -> list[dict[str, Any]]:
    """Return the messages that a translator has to do, as objects for `fill`.

    Each has `place`, `english` and `translation` (to be filled in). Some have more: `suggestion`,
    an earlier translation or that of the same text elsewhere; `previous`, the English that it
    belongs to; `terms`, the words of the glossary to be used.

    Args:
        workshop: what to translate.
        code: the language.
        place: what the places must begin with.
        everything: also return what is translated, for a review.
    """
    entries = merge_catalogue(workshop, code, collect(workshop)).entries
    terms = workshop.glossary()
    elsewhere = {entry.message.text: entry.usable for entry in entries if entry.usable}
    items = []
    for entry in entries:
        message = entry.message
        if not message.place.startswith(place) or (entry.usable and not everything):
            continue
        item = {
            "place": message.place,
            "english": message.text,
            "previous": entry.previous,
            "suggestion": entry.translation if entry.fuzzy else elsewhere.get(message.text),
            "terms": {
                term.term: " / ".join(term.renderings[code])
                for term in find_terms(prose(message, message.text), terms)
            },
            "translation": entry.usable or "",
        }
        if entry.usable:
            del item["suggestion"]
        items.append({k: v for k, v in item.items() if v or k in {"previous", "translation"}})
    return items


@dataclass(frozen=True, slots=True)
class Filled:
    """The outcome of `fill`."""

    accepted: int
    empty: int
    refused: list[str]
    """Place and reasons of each translation that was not accepted."""


def fill(workshop: Workshop, code: str, items: object) -> Filled:
    """Put translations into a language's catalogue, unless they fail a check.

    Several translators may call this at the same time. Nothing is dropped from the catalogue, even
    if a source is missing at the moment.

    Args:
        workshop: what is translated.
        code: the language.
        items: as `todo` returns them, with `translation` filled in; empty ones are ignored.

    Raises:
        SourceError: `items` has another form.
    """
    given = list(_read_items(items))
    messages = collect(workshop)
    terms, rules = workshop.glossary(), workshop.style(code)
    refused: list[str] = []
    accepted = 0
    with catalogue.lock(workshop.catalogues):
        result = merge_catalogue(workshop, code, messages)
        entries = [*result.entries, *result.dropped]
        by_place = {(e.message.place, e.message.text): n for n, e in enumerate(result.entries)}
        by_text = {e.message.text: n for n, e in enumerate(result.entries) if not e.message.context}
        for place, english, translation in given:
            number = by_place.get((place, english), by_text.get(english))
            if number is None:
                reasons = ["no such message; its English may have changed: ask for it again (todo)"]
            else:
                reasons = problems(entries[number].message, translation, code, terms, rules)
            if number is None or reasons:
                refused.append(f"{place}: {'; '.join(reasons)}")
            else:
                entries[number] = entries[number].translated(translation)
                accepted += 1
        catalogue.write(entries, code, workshop.catalogues)
    return Filled(accepted, len(items) - len(given) if isinstance(items, list) else 0, refused)


def _read_items(items: object) -> Iterator[tuple[str, str, str]]:
    """Yield place, English and translation of each item that has a translation."""
    if not isinstance(items, list):
        raise SourceError("expected a list of messages, as `todo` writes it")
    for item in items:
        known = item if isinstance(item, dict) else {}
        place, english, new = (known.get(name) for name in ("place", "english", "translation"))
        if not (isinstance(place, str) and isinstance(english, str) and isinstance(new, str)):
            raise SourceError(
                "each message needs the texts `place`, `english` and `translation`; "
                f"this one does not have them: {str(item)[:200]}"
            )
        if new:
            yield place, english, new


def summarise(code: str, problems: Iterable[Problem], most: int) -> Iterator[str]:
    """Yield lines on what is left in a language: counts, and the first `most` problems."""
    left = list(problems)
    kinds = ("missing", "fuzzy", "wrong", "file")
    counts = {kind: sum(problem.kind == kind for problem in left) for kind in kinds}
    yield f"{code}: " + (", ".join(f"{n} {kind}" for kind, n in counts.items() if n) or "complete")
    yield from (f"  {problem}" for problem in left[:most])
    if len(left) > most:
        yield f"  … and {len(left) - most} more: {write_command('authoring.translations --check')}"
