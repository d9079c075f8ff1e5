"""Running code that does something else than the validated one is refused."""

import ast
import re
from pathlib import Path
from typing import Protocol

import pytest

from service.artifact import code
from service.artifact.code import check_code
from service.artifact.manifest import MODEL_DEFINITION, PREPROCESSING, code_files
from service.artifact.verify import Bundle, verify
from service.engines import FORMS
from service.errors import OperatorError
from tests.service.artifact.test_verify import record_file


class Run(Protocol):
    """Has another source run in the place of one of the two files."""

    def __call__(self, name: str, source: str) -> Path: ...


@pytest.fixture
def run_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    def run(name: str, source: str) -> Path:
        path = tmp_path / Path(name).name
        path.write_text(source, "utf-8")
        monkeypatch.setattr(code, "code_files", lambda: {**code_files(), name: path})
        return path

    return run


EAGER, ONNX = FORMS["eager"], FORMS["onnx-fp32"]


@pytest.mark.parametrize("name", [PREPROCESSING, MODEL_DEFINITION])
def test_code_that_does_the_same_is_accepted(bundle: Bundle, run_code: Run, name: str) -> None:
    """Another comment, layout and docstring, of the module, a function, a class, a value."""
    check_code(bundle)
    tree = ast.parse((bundle.path / name).read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value.value = "Something else."
    code = ast.unparse(tree)
    assert code.count("Something else.") > 5
    run_code(name, "# A licence.\n\n" + code.replace("\n", "\n\n"))
    for form in (None, EAGER, ONNX):
        check_code(bundle, form)


@pytest.mark.parametrize(
    ("name", "before", "after", "expected", "found"),
    [
        (PREPROCESSING, "MIN_SIDE = 16", "MIN_SIDE = 8", "MIN_SIDE = 16", "MIN_SIDE = 8"),
        (PREPROCESSING, "crop: int = 224", "crop: int = 225", "crop: int = 224", "crop: int = 225"),
        (PREPROCESSING, "    image.load()\n", "", "image.load()", "return (width, height)"),
        (MODEL_DEFINITION, "eps=1e-3", "eps=1e-5", "eps=0.001", "eps=1e-05"),
    ],
)
def test_code_that_does_something_else_is_refused(
    bundle: Bundle, run_code: Run, name: str, before: str, after: str, expected: str, found: str
) -> None:
    shipped = bundle.path / name
    source = shipped.read_text("utf-8")
    assert source.count(before) == 1
    running = run_code(name, source.replace(before, after))
    words = (
        rf"{running} is not the code that the artifact was validated with: expected "
        rf"`.*{re.escape(expected)}.*` \({shipped}\), found `.*{re.escape(found)}.*`\. "
        r"Check out that version, or validate the new one: \S*python -m service\.artifact build"
    )
    with pytest.raises(OperatorError, match=words):
        check_code(bundle, EAGER)
    with pytest.raises(OperatorError, match=words):
        check_code(bundle)


def test_code_that_ends_early_is_refused(bundle: Bundle, run_code: Run) -> None:
    source = (bundle.path / PREPROCESSING).read_text("utf-8")
    run_code(PREPROCESSING, source.rsplit("\n", 2)[0])
    with pytest.raises(OperatorError, match=r"found the end of the file\. Check out"):
        check_code(bundle, ONNX)


def test_code_for_a_newer_python_is_refused(bundle_copy: Path, run_code: Run) -> None:
    (bundle_copy / PREPROCESSING).write_text("match = lambda: !")
    record_file(bundle_copy, PREPROCESSING)
    run_code(PREPROCESSING, "MIN_SIDE = 16")
    with pytest.raises(OperatorError, match=r"preprocessing\.py is no code for Python 3\."):
        check_code(verify(bundle_copy), ONNX)


def test_only_eager_needs_the_model_definition(bundle: Bundle, run_code: Run) -> None:
    run_code(MODEL_DEFINITION, "# gone")
    for form in FORMS.values():
        if not form.runs_model_definition:
            check_code(bundle, form)
    with pytest.raises(OperatorError, match=r"model_definition\.py is not the code"):
        check_code(bundle, EAGER)
