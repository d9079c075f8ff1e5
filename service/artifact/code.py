"""Compares what two Python files do: comments, docstrings and layout do not count."""

import ast
from itertools import takewhile, zip_longest
from pathlib import Path

from service.artifact.verify import running_python
from service.errors import OperatorError, shorten, write_command


def find_difference(expected: Path, found: Path) -> tuple[str, str] | None:
    """Return the first statement that differs, as each file has it; None if all are the same.

    Raises:
        OperatorError: a file is no code for the running Python.
    """
    ours, theirs = _read_statements(expected), _read_statements(found)
    return None if ours == theirs else _first_difference(ours, theirs)


def _read_statements(path: Path) -> list[str]:
    """Return the lines of a Python file that do something, in one layout.

    Two files are compared by one Python, because versions print some statements differently.
    """
    try:
        tree = _OnlyStatements().visit(ast.parse(path.read_bytes()))
    except (SyntaxError, ValueError) as error:
        raise OperatorError(
            f"{path} is no code for Python {running_python()}: {error}. "
            f"Build the artifact again: {write_command('service.artifact build')}"
        ) from None
    return ast.unparse(tree).splitlines()


class _OnlyStatements(ast.NodeTransformer):
    """Removes docstrings (of attributes too) and `pass`."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        value = node.value
        is_text = isinstance(value, ast.Constant) and isinstance(value.value, str)
        return None if is_text else node

    def visit_Pass(self, _: ast.Pass) -> None:
        return None


def _first_difference(expected: list[str], found: list[str]) -> tuple[str, str]:
    """Return the first line that differs, of each; of a long one the part that differs."""
    one, other = next(
        pair for pair in zip_longest(expected, found, fillvalue="") if pair[0] != pair[1]
    )
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
    start = max(0, same - 40)
    return _quote(one[start:]), _quote(other[start:])


def _quote(code: str) -> str:
    return f"`{shorten(code)}`" if code else "the end of the file"
