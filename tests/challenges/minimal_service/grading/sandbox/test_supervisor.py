"""What a command starts is found and ended, however the command or the grader ends."""

import subprocess
import sys
from pathlib import Path

import pytest

from challenges.minimal_service.grading.submission.running import (
    RunningService,
)
from challenges.minimal_service.grading.submission.submission import Submission
from tests.challenges.minimal_service.grading.submissions import Make, is_gone
from tests.conftest import wait_until

ESCAPED = """
import os, signal, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.pause()
    os._exit(0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs a subreaper")
def test_a_daemon_in_its_own_session_is_found_and_ended(make: Make) -> None:
    with RunningService(make(before=ESCAPED)) as service:
        service.wait_until_ready()
        wait_until(lambda: len(service.pids()) == 2)
        pids = service.pids()
        assert service.stop() == 0
        assert len(service.left_behind) == 1
        assert all(is_gone(pid) for pid in pids)


def test_a_grader_that_is_killed_leaves_no_service(right: Submission, tmp_path: Path) -> None:
    script = f"""
import signal, subprocess, sys
from pathlib import Path
from challenges.minimal_service.grading.sandbox.process import Contained
nest = "import subprocess, sys; print('up', flush=True); "
nest += "subprocess.run(['sleep', '600'], start_new_session=True)"
held = Contained([sys.executable, "-c", nest], {{}}, Path({str(tmp_path)!r}))
while len(held.pids()) < 2: pass
print(*held.pids(), held.group, flush=True)
signal.pause()
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        pids = [int(word) for word in owner.stdout.readline().split()]
        assert len(pids) == 3
        owner.kill()
        owner.wait()
        wait_until(lambda: all(is_gone(pid) for pid in pids))
