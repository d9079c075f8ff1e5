"""What a text and its translation must have in common, read from each of them alone.

A feature is a bag of small strings. Order is not part of most: another language says the same in
another order. What no language changes is how often each occurs.
"""

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence

from markdown_it.token import Token

from authoring.translations import blocks

Bag = Counter[str]
CODE = re.compile(r"(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.S)
LINK = re.compile(r"!?\[[^\[\]]*\]\(\s*([^\s()]+)[^()]*\)")
REFERENCE = re.compile(r"\]\[([^\[\]]+)\]")
ADDRESS = re.compile(r"https?://[^\s<>()\[\]\"'`、。]+")
TAG = re.compile(r"</?[A-Za-z][^<>]*>")
PLACEHOLDER = re.compile(r"\{[^{}\s]*\}")
NUMBER = re.compile(r"\d+(?:[.,\u00a0\u202f]\d+)*")
HTML_TEXT = re.compile(r"\s*\b(alt|title|aria-label)\s*=\s*(\"[^\"]*\"|'[^']*')", re.I)


def of_plain(text: str) -> dict[str, Bag]:
    """Features of a string of code, a figure's text, a question, a note.

    These may hold the little of Markdown that any face shows: code, links, maths.
    """
    found = {"inline code": Counter(code[2].strip() for code in CODE.finditer(text))}
    rest = CODE.sub(" ", text)
    found["maths"] = Counter(blocks.MATHS.findall(rest))
    rest = blocks.MATHS.sub(" ", rest)
    found["placeholders"] = placeholders(rest)
    found["link targets"] = Counter(link[1] for link in LINK.finditer(rest))
    found["link targets"].update(ADDRESS.findall(LINK.sub(" ", rest)))
    found["HTML tags"] = Counter(_tag(tag) for tag in TAG.findall(rest))
    found["lines"] = Counter({"line": text.count("\n") + 1})
    found["numbers"] = numbers(PLACEHOLDER.sub(" ", LINK.sub(_link_text, rest)))
    return found


def of_markdown(text: str) -> dict[str, Bag]:
    """Features of a block of Markdown."""
    tokens = blocks.PARSER.parse(text)
    inline = [child for token in tokens for child in _children(token)]
    shown = blocks.words(tokens)
    prose = "".join(child.content if child.type == "text" else " " for child in inline)
    html = [t.content for t in (*tokens, *inline) if t.type in {"html_block", "html_inline"}]
    return {
        "inline code": Counter(child.content for child in inline if child.type == "code_inline"),
        "code blocks": Counter(
            f"{token.info}\n{token.content}"
            for token in tokens
            if token.type in {"fence", "code_block"}
        ),
        "maths": Counter(
            found for t in tokens if t.type == "inline" for found in _maths_in(t.content)
        ),
        "placeholders": Counter(PLACEHOLDER.findall(shown)),
        "link targets": Counter(
            [
                *(str(child.attrGet("href")) for child in inline if child.type == "link_open"),
                *REFERENCE.findall(prose),
            ]
        ),
        "images": Counter(str(child.attrGet("src")) for child in inline if child.type == "image"),
        "HTML tags": Counter(_tag(tag) for part in html for tag in TAG.findall(part)),
        "heading levels": Counter(token.tag for token in tokens if token.type == "heading_open"),
        "list items": Counter(_list_items(tokens)),
        "table shape": Counter(_table_cells(tokens)),
        "emphasis": Counter(
            child.type.removesuffix("_open")
            for child in inline
            if child.type in {"strong_open", "em_open", "s_open"}
        ),
        "line breaks": Counter(child.type for child in inline if child.type == "hardbreak"),
        "stray asterisks": Counter(re.findall(r"\*+", prose)),
        "structure": Counter({" ".join(structure(tokens)): 1}),
        "numbers": numbers(PLACEHOLDER.sub(" ", shown)),
    }


def placeholders(text: str) -> Bag:
    """The fields that `str.format` fills, each with its conversion and format."""
    try:
        fields = list(string.Formatter().parse(text))
    except ValueError:
        # Not meant to be filled in: a lone brace.
        return Counter(PLACEHOLDER.findall(text))
    return Counter(
        f"{{{name}{'!' + conversion if conversion else ''}{':' + form if form else ''}}}"
        for _text, name, form, conversion in fields
        if name is not None
    )


def numbers(text: str) -> Bag:
    """The numbers in a text, however a language separates thousands and decimals."""
    plain = unicodedata.normalize("NFKC", text)
    return Counter(re.sub(r"\D", "", number) for number in NUMBER.findall(plain))


def structure(tokens: Sequence[Token]) -> Iterator[str]:
    """The blocks, also those within blocks, in their order."""
    for token in tokens:
        if token.type not in {"inline", "html_block"} and token.nesting >= 0:
            start = token.attrGet("start") if token.type == "ordered_list_open" else None
            yield token.type.removesuffix("_open") + ("" if start is None else f"={start}")


def _children(token: Token) -> Iterator[Token]:
    for child in token.children or []:
        yield child
        yield from _children(child)


def _maths_in(content: str) -> list[str]:
    return [str(found) for found in blocks.MATHS.findall(CODE.sub(" ", content))]


def _link_text(link: re.Match[str]) -> str:
    return link[0].split("](")[0]


def _tag(tag: str) -> str:
    """A tag without the attributes whose values are read aloud: those are translated."""
    return HTML_TEXT.sub(lambda found: f' {found[1].lower()}="…"', tag)


def _list_items(tokens: Sequence[Token]) -> Iterator[str]:
    for token in tokens:
        if token.type == "list_item_open":
            yield f"level {token.level // 2 + 1}"


def _table_cells(tokens: Sequence[Token]) -> Iterator[str]:
    row = column = 0
    for token in tokens:
        if token.type == "tr_open":
            row, column = row + 1, 0
        elif token.type in {"th_open", "td_open"}:
            column += 1
            yield f"row {row} column {column} {token.attrGet('style') or ''}".strip()
