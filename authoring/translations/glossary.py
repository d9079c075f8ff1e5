"""The field's terms in three languages: required in translations, shown as a page, and linked."""

import functools
import re
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markdown_it.token import Token

from authoring.translations import blocks
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
LINK = re.compile(rf"\[([^\[\]]*)\]\({re.escape(PAGE)}#[^\s()]*\)")
KATAKANA = "\u30a1-\u30fa\u30fc"
LATIN = "A-Za-z0-9_./"


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

    @property
    def anchor(self) -> str:
        """The id of its row in the page, in each language: "tail-latency"."""
        return re.sub(r"[^a-z0-9]+", "-", self.term.lower())


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
        words = [f'<a id="{term.anchor}"></a>{term.term}']
        for code in ("ja", "id"):
            said = term.lecture.get(code)
            note = f" ({texts[3].format(word=said)})" if said else ""
            words.append(" / ".join(term.renderings[code]) + note)
        lines.append(f"| {' | '.join(words)} | {definition} |")
    return "\n".join(lines) + "\n"


class Linker:
    """Links each term of one lesson to its row in the glossary, where it is first used.

    A link in a heading, in code or in another link would do harm, so the next use is taken there.
    """

    def __init__(self, terms: Sequence[Term], code: str) -> None:
        self._terms, self._code = terms, code
        self._linked: set[str] = set()

    def link(self, english: str, translated: str | None) -> str:
        """Return the next block of the lesson with its links.

        Args:
            english: the block in English, without links to the glossary.
            translated: its translation; None leaves the block in English.
        """
        text = english if translated is None else translated
        tokens = blocks.PARSER.parse(english)
        if tokens[0].type == "heading_open":
            return text
        if translated is None:
            uses = _find_in_english(text, self._terms)
        else:
            meant = find_terms(blocks.words(tokens), self._terms)
            uses = _find_in_translation(text, self._code, self._terms, meant)
        added = 0
        for start, end, term in uses:
            if term.term not in self._linked:
                new = _add_link(text, start + added, end + added, f"{PAGE}#{term.anchor}")
                if new is not None:
                    added += len(new) - len(text)
                    text = new
                    self._linked.add(term.term)
        return text


def unlink(markdown: str) -> str:
    """Return the text without its links to terms of the glossary."""
    return LINK.sub(r"\1", markdown)


def _find_in_english(text: str, terms: Sequence[Term]) -> Iterator[tuple[int, int, Term]]:
    pattern, meant = _pattern(tuple((term.term, term.forms, term.not_in) for term in terms))
    for match in pattern.finditer(text):
        if (number := meant[match.lastgroup or ""]) >= 0:
            yield *match.span(), terms[number]


def _find_in_translation(
    text: str, code: str, terms: Sequence[Term], meant: Sequence[Term]
) -> Iterator[tuple[int, int, Term]]:
    """Yield start, end and term of the words for `meant`, unless they are part of another term."""
    words = [(word, term) for term in terms for word in term.renderings[code]]
    words.sort(key=lambda pair: -len(pair[0]))
    pattern = "|".join(f"({_word_pattern(word, code)})" for word, _term in words)
    for match in re.finditer(pattern, text, re.I) if meant else ():
        if (term := words[(match.lastindex or 1) - 1][1]) in meant:
            yield *match.span(), term


def _word_pattern(word: str, code: str) -> str:
    """Match a word, or the first part of a Japanese one: コア in コア数, but not in スコア."""
    pattern = re.escape(word)
    if code == "id":
        pattern = f"(?:di|men?g?)?{pattern}(?:-?nya)?"
    if word[-1].isascii():
        pattern += r"(?![A-Za-z0-9_/]|\.[A-Za-z0-9])"
    kinds = (kind for kind in (KATAKANA, LATIN) if re.match(f"[{kind}]", word))
    return "".join(f"(?<![{kind}])" for kind in kinds) + pattern


def _add_link(text: str, start: int, end: int, target: str) -> str | None:
    """Return the text with a link on one word; None where that would change anything else."""
    while text[start - 1 : start] == text[end : end + 1] == "*":
        # Inside, an opening bracket would come between Japanese letters and the asterisks, and
        # these would then be shown.
        start, end = start - 1, end + 1
    new = f"{text[:start]}[{text[start:end]}]({target}){text[end:]}"
    before, after = (blocks.PARSER.parse(markdown) for markdown in (text, new))
    links = _link_targets(before)
    links[target] += 1
    same_words = blocks.words(before) == blocks.words(after)
    return new if same_words and _link_targets(after) == links else None


def _link_targets(tokens: Sequence[Token]) -> Counter[str]:
    children = [child for token in tokens for child in token.children or []]
    return Counter(str(child.attrGet("href")) for child in children if child.type == "link_open")


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
    found = {term.term for _start, _end, term in _find_in_english(english, terms)}
    return [term for term in terms if term.term in found]


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
