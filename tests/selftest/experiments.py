"""The experiments of the selftest: what is graded, and the expected verdict."""

import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from challenges.catalogue.model import CATALOGUE_MODEL, make_model
from challenges.minimal_service.grading.verdict import POINTS, CriterionId, Verdict
from learner.paths import ROOT
from tests.selftest.bases import copy_base, plant
from tests.selftest.cheats import CHEATS
from tests.selftest.faults import Base, Fault
from tests.selftest.grading import GradeError, grade, list_failed, list_unchecked
from tests.selftest.models import make_small_model
from tests.selftest.mutants import MUTANTS
from tests.selftest.reference_mutants import REFERENCE_MUTANTS
from tests.selftest.table import Row

FAULTS = [*MUTANTS, *REFERENCE_MUTANTS, *CHEATS]
MOST_SPREAD = 5.0
"""Points between the best and the worst score of the reference."""
MOST_DIFFERENCE = 0.1
"""Between the load generator's p99 and that of an independent tool, as a share."""
CROSS_CHECK = ["-m", "tests.performance.cross_check"]
_P99 = re.compile(r"\| p99 \| ([\d.]+) \| ([\d.]+) \|")


@dataclass
class Bench:
    """A scratch folder with models and right submissions, in which experiments are made."""

    quick: bool
    times: int
    model: Path = CATALOGUE_MODEL
    scratch: Path = field(init=False)

    @contextmanager
    def opened(self) -> Iterator["Bench"]:
        """Create the scratch folder; remove it at the end of the block."""
        with tempfile.TemporaryDirectory(prefix="selftest-") as folder:
            self.scratch = Path(folder)
            yield self

    def model_of(self, base: Base) -> Path:
        """Return the research model that a base is graded with; make it if it is missing."""
        if base == "reference":
            return make_model(self.model).path
        small = self.scratch / "model"
        return small if small.exists() else make_small_model(small).path

    def base(self, base: Base) -> Path:
        """Return the folder of a right submission; its first grade builds its artifact into it."""
        folder = self.scratch / "bases" / base
        return folder if folder.exists() else copy_base(base, folder)

    def grade(self, submission: str | Path, base: Base) -> Verdict:
        """Grade a submission once."""
        return grade(submission, self.model_of(base), self.quick, self.scratch)


Experiment = Callable[[Bench], Row]


def experiments() -> dict[str, Experiment]:
    """Return all experiments by name, in their order."""
    by_name: dict[str, Experiment] = {
        "reference": _reference,
        "starter": _starter,
        "submission": _submission,
        "reference-copy": _reference_copy,
    }
    for fault in FAULTS:
        by_name[fault.name] = _plant_and_grade(fault)
    by_name["generator"] = _generator
    return by_name


def run_experiment(name: str, experiment: Experiment, bench: Bench) -> Row:
    """Return an experiment's row with its duration; without a verdict it does not hold."""
    started = time.monotonic()
    try:
        row = experiment(bench)
    except GradeError as error:
        row = Row(name, "a verdict", str(error).replace("\n", " · "), False)
    return Row(row.name, row.expected, row.found, row.holds, time.monotonic() - started)


def _reference(bench: Bench) -> Row:
    verdicts = [bench.grade("reference", "reference") for _ in range(bench.times)]
    passed = sum(verdict.passed for verdict in verdicts)
    scores = [verdict.score for verdict in verdicts]
    spread = max(scores) - min(scores)
    failed = [
        f"{_words(list_failed(verdict))}{_reasons(verdict, list_failed(verdict))} in grade {number}"
        for number, verdict in enumerate(verdicts, 1)
        if not verdict.passed
    ]
    found = f"passed {passed}, scores {min(scores):.1f} to {max(scores):.1f}"
    return Row(
        "reference",
        f"passes {bench.times} of {bench.times}, scores within {MOST_SPREAD:g}",
        found + "".join(f", lost {one}" for one in failed),
        passed == bench.times and spread <= MOST_SPREAD,
    )


