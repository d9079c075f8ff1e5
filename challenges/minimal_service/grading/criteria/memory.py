"""Criterion 7: one copy of the weights in memory, whatever the number of processes."""

import contextlib
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from challenges.minimal_service.grading.context import Grade, Report
from challenges.minimal_service.grading.submission.running import RunningService
from challenges.minimal_service.grading.submission.submission import Submission
from challenges.minimal_service.grading.verdict import LESSONS, CriterionResult
from learner.language import _

SHARE = 1.3
"""Allowed memory for the weights, as a multiple of their files' size."""
WORK_MIB = 64.0
"""Allowed for images, activations and answers in flight, per process."""
GROWTH_SHARE, GROWTH_MIB = 0.05, 32.0
"""Allowed growth from the load's first third to its last."""
_EVERY_S = 3.0
_PACKAGE = re.compile(r"/(?:site|dist)-packages/([A-Za-z_]\w*?)(?:\.cpython[^/]*)?(?:\.libs)?/")
_OF_SERVERS = ("fastapi", "uvicorn")
"""Pure Python packages, which cannot be seen from outside."""
MIB = 2**20


def pss_mib(pids: Iterable[int]) -> float:
    """Return the proportional memory (PSS) of processes: what several map counts once.

    Raises:
        OSError: it is unknown here, or all of them are gone.
    """
    known = [mib for pid in pids if (mib := _rollup(pid, "Pss")) is not None]
    if not known:
        raise OSError("no process can be measured")
    return sum(known)


def _rollup(pid: int | str, *names: str) -> float | None:
    """Return the sum of some fields of /proc/PID/smaps_rollup (proc_pid_smaps(5)), MiB."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    fields = {line.split(":")[0]: line.split()[1] for line in lines[1:]}
    return sum(int(fields[name]) for name in names if name in fields) / 1024


def find_mapped_packages(pids: Iterable[int]) -> list[str]:
    """Return the Python packages with compiled parts that these processes have loaded."""
    packages: set[str] = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            packages |= set(_PACKAGE.findall(Path(f"/proc/{pid}/maps").read_text(errors="replace")))
    return sorted(packages)


@dataclass(slots=True)
class MemoryWatch:
    """Context manager that records the memory of a running service every few seconds."""

    service: RunningService
    every_s: float = _EVERY_S
    at_s: list[float] = field(default_factory=list)
    mib: list[float] = field(default_factory=list)
    processes: int = 0
    packages: list[str] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_raised: object) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join(10)

    def _watch(self) -> None:
        started = time.monotonic()
        while True:
            with contextlib.suppress(OSError):
                pids = self.service.pids()
                now = pss_mib(pids)
                self.at_s.append(round(time.monotonic() - started, 2))
                self.mib.append(round(now, 1))
                self.processes = max(self.processes, len(pids))
            if self._over.wait(self.every_s):
                break
        self.packages = find_mapped_packages(self.service.pids())


def measure_base_mib(
    python: Path, packages: Sequence[str], processes: int
) -> tuple[float, list[str]]:
    """Measure the memory of `processes` interpreters that only import `packages`.

    Returns:
        MiB: all of the first interpreter's memory, and the unshared part of each further one; and
        the packages that could be imported.
    """
    program = (
        "import importlib, sys\n"
        "done = []\n"
        "for name in sys.argv[1:]:\n"
        "    try:\n"
        "        importlib.import_module(name)\n"
        "        done.append(name)\n"
        "    except BaseException:\n"
        "        pass\n"
        "print(' '.join(done), flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [python, "-I", "-c", program, *packages],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            done = process.stdout.readline().split()
            whole = _rollup(process.pid, "Rss") or 0.0
            own = _rollup(process.pid, "Private_Clean", "Private_Dirty") or 0.0
        finally:
            process.kill()
    return whole + own * max(0, processes - 1), done


def judge(grade: Grade, submission: Submission, watch: MemoryWatch) -> CriterionResult:
    """Judge the memory that was recorded during the load."""
    report = Report("memory", lesson=LESSONS["memory"])
    grade.series = grade.series.model_copy(
        update={"memory_s": list(watch.at_s), "memory_mib": list(watch.mib)}
    )
    if not watch.mib:
        text = _("The memory of processes cannot be seen here: that needs Linux's /proc.")
        if sys.platform == "linux":
            text = _("The service's processes were gone before their memory could be measured.")
        report.check("one-copy", None, text)
        return report.result()
    packages = sorted({*watch.packages, *_OF_SERVERS})
    base, imported = measure_base_mib(submission.python, packages, watch.processes)
    weights = sum(path.stat().st_size for path in submission.weights) / MIB
    work = WORK_MIB * watch.processes
    most = SHARE * weights + base + work
    used = float(np.quantile(watch.mib, 0.9, method="lower"))
    text = _(
        "All {n} processes of the service took {used:.0f} MiB. At most {most:.0f} MiB: {share:g} × "
        "{weights:.0f} MiB of weights, {base:.0f} MiB for an interpreter with {packages}, "
        "{work:.0f} MiB to work with."
    )
    cause = _(
        "The weights lie in memory more than once: each process has a copy of its own, or the "
        "file's bytes, or weights in another form, are still held after the model was loaded from "
        "them."
    )
    values = {"n": watch.processes, "used": used, "most": most, "share": SHARE, "base": base}
    values |= {"weights": weights, "work": work}
    report.check("one-copy", used <= most, text, cause, packages=", ".join(imported), **values)
    third = max(1, len(watch.mib) // 3)
    first = float(np.median(watch.mib[third : 2 * third] if third > 1 else watch.mib[:1]))
    last = float(np.median(watch.mib[-third:]))
    grown = last - first
    allowed = GROWTH_MIB + GROWTH_SHARE * first
    text = _("During the load memory grew by {grown:.0f} MiB; at most {allowed:.0f} MiB.")
    cause = _("Each request leaves something in memory: a list, a cache or a log that grows.")
    shown = max(0.0, grown)
    report.check("no-growth", grown <= allowed, text, cause, grown=shown, allowed=allowed)
    report.measured |= {"memory_mib": used, "allowed_mib": most, "weights_mib": weights}
    return report.result()
