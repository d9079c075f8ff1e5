"""Finds functions and classes in lessons that the service already has."""

import ast
import difflib
import re
from collections.abc import Iterator
from pathlib import Path

TOO_ALIKE = 0.8
LEAST_STATEMENTS = 3
"""Least length of a body that is compared: shorter ones are alike by chance."""
PRESCRIBED = {"forward", "get_next"}
"""Names that a framework prescribes: a network of torch has a `forward`."""
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def definitions(source: str) -> list[Definition]:
    """Return the definitions in a module or cell, and in source code within its strings."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return []
    nodes: list[Definition] = []
    for node in ast.walk(tree):
        if isinstance(node, Definition):
            nodes.append(node)
        elif isinstance(node, ast.Constant) and re.search(r"def |class ", str(node.value)):
            nodes += definitions(str(node.value))
    return nodes


def read_folder(folder: Path) -> list[Definition]:
    """Return every function, method and class of the modules in a folder."""
    return [one for path in sorted(folder.rglob("*.py")) for one in definitions(path.read_text())]


def find_duplicates(source: str, originals: list[Definition]) -> Iterator[str]:
    """Yield the definitions in `source` with a name or nearly a body of one of `originals`."""
    names = {one.name for one in originals}
    for mine in definitions(source):
        own = mine.name not in PRESCRIBED and not mine.name.startswith("__")
        if own and mine.name in names:
            yield f"{mine.name} is defined in the service"
            continue
        shape = _shape(mine)
        if len(mine.body) < LEAST_STATEMENTS:
            continue
        for other in originals:
            if difflib.SequenceMatcher(None, shape, _shape(other), False).ratio() > TOO_ALIKE:
                yield f"{mine.name} is nearly {other.name} of the service"


def _shape(node: Definition) -> list[str]:
    """Return the kinds of nodes, the attributes and the constants, without names and docstring."""
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
