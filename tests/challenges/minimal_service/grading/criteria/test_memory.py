"""Copies of the weights and growth are seen, whatever the number of processes."""

import subprocess
import sys
from pathlib import Path

import pytest

from challenges.load.client import ask
from challenges.minimal_service.grading.criteria import memory
from challenges.minimal_service.grading.criteria.memory import (
    MemoryWatch,
    find_mapped_packages,
    pss_mib,
)
from challenges.minimal_service.grading.submission.running import RunningService
from challenges.minimal_service.grading.verdict import CriterionResult
from tests.challenges.minimal_service.grading.submissions import (
    failed,
    grade_of,
    opened,
    write_fake,
)

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


@linux_only
def test_memory_that_two_share_is_counted_once(tmp_path: Path) -> None:
    """Both map a file of 64 MiB; one has 64 MiB of its own besides."""
    (tmp_path / "file").write_bytes(bytes(1) * (64 << 20))
    program = (
        "import mmap, sys\n"
        "file = open(sys.argv[1], 'rb')\n"
        "view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)\n"
        "total = sum(view[i] for i in range(0, len(view), 4096))\n"
        "own = bytearray(b'1') * (int(sys.argv[2]) << 20)\n"
        "print('ready', flush=True); sys.stdin.read()\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, tmp_path / "file", own],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for own in ("0", "64")
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        assert 128 < pss_mib(process.pid for process in processes) < 128 + 60
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    with pytest.raises(OSError, match="no process"):
        pss_mib(process.pid for process in processes)


@linux_only
def test_the_base_is_that_of_the_packages_that_are_mapped() -> None:
    program = "import numpy, PIL.Image, sys; print(1, flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        packages = find_mapped_packages([process.pid])
        process.kill()
    assert {"numpy", "PIL"} <= set(packages)
    assert "torch" not in packages
    bare, none = memory.measure_base_mib(Path(sys.executable), [], 1)
    one, imported = memory.measure_base_mib(Path(sys.executable), [*packages, "no_such_package"], 1)
    two, _imported = memory.measure_base_mib(Path(sys.executable), packages, 2)
    assert none == []
    assert {"numpy", "PIL"} <= set(imported)
    assert bare < one < two < 2 * one


@linux_only
def test_copies_and_growth_are_seen(tmp_path: Path) -> None:
    submission = opened(write_fake(tmp_path / "service"), tmp_path / "grade")
    grade = grade_of(submission)

    def judged(mib: list[float]) -> tuple[CriterionResult, set[str]]:
        with RunningService(submission) as service:
            watch = MemoryWatch(service)
        watch.at_s, watch.mib, watch.processes = [float(i) for i in range(len(mib))], mib, 1
        result = memory.judge(grade, submission, watch)
        return result, set(failed(result))

    right, nothing = judged([20.0] * 9)
    assert nothing == set()
    assert grade.series.memory_mib == [20.0] * 9
    allowed = right.measured["allowed_mib"]
    assert judged([allowed + 10] * 9)[1] == {"one-copy"}
    assert judged([10, 20, 30, 40, 40, 40, 80, 80, 80.0])[1] == {"no-growth"}
    assert judged([])[0].status == "not-checked"


@linux_only
def test_a_running_service_is_watched(tmp_path: Path) -> None:
    submission = opened(write_fake(tmp_path / "service"), tmp_path / "grade")
    with RunningService(submission) as service:
        service.wait_until_ready(30)
        with MemoryWatch(service, every_s=0.05) as watch:
            for _request in range(3):
                ask(service.port, "/predict", 10, b"photo")
    assert len(watch.mib) >= 1
    assert all(5 < one < 500 for one in watch.mib)
    assert watch.processes == 1
