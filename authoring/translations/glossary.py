"""The field's terms in three languages: enforced on translations, and a page of its own."""

import functools
import re
import tomllib
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Term:
    """An English term and the words that stand for it."""

    term: str
    definition: str
    """In English, one line; translated like any other message."""
    renderings: dict[str, tuple[str, ...]]
    """Language → the words allowed, the usual first."""
    forbidden: dict[str, tuple[str, ...]]
    """Language → words that would be understood as something else."""
    forms: tuple[str, ...] = ()
    """Other English forms that it has: "quantised" besides "quantisation"."""
    not_in: tuple[str, ...] = ()
    """English phrases in which the word does not mean the term."""


def load(path: Path = FILE) -> list[Term]:
    """The terms, in alphabetical order.

    Raises:
        SourceError: the file cannot be used; the message says why.
    """
    try:
        terms = [_term(item) for item in tomllib.loads(path.read_text(encoding="utf-8"))["term"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{path.name}: {error!r}") from None
    names = [form.lower() for term in terms for form in (term.term, *term.forms)]
    if twice := {name for name in names if names.count(name) > 1}:
        raise SourceError(f"{path.name}: more than once: {', '.join(sorted(twice))}")
    return sorted(terms, key=lambda term: term.term.lower())


def _term(item: dict[str, Any]) -> Term:
    known = {"term", "definition", "ja", "id", "forbidden", "forms", "not_in"}
    if unknown := set(item) - known:
        raise ValueError(f"{item['term']}: unknown: {', '.join(sorted(unknown))}")
    return Term(
        item["term"],
        item["definition"],
        {code: tuple(item[code]) for code in ("ja", "id")},
        {code: tuple(words) for code, words in item.get("forbidden", {}).items()},
        tuple(item.get("forms", ())),
        tuple(item.get("not_in", ())),
    )


def messages(terms: Sequence[Term]) -> Iterator[Message]:
    """What is to be translated of the page."""
    yield Message(TITLE, "glossary/title")
    yield Message(INTRODUCTION, "glossary/introduction")
    yield Message(MEANING, "glossary/meaning")
    for term in terms:
        yield Message(term.definition, f"glossary/{term.term}")


def page(terms: Sequence[Term], translation: Callable[[Message], str | None]) -> str:
    """The glossary as Markdown; `translation` says a message in the page's language, if it can."""

    def say(message: Message) -> str:
        return (translation(message) or message.text).replace("|", r"\|")

    title, introduction, meaning, *definitions = (say(message) for message in messages(terms))
    lines = [f"# {title}", "", introduction, ""]
    lines.append(f"| {' | '.join(LANGUAGES.values())} | {meaning} |")
    lines.append("|---|---|---|---|")
    for term, definition in zip(terms, definitions, strict=True):
        words = [term.term, *(_listed(term.renderings[code]) for code in ("ja", "id"))]
        lines.append(f"| {' | '.join(words)} | {definition} |")
    return "\n".join(lines) + "\n"


def violations(english: str, other: str, code: str, terms: Sequence[Term]) -> list[str]:
    """Where a translation does not say a term as the glossary does.

    Args:
        english: the words of the English message, without code.
        other: those of its translation.
        code: the language of the translation.
        terms: the glossary.
    """
    said = _folded(other)
    reasons = []
    for term in used(english, terms):
        allowed = term.renderings[code]
        if not any(_folded(word) in said for word in allowed):
            reasons.append(f"glossary: {term.term!r} is {_listed(allowed)}")
        for word in term.forbidden.get(code, ()):
            if _folded(word) in said:
                reasons.append(f"glossary: {term.term!r} is never {word}")
    return reasons


def used(english: str, terms: Sequence[Term]) -> list[Term]:
    """The terms in an English text, each once. The longest that fits counts: in "availability zone"
    only that term, if the glossary has it, not "availability".
    """
    pattern, meant = _pattern(tuple((term.term, term.forms, term.not_in) for term in terms))
    numbers = {meant[found.lastgroup or ""] for found in pattern.finditer(english)}
    return [terms[number] for number in sorted(numbers - {-1})]


@functools.lru_cache(maxsize=8)
def _pattern(
    terms: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...],
) -> tuple[re.Pattern[str], dict[str, int]]:
    """One pattern for all phrases, and the number of the term that each group means (-1: none)."""
    phrases = [
        (form, n) for n, (term, forms, _not_in) in enumerate(terms) for form in (term, *forms)
    ]
    phrases += [(phrase, -1) for _term, _forms, not_in in terms for phrase in not_in]
    phrases.sort(key=lambda phrase: -len(phrase[0]))
    parts = [f"(?P<g{n}>{_with_plural(phrase)})" for n, (phrase, _number) in enumerate(phrases)]
    # Not within file names and paths: preprocessing.py, service/artifact.
    joined = rf"(?<![\w./])(?:{'|'.join(parts) or '(?!)'})(?!\w|[./]\w)"
    return re.compile(joined, re.I), {f"g{n}": number for n, (_p, number) in enumerate(phrases)}


def _with_plural(phrase: str) -> str:
    pattern = r"[\s-]+".join(re.escape(word) for word in re.split(r"[\s-]+", phrase))
    return f"{pattern[:-1]}(?:y|ies)" if phrase.endswith("y") else f"{pattern}(?:s|es)?"


def _folded(text: str) -> str:
    """For comparison: no matter the case, the width of letters, and where lines break."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _listed(words: Sequence[str]) -> str:
    return " / ".join(words)