def _starter(bench: Bench) -> Row:
    verdicts = [bench.grade("starter", "reference") for _ in range(bench.times)]
    failed = sum("load" in list_failed(verdict) for verdict in verdicts)
    right = sum("answers" not in list_failed(verdict) for verdict in verdicts)
    return Row(
        "starter",
        f"fails the load {bench.times} of {bench.times}",
        f"failed {failed}, of them with right answers {right}",
        failed == bench.times and not any(verdict.passed for verdict in verdicts),
    )


def _submission(bench: Bench) -> Row:
    return _control("submission", bench)


def _reference_copy(bench: Bench) -> Row:
    return _control("reference", bench)


def _control(base: Base, bench: Bench) -> Row:
    """Check that a submission without a fault loses nothing; else mutants prove nothing."""
    verdict = bench.grade(bench.base(base), base)
    name = "submission" if base == "submission" else "reference-copy"
    found, open_ = list_failed(verdict), list_unchecked(verdict) - {"packaging"}
    seen = _words(found) + _reasons(verdict, found)
    if open_ and not found:
        return Row(name, "loses nothing", f"could not be checked: {_words(open_)}", None)
    return Row(name, "loses nothing", seen, not found)


def _plant_and_grade(fault: Fault) -> Experiment:
    def experiment(bench: Bench) -> Row:
        folder = plant(fault, bench.base(fault.base), bench.scratch / fault.name)
        try:
            return judge_verdict(fault, bench.grade(folder, fault.base))
        finally:
            shutil.rmtree(folder)

    return experiment


def judge_verdict(fault: Fault, verdict: Verdict) -> Row:
    """Return whether a verdict finds the fault, and no other."""
    found, open_ = list_failed(verdict), list_unchecked(verdict) & fault.breaks
    holds = fault.breaks <= found <= fault.breaks | fault.may_break
    expected, seen = f"loses {_words(fault.breaks)}", _words(found)
    if 0 < len(fault.may_break) < len(POINTS):
        expected += f" (and perhaps {_words(fault.may_break)})"
    if fault.zero_points:
        points = sum(each.points for each in verdict.criteria if each.id in fault.breaks)
        expected, seen = f"{expected}, 0 points", f"{seen}, {points:g} points"
        holds = holds and points == 0
    if fault.p99_ms is not None:
        (load,) = [each for each in verdict.criteria if each.id == "load"]
        p99 = load.measured.get("p99_ms", 0.0)
        expected, seen = f"{expected}, p99 ≥ {fault.p99_ms:g} ms", f"{seen}, p99 {p99:.0f} ms"
        holds = holds and p99 >= fault.p99_ms
    surplus = found - fault.breaks - fault.may_break
    if open_ and not surplus:
        return Row(fault.name, expected, f"{seen}; could not be checked: {_words(open_)}", None)
    return Row(fault.name, expected, seen + _reasons(verdict, surplus), holds)


def _reasons(verdict: Verdict, names: frozenset[CriterionId]) -> str:
    """Return the failed checks of criteria that should have passed."""
    checks = [
        check.id
        for each in verdict.criteria
        if each.id in names
        for check in each.checks
        if check.passed is False
    ]
    return f" ({', '.join(checks)})" if checks else ""


def _words(names: frozenset[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"


def _generator(_: Bench) -> Row:
    """Compare the load generator with `hey`, an independent tool."""
    expected = f"p99 within {MOST_DIFFERENCE:.0%} of hey's"
    if shutil.which("hey") is None:
        return Row("generator", expected, "hey is missing: apt-get install hey", None)
    done = subprocess.run(
        [sys.executable, *CROSS_CHECK], cwd=ROOT, capture_output=True, text=True, timeout=900
    )
    found = _P99.search(done.stdout)
    if found is None:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        return Row("generator", expected, f"no result: {' '.join(last)}", False)
    ours, theirs = float(found[1]), float(found[2])
    close = abs(ours / theirs - 1) <= MOST_DIFFERENCE
    return Row("generator", expected, f"{ours:g} ms, hey {theirs:g} ms", close)
