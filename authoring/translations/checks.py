"""Whether a translation says what the English says in the same form; reasons, where it does not."""

import re
import unicodedata
from collections.abc import Iterator

from authoring.translations import blocks, features
from authoring.translations.glossary import Term, violations
from authoring.translations.messages import Message

ENGLISH_WORD = re.compile(r"(?<![\w./{-])[a-z]{2,}(?![\w./}])")
ENOUGH_WORDS = 4
"""Of lower case: with fewer, a text may be names and units, the same in all languages."""
JAPANESE = re.compile(r"[\u3041-\u30ff\u3400-\u9fff]")
BROKEN_LINE = re.compile(
    r"[\u3041-\u30ff\u3400-\u9fff、。][ \t]?\n[ \t]*(?=[\u3041-\u30ff\u3400-\u9fff])"
)
ROOM = 1.4
"""Times the width of the English that a figure leaves for a label, and 2 em more: what is short
in one language may be long in another ("mean", "rata-rata")."""
WORDS_FOR_NUMBERS = {*map(str, range(13)), "50", "90", "100", "1000"}
""""One cell" may become "1 つのセル"."""


def problems(message: Message, translation: str, code: str, terms: list[Term]) -> list[str]:
    """What is wrong with a translation; empty if nothing is.

    Args:
        message: the English.
        translation: not empty.
        code: the language it is in.
        terms: the glossary.
    """
    text = message.text
    if _edges(text) != _edges(translation):
        return ["the white space at its beginning or end differs"]
    reasons = list(_differences(message, translation))
    english, other = prose(message, text), prose(message, translation)
    if len(ENGLISH_WORD.findall(english)) >= ENOUGH_WORDS and (
        translation == text or (code == "ja" and not JAPANESE.search(other))
    ):
        reasons.append("it is still English")
    if code == "ja" and BROKEN_LINE.search(translation):
        reasons.append("a line break within Japanese text would show as a space")
    most = ROOM * width(text) + 2
    if message.label and width(translation) > most:
        reasons.append(
            f"too wide for its figure: about {width(translation):.0f} em, {most:.0f} fit"
        )
    reasons += [
        f"the control character {character!r} stands in it"
        for character in sorted(set(translation) - set(text))
        if unicodedata.category(character) in {"Cc", "Cf", "Co", "Cs"} or character == "\ufffd"
        if character != "\n"
    ]
    return reasons + violations(english, other, code, terms)


def prose(message: Message, text: str) -> str:
    """The words of a text: without code, maths, placeholders, tags and addresses."""
    if message.markdown:
        return features.PLACEHOLDER.sub(" ", blocks.words(blocks.PARSER.parse(text)))
    for pattern in (features.CODE, blocks.MATHS, features.PLACEHOLDER, features.TAG):
        text = pattern.sub(" ", text)
    return features.ADDRESS.sub(" ", features.LINK.sub(lambda link: link[0].split("](")[0], text))


def width(text: str) -> float:
    """About how wide a line of text is, in em: 1 for a wide character, half of it for others."""
    return sum(1 if unicodedata.east_asian_width(c) in "WF" else 0.5 for c in text)


def _differences(message: Message, translation: str) -> Iterator[str]:
    of = features.of_markdown if message.markdown else features.of_plain
    english, other = of(message.text), of(translation)
    said = False
    for name, bag in english.items():
        if name == "structure" and said:
            # What was said before says it better.
            continue
        missing = bag - other[name]
        added = other[name] - bag
        if name == "numbers":
            # "6 of 6" may become "all 6".
            missing = features.Bag(set(bag) - set(other[name]))
            added = features.Bag(set(other[name]) - set(bag) - WORDS_FOR_NUMBERS)
        if missing or added:
            said = True
            parts = [f"missing {_listed(missing)}"] if missing else []
            parts += [f"added {_listed(added)}"] if added else []
            yield f"{name}: {', '.join(parts)}"


def _listed(bag: features.Bag) -> str:
    return ", ".join(
        f"{count} × {what!r}" if count > 1 else f"{what!r}" for what, count in bag.items()
    )


def _edges(text: str) -> tuple[str, str]:
    return text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
