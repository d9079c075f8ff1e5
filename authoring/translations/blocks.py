"""Markdown, cut into its top-level blocks; put together again, it is the same to the byte.

The cuts are those of a Markdown parser's source positions, so a list, a table or a fence is one
piece. Only texts are handed out; whatever stands between them stays as it is.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import unescape

from markdown_it import MarkdownIt
from markdown_it.token import Token

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
"""As the parser counts lines: also after a lone carriage return, never after other separators."""
TEXT_ATTRIBUTES = re.compile(r"""\b(?:alt|title|aria-label)\s*=\s*(?:"([^"]*)"|'([^']*)')""", re.I)
MATHS = re.compile(r"(?<!\\)\$\$.+?\$\$|(?<![\\$\w])\$(?!\s)[^$\n]+?(?<![\s\\])\$(?!\d)", re.S)


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a cell's source."""

    text: str
    block: int | None = None
    """Its number among the cell's blocks, if it is a message."""


def cut(source: str) -> list[Piece]:
    """All of `source` in pieces, in order; joined they are `source`.

    The white space at a block's end belongs to what is between the blocks. Blocks are numbered
    from 0, all of them, also those without words.
    """
    lines = LINE.findall(source)
    pieces: list[Piece] = []
    done = 0
    for number, (first, end, tokens) in enumerate(_top_level(PARSER.parse(source))):
        block = "".join(lines[first:end])
        text = block.rstrip()
        if first > done:
            pieces.append(Piece("".join(lines[done:first])))
        pieces.append(Piece(text, number if has_words(tokens) else None))
        if block != text:
            pieces.append(Piece(block[len(text) :]))
        done = end
    if done < len(lines):
        pieces.append(Piece("".join(lines[done:])))
    return pieces


def messages(source: str) -> list[tuple[int, str]]:
    """Number and text of each block with words, whose line ends are those of a catalogue (LF)."""
    return [
        (piece.block, re.sub(r"\r\n?", "\n", piece.text))
        for piece in cut(source)
        if piece.block is not None
    ]


def translate(source: str, translation: Callable[[int, str], str | None]) -> str:
    """`source` with each block replaced by what `translation(number, text)` says, if anything."""
    end_of_line = re.search(r"\r\n?|\n", source)
    parts = []
    for piece in cut(source):
        text = re.sub(r"\r\n?", "\n", piece.text)
        new = None if piece.block is None else translation(piece.block, text)
        if new is None or new == text:
            parts.append(piece.text)
        else:
            parts.append(new.replace("\n", end_of_line[0]) if end_of_line else new)
    return "".join(parts)


def has_words(tokens: Sequence[Token]) -> bool:
    """Whether there is a letter outside code, maths, tags and addresses."""
    return any(character.isalpha() for character in words(tokens))


def words(tokens: Sequence[Token]) -> str:
    """What a reader reads: the text with alternative texts, without code, maths, tags, addresses.

    What is left out is a space, so that what stood before and behind it stays apart.
    """
    parts: list[str] = []
    for token in tokens:
        if token.type == "inline":
            # Joined first: the parser cuts maths up where it finds something to emphasise.
            parts.append(MATHS.sub(" ", "".join(_inline(token.children or []))))
        elif token.type == "html_block":
            parts.append(without_tags(token.content))
    return "\n".join(parts)


def without_tags(html: str) -> str:
    """The text of some HTML, with that of its attributes that are read aloud."""
    html = re.sub(r"<!--.*?-->|<(script|style)\b.*?</\1\s*>", " ", html, flags=re.S | re.I)
    texts = re.split(r"<[^<>]*>", html)
    spoken = [found[1] or found[2] or "" for found in TEXT_ATTRIBUTES.finditer(html)]
    return unescape(" ".join([*texts, *spoken]))


def _inline(children: Sequence[Token]) -> list[str]:
    parts = []
    for child in children:
        if child.type == "text":
            parts.append(child.content)
        elif child.type == "image":
            parts += [*_inline(child.children or []), " ", str(child.attrGet("title") or "")]
        elif child.type == "html_inline":
            parts.append(without_tags(child.content))
        elif child.type in {"softbreak", "hardbreak", "code_inline"}:
            parts.append(" ")
        elif child.type == "link_open" and (title := child.attrGet("title")):
            parts.append(f"{title} ")
    return parts


def _top_level(tokens: Sequence[Token]) -> list[tuple[int, int, list[Token]]]:
    """First line, line behind the last, and tokens of each top-level block."""
    found: list[tuple[int, int, list[Token]]] = []
    for token in tokens:
        if token.level == 0 and token.nesting >= 0 and token.map is not None:
            found.append((token.map[0], token.map[1], []))
        found[-1][2].append(token)
    return found
