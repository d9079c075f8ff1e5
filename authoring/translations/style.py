"""Words and marks that a translation must not have, from learner/catalogues/style.toml."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from authoring.translations.messages import SourceError
from learner.language import CATALOGUES

FILE = CATALOGUES / "style.toml"


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern that must not occur, and what to write instead."""

    find: re.Pattern[str]
    say: str
    english: re.Pattern[str] | None = None
    """The rule is for translations of texts that match this; None: of all texts."""
    unless: re.Pattern[str] | None = None
    """What this matches in the translation is allowed."""

    def hits(self, english: str, other: str) -> list[str]:
        """Return what must not stand in the translation `other` of `english`."""
        if self.english is not None and not self.english.search(english):
            return []
        rest = other if self.unless is None else self.unless.sub(" ", other)
        return [hit[0] for hit in self.find.finditer(rest)]


def load(path: Path = FILE) -> dict[str, list[Rule]]:
    """Return the rules of each language.

    Raises:
        SourceError: the file cannot be used; the text says why.
    """
    try:
        rules = tomllib.loads(path.read_text(encoding="utf-8"))
        return {code: [_rule(item) for item in items] for code, items in rules.items()}
    except (OSError, ValueError, KeyError, TypeError, re.error) as error:
        raise SourceError(f"{path.name}: {error!r}") from None


def _rule(item: dict[str, str]) -> Rule:
    if unknown := set(item) - {"find", "say", "english", "unless"}:
        raise ValueError(f"{item.get('find')}: unknown: {', '.join(sorted(unknown))}")
    patterns = {
        name: re.compile(item[name], re.MULTILINE) if name in item else None
        for name in ("english", "unless")
    }
    return Rule(re.compile(item["find"], re.MULTILINE), item["say"], **patterns)


def violations(english: str, other: str, rules: list[Rule]) -> list[str]:
    """Return where a translation breaks the style, a sentence each.

    Args:
        english: the English message, without code and addresses.
        other: its translation, without them.
        rules: those of its language.
    """
    return [
        f"style: {hit.strip()!r}: write {rule.say}"
        for rule in rules
        for hit in rule.hits(english, other)
    ]
