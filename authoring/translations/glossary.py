"""The field's terms in three languages: required in translations, and shown as a page."""

import functools
import re
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from authoring.translations.messages import Message, SourceError
from learner.language import CATALOGUES, LANGUAGES

FILE = CATALOGUES / "glossary.toml"
PAGE = "glossary.md"
TITLE = "Glossary"
INTRODUCTION = (
    "The terms of this workshop in its three languages. Where a cell names several words, "
    "each of them is usual."
)
MEANING = "Meaning"
LECTURE = "in the lecture: {word}"


@dataclass(frozen=True, slots=True)
class Term:
    """An English term and its translations."""

    term: str
    definition: str
    """One line of English, translated like any other message."""
    renderings: dict[str, tuple[str, ...]]
    """Language → the words allowed, the most usual first."""
    forbidden: dict[str, tuple[str, ...]]
    """Language → words that mean something else."""
    forms: tuple[str, ...] = ()
    """Other English forms: "quantised" besides "quantisation"."""
    not_in: tuple[str, ...] = ()
    """English phrases in which the word does not mean the term."""
    lecture: dict[str, str] = field(default_factory=dict)
    """Language → the lecture's word, where it is another one."""


def load(path: Path = FILE) -> list[Term]:
    """Return the terms, in alphabetical order.

    Raises:
        SourceError: the file cannot be used; the text says why.
    """
    try:
        terms = [_term(item) for item in tomllib.loads(path.read_text(encoding="utf-8"))["term"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{path.name}: {error!r}") from None
    names = Counter(form.lower() for term in terms for form in (term.term, *term.forms))
    if twice := sorted(name for name, count in names.items() if count > 1):
        raise SourceError(f"{path.name}: more than once: {', '.join(twice)}")
    return sorted(terms, key=lambda term: term.term.lower())


def _term(item: dict[str, Any]) -> Term:
    known = {"term", "definition", "ja", "id", "forbidden", "forms", "not_in", "lecture"}
    if unknown := set(item) - known:
        raise ValueError(f"{item['term']}: unknown: {', '.join(sorted(unknown))}")
    return Term(
        item["term"],
        item["definition"],
        {code: tuple(item[code]) for code in ("ja", "id")},
        {code: tuple(words) for code, words in item.get("forbidden", {}).items()},
        tuple(item.get("forms", ())),
        tuple(item.get("not_in", ())),
        dict(item.get("lecture", {})),
    )


def messages(terms: Sequence[Term]) -> Iterator[Message]:
    """Yield the messages of the page."""
    yield Message(TITLE, "glossary/title")
    yield Message(INTRODUCTION, "glossary/introduction")
    yield Message(MEANING, "glossary/meaning")
    if any(term.lecture for term in terms):
        yield Message(LECTURE, "glossary/lecture")
    for term in terms:
        yield Message(term.definition, f"glossary/{term.term}")


def page(terms: Sequence[Term], translation: Callable[[Message], str | None]) -> str:
    """Return the glossary as Markdown; `translation` gives a message in the page's language."""

    def say(message: Message) -> str:
        return (translation(message) or message.text).replace("|", r"\|")

    texts = [say(message) for message in messages(terms)]
    (title, introduction, meaning), definitions = texts[:3], texts[-len(terms) :]
    lines = [f"# {title}", "", introduction, ""]
    lines.append(f"| {' | '.join(LANGUAGES.values())} | {meaning} |")
    lines.append("|---|---|---|---|")
    for term, definition in zip(terms, definitions, strict=True):
        words = [term.term]
        for code in ("ja", "id"):
            said = term.lecture.get(code)
            note = f" ({texts[3].format(word=said)})" if said else ""
            words.append(" / ".join(term.renderings[code]) + note)
        lines.append(f"| {' | '.join(words)} | {definition} |")
    return "\n".join(lines) + "\n"


def violations(english: str, other: str, code: str, terms: Sequence[Term]) -> list[str]:
    """Return where a translation does not follow the glossary, a sentence each.

    Args:
        english: the words of the English message, without code.
        other: those of its translation.
        code: the language of the translation.
        terms: the glossary.
    """
    said = _normalise(other)
    reasons = []
    for term in find_terms(english, terms):
        allowed = term.renderings[code]
        if not any(_normalise(word) in said for word in allowed):
            reasons.append(f"glossary: {term.term!r} is {' / '.join(allowed)}")
        for word in term.forbidden.get(code, ()):
            if _normalise(word) in said:
                reasons.append(f"glossary: {term.term!r} is never {word}")
    return reasons


def find_terms(english: str, terms: Sequence[Term]) -> list[Term]:
    """Return the terms in an English text, each once.

    The longest match counts: if the glossary contains "availability zone", then these two words
    are not a use of "availability".
    """
    pattern, meant = _pattern(tuple((term.term, term.forms, term.not_in) for term in terms))
    numbers = {meant[match.lastgroup or ""] for match in pattern.finditer(english)}
    return [terms[number] for number in sorted(numbers - {-1})]


@functools.lru_cache(maxsize=8)
def _pattern(
    terms: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...],
) -> tuple[re.Pattern[str], dict[str, int]]:
    """Return one pattern for all phrases, and each group's term by number (-1: not a term)."""
    phrases = [
        (form, n) for n, (term, forms, _not_in) in enumerate(terms) for form in (term, *forms)
    ]
    phrases += [(phrase, -1) for _term, _forms, not_in in terms for phrase in not_in]
    phrases.sort(key=lambda phrase: -len(phrase[0]))
    parts = [f"(?P<g{n}>{_plural_pattern(phrase)})" for n, (phrase, _number) in enumerate(phrases)]
    # No matches within file names and paths: preprocessing.py, service/artifact.
    pattern = rf"(?<![\w./])(?:{'|'.join(parts) or '(?!)'})(?!\w|[./]\w)"
    return re.compile(pattern, re.I), {f"g{n}": number for n, (_p, number) in enumerate(phrases)}


def _plural_pattern(phrase: str) -> str:
    pattern = r"[\s-]+".join(re.escape(word) for word in re.split(r"[\s-]+", phrase))
    return f"{pattern[:-1]}(?:y|ies)" if phrase.endswith("y") else f"{pattern}(?:s|es)?"


def _normalise(text: str) -> str:
    """Ignore case, the width of letters, and line breaks."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
