"""The meter tells what other programs use from what belongs to the measurement."""

import subprocess
import sys
import time

from learner.cpu_meter import CpuMeter

BUSY = "import time\nend = time.monotonic() + 9\nwhile time.monotonic() < end: pass"


def test_own_processes_do_not_count_as_others() -> None:
    with subprocess.Popen([sys.executable, "-c", BUSY]) as other:
        try:
            seen, own, later = CpuMeter(), CpuMeter([other.pid]), CpuMeter()
            time.sleep(1)
            assert 0 <= own.others() < seen.others() <= 1
            assert later.others([other.pid]) < seen.others()
        finally:
            other.kill()


def test_a_process_that_is_gone_is_no_error() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    assert 0 <= CpuMeter([ended.pid]).others() <= 1
