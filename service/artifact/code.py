"""Compares the running code with the code that a model was validated with: what the files do."""

import ast
from itertools import takewhile, zip_longest

from service.artifact.manifest import MODEL_DEFINITION, code_files
from service.artifact.verify import Bundle, running_python, sha256
from service.engines import FORMS
from service.engines.base import File, Form
from service.errors import OperatorError, shorten, write_command


def check_code(bundle: Bundle, form: Form | None = None) -> None:
    """Check that the running code does what the code in the bundle does.

    Statements count; comments, docstrings and layout do not. The copy in the bundle is compared,
    because it was verified byte for byte.

    Args:
        bundle: a verified bundle.
        form: what is served; only some forms run the model definition. None: all in the bundle.

    Raises:
        OperatorError: a statement differs.
    """
    forms = [FORMS[name] for name in bundle.manifest.forms] if form is None else [form]
    runs_definition = any(one.runs_model_definition for one in forms)
    for name, running in code_files().items():
        if name == MODEL_DEFINITION and not runs_definition:
            continue
        if sha256(running) == bundle.manifest.files[name].sha256:
            continue
        difference = find_difference(bundle.file(name), running)
        if difference is not None:
            expected, found = difference
            raise OperatorError(
                f"{running} is not the code that the artifact was validated with: expected "
                f"{expected} ({bundle.path / name}), found {found}. "
                "Check out that version, or validate the new one: "
                f"{write_command('service.artifact build')}"
            )


def find_difference(expected: File, found: File) -> tuple[str, str] | None:
    """Return the first statement that differs, as each file has it; None if all are the same.

    Raises:
        OperatorError: a file is no code for the running Python.
    """
    ours, theirs = _read_statements(expected), _read_statements(found)
    return None if ours == theirs else _first_difference(ours, theirs)


def _read_statements(file: File) -> list[str]:
    """Return the lines of a Python file that do something, in one layout.

    Two files are compared by one Python, because versions print some statements differently.
    """
    try:
        tree = _OnlyStatements().visit(ast.parse(file.read_bytes()))
    except (SyntaxError, ValueError) as error:
        raise OperatorError(
            f"{file.name} is no code for Python {running_python()}: {error}. "
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
