"""A program that floods, fills the disk or does not end harms neither machine nor grade."""

import os
import sys
from pathlib import Path

import pytest

from challenges.minimal_service.grading.sandbox.process import (
    MOST_CHARACTERS,
    MOST_LINES,
)
from challenges.minimal_service.grading.submission.running import (
    RunningService,
    free_port,
)
from tests.challenges.minimal_service.grading.submissions import (
    Make,
    assert_gone,
    find_fault,
)
from tests.conftest import wait_until


@pytest.mark.parametrize("print_", ["os.write(1, bytes(range(256)) * 64)", "print('yes')"])
def test_endless_and_binary_output_is_bounded(make: Make, print_: str) -> None:
    flood = f"""
    def flood():
        while True:
            {print_}
    threading.Thread(target=flood, daemon=True).start()
    """
    with RunningService(make(before=flood)) as service:
        service.wait_until_ready()
        wait_until(lambda: service.said > 2 * MOST_LINES)
        lines = service.lines
    assert len(lines) <= MOST_LINES
    assert max(len(line.text) for line in lines) <= MOST_CHARACTERS
    assert all(line.text.isprintable() or "\t" in line.text for line in lines)


def test_a_line_without_end_is_bounded(make: Make) -> None:
    flood = "threading.Thread(target=lambda: [os.write(1, b'x' * 65536) for _ in range(800)])"
    with RunningService(make(before=flood + ".start()")) as service:
        service.wait_until_ready()
        wait_until(lambda: not service.running or service.said >= 0)
        service.kill()
    assert sum(len(line.text) for line in service.lines) < 10_000


def test_a_service_that_ignores_sigterm_is_killed(make: Make) -> None:
    with RunningService(make(ready="signal.signal(15, signal.SIG_IGN)")) as service:
        service.wait_until_ready()
        assert service.stop(0.5) is None
        assert_gone(service)


def test_a_full_disk_is_named(make: Make) -> None:
    fill = """
    def fill():
        for number in range(20):
            Path(os.environ["TMPDIR"], str(number)).write_bytes(bytes(1 << 20))
    fill()
    signal.pause()
    """
    fault = find_fault(make(before=fill), most_bytes=4 << 20)
    assert fault.kind == "disk"
    assert "disk was being filled" in str(fault)


def test_no_file_can_grow_without_bound(make: Make) -> None:
    submission = make(before="Path('big').write_bytes(bytes(5 << 20))")
    fault = find_fault(submission, most_bytes=4 << 20)
    assert "File too large" in str(fault)
    assert (submission.folder / "big").stat().st_size <= 4 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/shm")
def test_shared_memory_of_a_killed_service_is_taken_away(make: Make) -> None:
    name = f"test-{os.getpid()}-{free_port()}"
    code = "from multiprocessing.shared_memory import SharedMemory; "
    code += f"held = SharedMemory('{name}', create=True, size=4096)"
    with RunningService(make(before=code)) as service:
        service.wait_until_ready()
        assert Path("/dev/shm", name).exists()
        service.kill()
    assert not Path("/dev/shm", name).exists()
