"""Check a translation: same form as the English, and the glossary's terms.

What the two must have in common is read from each alone, as features: bags of small strings. Order
does not count for most of them, because another language orders words differently; how often each
string occurs does.
"""

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence

from markdown_it.token import Token

from authoring.translations import blocks, style
from authoring.translations.glossary import Term, violations
from authoring.translations.messages import Message

Bag = Counter[str]
CODE = re.compile(r"(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.S)
LINK = re.compile(r"!?\[[^\[\]]*\]\(\s*([^\s()]+)[^()]*\)")
REFERENCE = re.compile(r"\]\[([^\[\]]+)\]")
ADDRESS = re.compile(r"https?://[^\s<>()\[\]\"'`、。]+")
TAG = re.compile(r"</?[A-Za-z][^<>]*>")
PLACEHOLDER = re.compile(r"\{[^{}\s]*\}")
NUMBER = re.compile(r"\d+(?:[.,\u00a0\u202f]\d+)*")
HTML_TEXT = re.compile(r"\s*\b(alt|title|aria-label)\s*=\s*(\"[^\"]*\"|'[^']*')", re.I)
ENGLISH_WORD = re.compile(r"(?<![\w./{-])[a-z]{2,}(?![\w./}])")
ENOUGH_WORDS = 4
"""Lower-case words. A text with fewer may consist of names and units, the same in all languages."""
JAPANESE = re.compile(r"[\u3041-\u30ff\u3400-\u9fff]")
BROKEN_LINE = re.compile(
    r"[\u3041-\u30ff\u3400-\u9fff、。][ \t]?\n[ \t]*(?=[\u3041-\u30ff\u3400-\u9fff])"
)
ROOM = 1.4
"""A figure has room for labels this many times as wide as the English, plus 2.5 em: what is short
in one language may be long in another ("mean", "rata-rata")."""
WORDS_FOR_NUMBERS = {*map(str, range(13)), "05", "40", "50", "90", "100", "200", "1000"}
"""Numbers that a translation may add: "one cell" may become "1 つのセル"."""


def problems(
    message: Message, translation: str, code: str, terms: list[Term], rules: list[style.Rule]
) -> list[str]:
    """Return what is wrong with a translation, a sentence each.

    Args:
        message: the English.
        translation: not empty.
        code: the language of the translation.
        terms: the glossary.
        rules: the style of that language.
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
    most = ROOM * width(text) + 2.5
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
    reasons += style.violations(_without_code(text), _without_code(translation), rules)
    return reasons + violations(english, other, code, terms)


def prose(message: Message, text: str) -> str:
    """Return the words of a text: without code, maths, placeholders, tags and addresses."""
    if message.markdown:
        return PLACEHOLDER.sub(" ", blocks.words(blocks.PARSER.parse(text)))
    for pattern in (CODE, blocks.MATHS, PLACEHOLDER, TAG):
        text = pattern.sub(" ", text)
    return ADDRESS.sub(" ", LINK.sub(_link_text, text))


def _without_code(text: str) -> str:
    """Mask code, addresses and names of placeholders: their words are not the translator's."""
    return PLACEHOLDER.sub("{}", ADDRESS.sub("…", LINK.sub(_link_text, CODE.sub("…", text))))


def width(text: str) -> float:
    """Estimate the width of a line of text in em: 1 for a wide character, half for any other."""
    return sum(1 if unicodedata.east_asian_width(c) in "WF" else 0.5 for c in text)


def plain_features(text: str) -> dict[str, Bag]:
    """Return the features of a string of code, a figure's text, a question or a note.

    Such texts may contain the Markdown that every face shows: code, links, maths.
    """
    bags = {"inline code": Counter(code[2].strip() for code in CODE.finditer(text))}
    rest = CODE.sub(" ", text)
    bags["maths"] = Counter(blocks.MATHS.findall(rest))
    rest = blocks.MATHS.sub(" ", rest)
    bags["placeholders"] = placeholders(rest)
    bags["link targets"] = Counter(link[1] for link in LINK.finditer(rest))
    bags["link targets"].update(ADDRESS.findall(LINK.sub(" ", rest)))
    bags["HTML tags"] = Counter(_tag(tag) for tag in TAG.findall(rest))
    bags["lines"] = Counter({"line": text.count("\n") + 1})
    bags["numbers"] = numbers(PLACEHOLDER.sub(" ", LINK.sub(_link_text, rest)))
    return bags


def markdown_features(text: str) -> dict[str, Bag]:
    """Return the features of a block of Markdown."""
    tokens = blocks.PARSER.parse(text)
    inline = [child for token in tokens for child in _children(token)]
    shown = blocks.words(tokens)
    bare = "".join(child.content if child.type == "text" else " " for child in inline)
    html = [t.content for t in (*tokens, *inline) if t.type in {"html_block", "html_inline"}]
    return {
        "inline code": Counter(child.content for child in inline if child.type == "code_inline"),
        "code blocks": Counter(
            f"{token.info}\n{token.content}"
            for token in tokens
            if token.type in {"fence", "code_block"}
        ),
        "maths": Counter(
            str(maths)
            for token in tokens
            if token.type == "inline"
            for maths in blocks.MATHS.findall(CODE.sub(" ", token.content))
        ),
        "placeholders": Counter(PLACEHOLDER.findall(shown)),
        "link targets": Counter(
            [
                *(str(child.attrGet("href")) for child in inline if child.type == "link_open"),
                *REFERENCE.findall(bare),
            ]
        ),
        "images": Counter(str(child.attrGet("src")) for child in inline if child.type == "image"),
        "HTML tags": Counter(_tag(tag) for part in html for tag in TAG.findall(part)),
        "heading levels": Counter(token.tag for token in tokens if token.type == "heading_open"),
        "list items": Counter(
            f"level {token.level // 2 + 1}" for token in tokens if token.type == "list_item_open"
        ),
        "table shape": Counter(_table_cells(tokens)),
        "emphasis": Counter(
            child.type.removesuffix("_open")
            for child in inline
            if child.type in {"strong_open", "em_open", "s_open"}
        ),
        "line breaks": Counter(child.type for child in inline if child.type == "hardbreak"),
        "stray asterisks": Counter(re.findall(r"\*+", bare)),
        "structure": Counter({" ".join(blocks.structure(tokens)): 1}),
        "numbers": numbers(PLACEHOLDER.sub(" ", shown)),
    }


def placeholders(text: str) -> Bag:
    """Return the fields that `str.format` fills, each with its conversion and format."""
    try:
        fields = list(string.Formatter().parse(text))
    except ValueError:
        # A lone brace: the text is not meant to be formatted.
        return Counter(PLACEHOLDER.findall(text))
    return Counter(
        f"{{{name}{'!' + conversion if conversion else ''}{':' + form if form else ''}}}"
        for _text, name, form, conversion in fields
        if name is not None
    )


def numbers(text: str) -> Bag:
    """Return the digits of each number, without separators: those differ between languages."""
    plain = unicodedata.normalize("NFKC", text)
    return Counter(re.sub(r"\D", "", number) for number in NUMBER.findall(plain))


def _differences(message: Message, translation: str) -> Iterator[str]:
    features = markdown_features if message.markdown else plain_features
    english, other = features(message.text), features(translation)
    reported = False
    for name, bag in english.items():
        if name == "structure" and reported:
            # An earlier feature has already said it more precisely.
            continue
        missing = bag - other[name]
        added = other[name] - bag
        if name == "numbers":
            # "6 of 6" may become "all 6".
            missing = Bag(set(bag) - set(other[name]))
            added = Bag(set(other[name]) - set(bag) - WORDS_FOR_NUMBERS)
        if missing or added:
            reported = True
            parts = [f"missing {_join(missing)}"] if missing else []
            parts += [f"added {_join(added)}"] if added else []
            yield f"{name}: {', '.join(parts)}"


def _join(bag: Bag) -> str:
    return ", ".join(
        f"{count} × {what!r}" if count > 1 else f"{what!r}" for what, count in bag.items()
    )


def _edges(text: str) -> tuple[str, str]:
    return text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]


def _children(token: Token) -> Iterator[Token]:
    for child in token.children or []:
        yield child
        yield from _children(child)


def _link_text(link: re.Match[str]) -> str:
    return link[0].split("](")[0]


def _tag(tag: str) -> str:
    """Mask the values of the attributes that are read aloud: those are translated."""
    return HTML_TEXT.sub(lambda attribute: f' {attribute[1].lower()}="…"', tag)


def _table_cells(tokens: Sequence[Token]) -> Iterator[str]:
    row = column = 0
    for token in tokens:
        if token.type == "tr_open":
            row, column = row + 1, 0
        elif token.type in {"th_open", "td_open"}:
            column += 1
            yield f"row {row} column {column} {token.attrGet('style') or ''}".strip()
