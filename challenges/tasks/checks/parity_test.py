"""Task parity-test: the test passes with a right preprocessing, and notices three wrong ones."""

import contextlib
import io
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from challenges.tasks.checking import Wrong
from challenges.tasks.pixels import WRONG_WAYS, in_words
from learner.language import _
from service.preprocessing import preprocess

FILE = "test_parity.py"


def check(folder: Path) -> None:
    """Run the test with preprocessings that are right, or wrong in a way of their own.

    Raises:
        Wrong: it fails with a right one, or passes with a wrong one.
    """
    status, said = _run(folder, preprocess)
    if status == pytest.ExitCode.NO_TESTS_COLLECTED:
        raise Wrong(
            expected=_("{file} has a function whose name begins with test_.").format(file=FILE),
            found=_("pytest found no test."),
            look=FILE,
        )
    if status != pytest.ExitCode.OK:
        print(said)
        raise Wrong(
            expected=_("With a right preprocessing the test passes."),
            found=_("It failed: {reason}").format(reason=_reason(said)),
            look=FILE,
        )
    for way, make in WRONG_WAYS.items():
        status, said = _run(folder, make)
        if status == pytest.ExitCode.OK:
            raise Wrong(
                expected=_("The test fails with a preprocessing that is wrong."),
                found=_("It passed with this one: {way}").format(way=in_words(way)),
                look=_("{file}: how far apart pixels may be").format(file=FILE),
            )
        print(f"with {way}: noticed ({_reason(said)})")


def _run(folder: Path, make: Callable[[bytes], Any]) -> tuple[int, str]:
    """Exit status and output of pytest, with this function as the module's `preprocess`."""
    stand_in = ModuleType("preprocessing")
    vars(stand_in).update(preprocess=make, RESIZE=256, CROP=224)
    sys.modules["preprocessing"] = stand_in
    sys.modules.pop("test_parity", None)
    output = io.StringIO()
    options = ["-q", "-x", "--tb=line", "-p", "no:cacheprovider", "--color=no", "-W", "ignore"]
    place = ["-c", "/dev/null", f"--rootdir={folder}"]
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        status = pytest.main([*options, *place, str(folder / FILE)])
    return int(status), output.getvalue()[-4000:]


def _reason(said: str) -> str:
    """The line with the failure: "…/test_parity.py:29: AssertionError: assert 90 <= 1"."""
    lines = [line for line in said.splitlines() if "Error" in line] or said.splitlines()
    return lines[0].rpartition(f"{FILE}:")[2][:200] if lines else ""
