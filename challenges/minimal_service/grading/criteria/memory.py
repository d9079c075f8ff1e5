"""Criterion 7: one copy of the weights, whatever the number of processes."""

import contextlib
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from challenges.minimal_service.grading.context import Grade, Report
from challenges.minimal_service.grading.submission.running import RunningService
from challenges.minimal_service.grading.submission.submission import Submission
from challenges.minimal_service.grading.verdict import CriterionResult
from learner.language import _

LESSON = "03_artifact.ipynb#cell-id=explain-memory"
SHARE = 1.3
"""Of the weight files' bytes that the weights may take."""
WORK_MIB = 64.0
"""For images, activations and answers on their way, a process."""
GROWTH_SHARE, GROWTH_MIB = 0.05, 32.0
"""By how much memory may grow from the load's first third to its last."""
_EVERY_S = 3.0
_PACKAGE = re.compile(r"/(?:site|dist)-packages/([A-Za-z_]\w*?)(?:\.cpython[^/]*)?(?:\.libs)?/")
_OF_SERVERS = ("fastapi", "uvicorn")
"""Python packages without libraries of their own, which cannot be seen from outside."""
MIB = 2**20


def pss_mib(pids: Iterable[int]) -> float:
    """Proportional memory of processes: what several map counts once, shared among them.

    Raises:
        OSError: not known here, or all of them are gone.
    """
    found = [_rollup(pid, "Pss") for pid in pids]
    known = [one for one in found if one is not None]
    if not known:
        raise OSError("no process can be measured")
    return sum(known)


def _rollup(pid: int | str, *names: str) -> float | None:
    """Sum of the named fields of /proc/PID/smaps_rollup (proc_pid_smaps(5)), MiB."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    fields = {line.split(":")[0]: line.split()[1] for line in lines[1:]}
    return sum(int(fields[name]) for name in names if name in fields) / 1024


def mapped_packages(pids: Iterable[int]) -> list[str]:
    """Python packages with compiled parts that these processes have loaded, sorted."""
    found: set[str] = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            found |= set(_PACKAGE.findall(Path(f"/proc/{pid}/maps").read_text(errors="replace")))
    return sorted(found)


@dataclass(slots=True)
class MemoryWatch:
    """Notes the memory of a running service every few seconds. As a context manager."""

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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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
        self.packages = mapped_packages(self.service.pids())


def base_mib(python: Path, packages: Sequence[str], processes: int) -> tuple[float, list[str]]:
    """What `processes` interpreters take that import `packages` and do nothing, measured here.

    Returns:
        The first one's memory with all libraries, and of each further one what is its own, MiB;
        and the packages that could be imported.
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
    """Judge what was noted during the load."""
    report = Report("memory", lesson=LESSON)
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
    base, imported = base_mib(submission.python, packages, watch.processes)
    weights = sum(path.stat().st_size for path in submission.weights) / MIB
    work = WORK_MIB * watch.processes
    most = SHARE * weights + base + work
    used = float(np.quantile(watch.mib, 0.9, method="lower"))
    text = _(
        "All {n} processes of the service took {used:.0f} MiB. At most {most:.0f} MiB: {share:g} × "
        "{weights:.0f} MiB of weights, {base:.0f} MiB for an interpreter with {packages}, "
        "{work:.0f} MiB to work with."
    ).format(
        n=watch.processes,
        used=used,
        most=most,
        share=SHARE,
        weights=weights,
        base=base,
        packages=", ".join(imported),
        work=work,
    )
    cause = _(
        "The weights lie in memory more than once: each process has a copy of its own, or the "
        "file's bytes, or weights in another form, are still held after the model was loaded from "
        "them."
    )
    report.check("one-copy", used <= most, text, cause)
    third = max(1, len(watch.mib) // 3)
    first = float(np.median(watch.mib[third : 2 * third] if third > 1 else watch.mib[:1]))
    last = float(np.median(watch.mib[-third:]))
    grown = last - first
    allowed = GROWTH_MIB + GROWTH_SHARE * first
    text = _("During the load memory grew by {grown:.0f} MiB; at most {allowed:.0f} MiB.")
    text = text.format(grown=max(0.0, grown), allowed=allowed)
    cause = _("Each request leaves something in memory: a list, a cache or a log that grows.")
    report.check("no-growth", grown <= allowed, text, cause)
    report.measured |= {"memory_mib": used, "allowed_mib": most, "weights_mib": weights}
    return report.result()
