"""Texts for a terminal: width, line breaks, encoding and colours."""

import os
import sys
import unicodedata
from collections.abc import Iterator

GREEN, ORANGE, BOLD = "32", "33", "1"


def width(text: str) -> int:
    """Return the number of columns: 2 for an ideograph, 0 for a combining mark, else 1."""
    return sum(
        0 if unicodedata.combining(sign) else 1 + (unicodedata.east_asian_width(sign) in "FW")
        for sign in text
    )


def padded(text: str, columns: int) -> str:
    """Return `text`, filled with spaces to `columns`."""
    return text + " " * max(0, columns - width(text))


def wrapped(text: str, columns: int, first: str = "") -> list[str]:
    """Break `text` into lines of at most `columns`.

    The first line begins with `first`, the others with as many spaces. A word that is longer than a
    line (a path) is cut.
    """
    room = max(1, columns - width(first))
    lines = [""]
    for piece in _pieces(text, room):
        if lines[-1] and width(lines[-1] + piece.rstrip()) > room:
            lines.append("")
        lines[-1] += piece
    return [
        (" " * width(first) if number else first) + line.rstrip()
        for number, line in enumerate(lines)
    ]


def can_print(signs: str) -> bool:
    """Return whether the encoding of standard output has these characters."""
    try:
        signs.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def printable(text: str) -> str:
    """Return `text` with "?" for characters that the encoding of standard output lacks."""
    encoding = sys.stdout.encoding or "ascii"
    return text.encode(encoding, "replace").decode(encoding)


def coloured(text: str, code: str) -> str:
    """Return `text` in an ANSI style; unchanged where standard output shows no colours."""
    plain = not sys.stdout.isatty() or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    return text if plain or not code else f"\x1b[{code}m{text}\x1b[0m"


def _pieces(text: str, most: int) -> Iterator[str]:
    """Cut `text` where a line may break; each piece has at most `most` columns.

    A line may break after a space, and before a wide character other than closing ones (、。」).
    """
    piece = ""
    for sign in text:
        wide = unicodedata.east_asian_width(sign) in "FW"
        closing = unicodedata.category(sign) in ("Pe", "Pf", "Po", "Lm")
        may_break = piece and (piece[-1] == " " or (wide and not closing)) and sign != " "
        if may_break or (sign != " " and width(piece + sign) > most):
            yield piece
            piece = ""
        piece += sign
    if piece:
        yield piece
