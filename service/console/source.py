"""Source files for a code pane: highlighted, hashed, with the lines that do each step."""

import ast
import hashlib
import html
import io
import keyword
import tokenize
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_CLASSES = {
    tokenize.COMMENT: "comment",
    tokenize.STRING: "string",
    tokenize.NUMBER: "number",
}
_CLASSES |= {
    getattr(tokenize, name): "string"
    for name in ("FSTRING_START", "FSTRING_MIDDLE", "FSTRING_END")  # since Python 3.12
    if hasattr(tokenize, name)
}


def view_source(path: Path, steps: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return what the code pane shows of a Python file.

    Args:
        path: the file.
        steps: for each step of the flow, pieces of code; the statements that hold them do it.

    Returns:
        `file` and `sha256`, `lines` (HTML, one a line), `steps` (step → line numbers from 1).

    Raises:
        ValueError: a piece of code is not in the file.
    """
    data = path.read_bytes()
    text = data.decode()
    return {
        "file": path.name,
        "sha256": hashlib.sha256(data).hexdigest(),
        "lines": highlight(text),
        "steps": {
            step: sorted({line for piece in pieces for line in locate(text, piece)})
            for step, pieces in steps.items()
        },
    }


def locate(text: str, piece: str) -> range:
    """Return the line numbers, from 1, of the statement that holds `piece`.

    Raises:
        ValueError: no line holds it.
    """
    for number, line in enumerate(text.splitlines(), 1):
        if piece in line:
            ends = [
                node.end_lineno or number
                for node in ast.walk(ast.parse(text))
                if isinstance(node, ast.stmt) and node.lineno == number and not _is_block(node)
            ]
            return range(number, max(ends, default=number) + 1)
    raise ValueError(f"no line holds {piece!r}")


def _is_block(node: ast.stmt) -> bool:
    return hasattr(node, "body")


def highlight(text: str) -> list[str]:
    """Return Python code as HTML, line by line; CSS classes of its spans give the colours."""
    lines = text.splitlines()
    marks: list[list[tuple[int, int, str]]] = [[] for _ in lines]
    before = ""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        kind = _CLASSES.get(token.type, "")
        if token.type == tokenize.NAME:
            if keyword.iskeyword(token.string):
                kind = "keyword"
            elif before in ("def", "class", "@"):
                kind = "name"
        if token.type not in (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT):
            before = token.string
        if not kind:
            continue
        (first, start), (last, end) = token.start, token.end
        for number in range(first, last + 1):  # a string may go over several lines
            line = lines[number - 1]
            begin = start if number == first else 0
            marks[number - 1].append((begin, end if number == last else len(line), kind))
    return [_marked(line, spans) for line, spans in zip(lines, marks, strict=True)]


def _marked(line: str, spans: list[tuple[int, int, str]]) -> str:
    parts: list[str] = []
    done = 0
    for start, end, kind in spans:
        parts.append(html.escape(line[done:start]))
        parts.append(f'<span class="{kind}">{html.escape(line[start:end])}</span>')
        done = end
    parts.append(html.escape(line[done:]))
    return "".join(parts)
