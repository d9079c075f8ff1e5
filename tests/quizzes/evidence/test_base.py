"""Every experiment says which one thing it varies, and no p99 leaves the failed requests out."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.settings import ROOT

MODULES = sorted((ROOT / "quizzes" / "evidence").glob("*.py"))
LESSONS = sorted((ROOT / "notebooks" / "en").glob("*.ipynb"))
HELPERS = sorted((ROOT / "notebooks" / "workshop").glob("*.py"))
PERCENTILES = ("percentile", "quantile", "nanpercentile", "nanquantile")
RECORDS_WHAT_FAILED = ("ok", "isfinite", "status")
"""Names by which a selection of requests leaves out those that failed."""


def calls(source: str) -> Iterator[ast.Call]:
    yield from (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))


def lacks_varies(source: str) -> list[int]:
    """Return the lines of those `Evidence(…)` that do not say, in `_("…")`, what they vary."""
    return [
        call.lineno
        for call in calls(source)
        if isinstance(call.func, ast.Name) and call.func.id == "Evidence" and not _says(call)
    ]


def _says(call: ast.Call) -> bool:
    """Whether a call has `varies=_("a sentence")`, with or without `.format(…)`."""
    for word in call.keywords:
        if word.arg == "varies":
            text = word.value
            if isinstance(text, ast.Call) and isinstance(text.func, ast.Attribute):
                text = text.func.value
            return (
                isinstance(text, ast.Call)
                and ast.unparse(text.func) == "_"
                and isinstance(text.args[0], ast.Constant)
                and len(str(text.args[0].value).split()) >= 3
            )
    return False


def selective_percentiles(source: str) -> list[int]:
    """Return the lines of percentiles over the requests that were answered only."""
    return [
        call.lineno
        for call in calls(source)
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in PERCENTILES
        and ast.unparse(call.func.value) in ("np", "numpy")
        and any(
            isinstance(node, ast.Subscript)
            and any(name in ast.unparse(node.slice) for name in RECORDS_WHAT_FAILED)
            for argument in call.args
            for node in ast.walk(argument)
        )
    ]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_an_experiment_says_what_it_varies(path: Path) -> None:
    assert not lacks_varies(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", [*MODULES, *HELPERS], ids=lambda path: path.stem)
def test_a_percentile_counts_the_failed_requests(path: Path) -> None:
    assert not selective_percentiles(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_percentile_of_a_lesson_counts_the_failed_requests(path: Path) -> None:
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            source = "".join(cell["source"]).replace("await ", "")
            assert not selective_percentiles(source), cell["id"]


@pytest.mark.parametrize(
    "source",
    [
        "Evidence(shows=_('It shows.'))",
        "Evidence(shows=_('It shows.'), varies='the order of the cells')",
        "Evidence(shows=_('It shows.'), varies=_(''))",
    ],
)
def test_an_evidence_without_it_is_refused(source: str) -> None:
    assert lacks_varies(source)


def test_an_evidence_with_it_is_accepted() -> None:
    assert not lacks_varies("Evidence(shows=_('a'), varies=_('Only the order of the cells.'))")
    assert not lacks_varies("Evidence(_('a'), varies=_('Only {n} of the cells.').format(n=1))")


def test_the_old_p99_over_accepted_requests_is_refused() -> None:
    assert selective_percentiles("np.percentile(seen.latency_ms[seen.ok], 99)")
    assert selective_percentiles("np.percentile(seen.latency_ms[seen.status == 200], 99)")
    assert not selective_percentiles("seen.percentile(99)")
    assert not selective_percentiles("np.percentile(draws, [5, 95])")
