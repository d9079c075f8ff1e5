"""Programs say what they did, and none outlives whoever started it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from learner.errors import LearnerError
from learner.language import speaking
from learner.processes import MOST_LINES, Line, Program
from service.settings import ROOT

FOREVER = [sys.executable, "-c", "import time; print('up'); time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); "
    "time.sleep(600)",
]
POLITE = [
    sys.executable,
    "-c",
    "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); print('up'); "
    "time.sleep(600)",
]
OWNER = """
import subprocess, sys, time
from learner.processes import Program
child = "import subprocess, sys, time; subprocess.Popen(['sleep', '600']); print('up'); "
program = Program([sys.executable, "-c", child + "time.sleep(600)"])
program.wait_for("up")
print(program.group, flush=True)
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def _in_english() -> Iterator[None]:
    with speaking("en"):
        yield


def alive(group: int) -> list[int]:
    """The ids of a process group's processes that still run (a zombie does not)."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


def gone_within(group: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while alive(group):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_lines_come_as_they_are_written_with_their_times() -> None:
    heard: list[Line] = []
    script = "import sys; print('one'); print('zwei ü', file=sys.stderr)"
    with Program([sys.executable, "-c", script], on_line=heard.append) as program:
        assert program.wait(30) == 0
        assert program.wait_for("zwei").text == "zwei ü"
    assert {line.text for line in program.lines} == {"one", "zwei ü"}
    assert heard == program.lines
    assert all(line.at > 0 for line in heard)


def test_the_command_gets_its_variables_and_runs_in_the_repository() -> None:
    script = "import os; print(os.environ['WORD'], os.getcwd())"
    with Program([sys.executable, "-c", script], {"WORD": "hello"}) as program:
        assert program.wait_for("hello").text == f"hello {ROOT}"


def test_who_ends_before_it_is_ready_has_its_last_line_in_the_error() -> None:
    script = "import sys; print('first'); sys.exit('error: the disk is full')"
    with Program([sys.executable, "-c", script]) as program:
        with pytest.raises(LearnerError, match=r"ended before it was ready\..*the disk is full"):
            program.wait_for("ready")
        assert program.wait(30) == 1


def test_who_says_nothing_is_said_to_have_said_nothing() -> None:
    with (
        Program([sys.executable, "-c", ""]) as program,
        pytest.raises(LearnerError, match="The last it said: nothing"),
    ):
        program.wait_for("ready")


def test_who_is_not_ready_in_time_has_its_last_line_in_the_error() -> None:
    with Program(FOREVER) as program:
        program.wait_for("up")
        with pytest.raises(LearnerError, match=r"not ready within 0\.2 s.*up"):
            program.wait_for("ready", seconds=0.2)
        assert program.running


def test_a_busy_port_reaches_the_learner_as_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = str(busy.getsockname()[1])
        command = [sys.executable, "-m", "service.inference_service", "--port", port]
        with Program(command) as program, pytest.raises(LearnerError) as caught:
            program.wait_for(" ready ")
    message = str(caught.value)
    assert f"cannot listen on 127.0.0.1 port {port}" in message
    assert "\n" not in message


def test_a_line_is_found_after_old_ones_were_dropped() -> None:
    script = (
        "import time\n"
        f"for number in range({MOST_LINES + MOST_LINES // 2}): print(number)\n"
        "time.sleep(0.5); print('ready')"
    )
    with Program([sys.executable, "-c", script]) as program:
        assert program.wait_for("ready").text == "ready"
        assert len(program.lines) <= MOST_LINES


def test_told_to_stop_it_ends_in_its_own_way() -> None:
    with Program(POLITE) as program:
        program.wait_for("up")
        assert program.wait(0.1) is None
        program.ask_to_stop()
        assert program.wait(30) == 7
        assert not program.running


def test_a_word_that_comes_early_is_not_lost() -> None:
    with Program(FOREVER) as program:
        program.ask_to_stop()
        assert program.wait(30) is not None
        assert gone_within(program.group, 10)


def test_stop_kills_who_does_not_listen() -> None:
    program = Program(STUBBORN)
    program.wait_for("up")
    assert program.stop(seconds=0.5) == -signal.SIGKILL
    assert gone_within(program.group, 10)


def test_kill_ends_the_whole_group_and_may_be_repeated() -> None:
    script = "import subprocess, time; subprocess.Popen(['sleep', '600']); print('up'); "
    program = Program([sys.executable, "-c", script + "time.sleep(600)"])
    program.wait_for("up")
    assert len(alive(program.group)) == 3  # guard, command, what the command started
    program.kill()
    program.kill()
    assert not program.running
    assert gone_within(program.group, 10)


def test_it_ends_with_its_owner_even_when_that_is_killed() -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert owner.stdout is not None
        group = int(owner.stdout.readline())
        assert len(alive(group)) == 3
    finally:
        owner.kill()
        owner.wait()
        owner.stdout.close()  # type: ignore[union-attr]
    assert gone_within(group, 10)


def test_ten_starts_leave_nothing() -> None:
    groups = []
    files = psutil.Process().num_fds()
    for _number in range(10):
        with Program(FOREVER) as program:
            program.wait_for("up")
            groups.append(program.group)
    assert all(gone_within(group, 10) for group in groups)
    assert psutil.Process().num_fds() <= files
