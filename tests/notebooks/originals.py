"""Finds functions and classes of lessons that exist in the service already."""

import ast
import difflib
import re
from collections.abc import Iterator
from pathlib import Path

TOO_ALIKE = 0.8
LEAST_STATEMENTS = 3
"""Of a body that is compared: shorter ones are alike by chance."""
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def definitions(source: str) -> list[Definition]:
    """Of a module or cell, and of the modules that its strings hold."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return []
    found: list[Definition] = []
    for node in ast.walk(tree):
        if isinstance(node, Definition):
            found.append(node)
        elif isinstance(node, ast.Constant) and re.search(r"def |class ", str(node.value)):
            found += definitions(str(node.value))
    return found


def of_folder(folder: Path) -> list[Definition]:
    """Every function, method and class of its modules."""
    return [one for path in sorted(folder.rglob("*.py")) for one in definitions(path.read_text())]


def duplicates(source: str, originals: list[Definition]) -> Iterator[str]:
    """What `source` defines that has the name or nearly the body of one of `originals`."""
    names = {one.name for one in originals}
    for mine in definitions(source):
        if mine.name in names and not mine.name.startswith("__"):
            yield f"{mine.name} is defined in the service"
            continue
        shape = _shape(mine)
        if len(mine.body) < LEAST_STATEMENTS:
            continue
        for other in originals:
            if difflib.SequenceMatcher(None, shape, _shape(other), False).ratio() > TOO_ALIKE:
                yield f"{mine.name} is nearly {other.name} of the service"


def _shape(node: Definition) -> list[str]:
    """The kinds of its nodes, its attributes and constants, without names and docstrings."""
    shape = []
    body = node.body[1:] if ast.get_docstring(node) else node.body
    for part in (inner for statement in body for inner in ast.walk(statement)):
        label = type(part).__name__
        if isinstance(part, ast.Attribute):
            label += part.attr
        elif isinstance(part, ast.Constant):
            label += repr(part.value)
        shape.append(label)
    return shape
