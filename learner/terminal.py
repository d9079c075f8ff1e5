"""Texts in a terminal: narrow or wide, in a script of wide signs, with colours or without."""

import os
import sys
import unicodedata
from collections.abc import Iterator

GREEN, ORANGE, BOLD = "32", "33", "1"


def width(text: str) -> int:
    """The columns that a terminal needs: an ideograph takes two, a combining mark none."""
    return sum(
        0 if unicodedata.combining(sign) else 1 + (unicodedata.east_asian_width(sign) in "FW")
        for sign in text
    )


def padded(text: str, columns: int) -> str:
    """`text`, filled with spaces to that many columns."""
    return text + " " * max(0, columns - width(text))


def wrapped(text: str, columns: int, first: str = "") -> list[str]:
    """`text` in lines of at most `columns`; `first` begins the first, spaces the others.

    A word that is longer than a line (a path) is cut.
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
    """Whether standard output's encoding has these signs."""
    try:
        signs.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def printable(text: str) -> str:
    """`text`; what standard output's encoding does not have becomes "?"."""
    encoding = sys.stdout.encoding or "ascii"
    return text.encode(encoding, "replace").decode(encoding)


def coloured(text: str, code: str) -> str:
    """`text` in an ANSI style, where standard output is a terminal that has some."""
    plain = not sys.stdout.isatty() or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    return text if plain or not code else f"\x1b[{code}m{text}\x1b[0m"


def _pieces(text: str, most: int) -> Iterator[str]:
    """What stays on a line: up to a space, an ideograph (but 、。)」), or `most` columns."""
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
