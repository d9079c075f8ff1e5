"""What a serving process changes of its threads and its memory."""

import os
import subprocess
import sys
import threading

import pytest

from service.runner.tuning import let_others_go_first
from service.settings import ROOT


@pytest.mark.skipif(sys.platform != "linux", reason="priorities of single threads are Linux's")
def test_lowers_the_priority_of_its_own_thread_only() -> None:
    niceness = []

    def work() -> None:
        let_others_go_first()
        niceness.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    before = os.getpriority(os.PRIO_PROCESS, 0)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert niceness == [5]
    assert os.getpriority(os.PRIO_PROCESS, 0) == before


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is glibc's")
def test_freed_large_memory_goes_back_at_once() -> None:
    """Without it, glibc keeps pieces of up to 32 MB after the first was freed."""
    script = (
        "import re\n"
        "from pathlib import Path\n"
        "import numpy as np\n"
        "from service.runner.tuning import give_large_memory_back\n"
        "{call}\n"
        "for _ in range(3):\n"
        "    kept = [np.ones(20 * 2**20, np.uint8) for _ in range(12)]\n"
        "    small = [bytes(1000) for _ in range(1000)]; del kept\n"
        "print(re.search(r'VmRSS:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])"
    )
    resident = [
        int(subprocess.check_output([sys.executable, "-c", script.format(call=call)], cwd=ROOT))
        for call in ("give_large_memory_back()", "pass")
    ]
    assert resident[0] < 100_000
    assert resident[0] <= resident[1]
