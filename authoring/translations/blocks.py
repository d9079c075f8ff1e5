"""Cut Markdown into its top-level blocks; put together again, they are the same bytes.

The cuts follow the source positions of a Markdown parser, so that a list, a table or a fence is
one piece. Only the blocks with words are messages; everything between them is copied.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import unescape

from markdown_it import MarkdownIt
from markdown_it.token import Token

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
"""A line as the parser counts lines: a lone carriage return ends one, other separators do not."""
TEXT_ATTRIBUTES = re.compile(r"""\b(?:alt|title|aria-label)\s*=\s*(?:"([^"]*)"|'([^']*)')""", re.I)
MATHS = re.compile(r"(?<!\\)\$\$.+?\$\$|(?<![\\$\w])\$(?!\s)[^$\n]+?(?<![\s\\])\$(?!\d)", re.S)


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a cell's source."""

    text: str
    block: int | None = None
    """Its number among the cell's blocks, if it is a message."""


def cut(source: str) -> list[Piece]:
    """Cut `source` into pieces, in order; joined they equal `source`.

    The white space at the end of a block belongs to what stands between the blocks. All blocks are
    numbered from 0, including those without words.
    """
    lines = LINE.findall(source)
    pieces: list[Piece] = []
    done = 0
    for number, (first, end, tokens) in enumerate(_top_level(PARSER.parse(source))):
        block = "".join(lines[first:end])
        text = block.rstrip()
        if first > done:
            pieces.append(Piece("".join(lines[done:first])))
        has_words = any(character.isalpha() for character in words(tokens))
        pieces.append(Piece(text, number if has_words else None))
        if block != text:
            pieces.append(Piece(block[len(text) :]))
        done = end
    if done < len(lines):
        pieces.append(Piece("".join(lines[done:])))
    return pieces


def messages(source: str) -> list[tuple[int, str]]:
    """Return number and text of each block with words, with the line ends of a catalogue (LF)."""
    return [
        (piece.block, re.sub(r"\r\n?", "\n", piece.text))
        for piece in cut(source)
        if piece.block is not None
    ]


def translate(source: str, translation: Callable[[int, str], str | None]) -> str:
    """Replace each block by `translation(number, text)`, unless that is None."""
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


def words(tokens: Sequence[Token]) -> str:
    """Return the text that a reader reads: alternative texts too, but no code, maths, tags, URLs.

    Each omission becomes a space, so that the words around it stay apart.
    """
    parts: list[str] = []
    for token in tokens:
        if token.type == "inline":
            # Join first: the parser splits maths where it sees emphasis.
            parts.append(MATHS.sub(" ", "".join(_inline_words(token.children or []))))
        elif token.type == "html_block":
            parts.append(_strip_tags(token.content))
    return "\n".join(parts)


def structure(tokens: Sequence[Token]) -> Iterator[str]:
    """Yield the types of all blocks, nested ones included, in order."""
    for token in tokens:
        if token.type not in {"inline", "html_block"} and token.nesting >= 0:
            start = token.attrGet("start") if token.type == "ordered_list_open" else None
            yield token.type.removesuffix("_open") + ("" if start is None else f"={start}")


def _strip_tags(html: str) -> str:
    """Return the text of some HTML, and that of the attributes that are read aloud."""
    html = re.sub(r"<!--.*?-->|<(script|style)\b.*?</\1\s*>", " ", html, flags=re.S | re.I)
    texts = re.split(r"<[^<>]*>", html)
    spoken = [attribute[1] or attribute[2] or "" for attribute in TEXT_ATTRIBUTES.finditer(html)]
    return unescape(" ".join([*texts, *spoken]))


def _inline_words(children: Sequence[Token]) -> list[str]:
    parts = []
    for child in children:
        if child.type == "text":
            parts.append(child.content)
        elif child.type == "image":
            parts += [*_inline_words(child.children or []), " ", str(child.attrGet("title") or "")]
        elif child.type == "html_inline":
            parts.append(_strip_tags(child.content))
        elif child.type in {"softbreak", "hardbreak", "code_inline"}:
            parts.append(" ")
        elif child.type == "link_open" and (title := child.attrGet("title")):
            parts.append(f"{title} ")
    return parts


def _top_level(tokens: Sequence[Token]) -> list[tuple[int, int, list[Token]]]:
    """Return first line, line behind the last, and tokens of each top-level block."""
    top: list[tuple[int, int, list[Token]]] = []
    for token in tokens:
        if token.level == 0 and token.nesting >= 0 and token.map is not None:
            top.append((token.map[0], token.map[1], []))
        top[-1][2].append(token)
    return top
