"""Programs and temporary folders: what is read of them, and that nothing outlives its owner."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from learner.errors import LearnerError
from learner.language import speaking
from learner.processes import MOST_LINES, Line, Program, TemporaryFolder, bypass_proxy
from service.settings import ROOT
from tests.conftest import wait_until

FOREVER = [sys.executable, "-c", "import signal; print('up'); signal.pause()"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); signal.pause()",
]
POLITE = [
    sys.executable,
    "-c",
    "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); print('up'); "
    "signal.pause()",
]
PARENT = [
    sys.executable,
    "-c",
    "import signal, subprocess; subprocess.Popen(['sleep', '600']); print('up'); signal.pause()",
]
OWNER = f"""
import signal
from learner.processes import Program, TemporaryFolder
program = Program({PARENT!r})
program.wait_for("up")
print(program.group, TemporaryFolder("workshop-test-").path, flush=True)
signal.pause()
"""


@pytest.fixture(autouse=True)
def _in_english() -> Iterator[None]:
    with speaking("en"):
        yield


def alive(group: int) -> list[int]:
    """The ids of a process group's processes that still run (a zombie does not)."""
    pids = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                pids.append(process.pid)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return pids


def test_lines_come_at_once_with_their_times() -> None:
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


def test_an_early_end_is_an_error_with_the_last_line() -> None:
    script = "import sys; print('first'); sys.exit('error: the disk is full')"
    with Program([sys.executable, "-c", script]) as program:
        with pytest.raises(LearnerError, match=r"ended before it was ready\..*the disk is full"):
            program.wait_for("ready")
        assert program.wait(30) == 1


def test_an_end_without_output_is_an_error_that_says_so() -> None:
    with (
        Program([sys.executable, "-c", ""]) as program,
        pytest.raises(LearnerError, match="The last it said: nothing"),
    ):
        program.wait_for("ready")


def test_a_timeout_is_an_error_with_the_last_line() -> None:
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
    script = f"for number in range({MOST_LINES + MOST_LINES // 2}): print(number)\nprint('ready')"
    with Program([sys.executable, "-c", script]) as program:
        assert program.wait_for("ready").text == "ready"
        assert len(program.lines) <= MOST_LINES


def test_asked_to_stop_a_program_ends_in_its_own_way() -> None:
    with Program(POLITE) as program:
        program.wait_for("up")
        assert program.wait(0.1) is None
        program.ask_to_stop()
        assert program.wait(30) == 7
        assert not program.running


def test_a_stop_right_after_the_start_is_not_lost() -> None:
    with Program(FOREVER) as program:
        program.ask_to_stop()
        assert program.wait(30) is not None
        wait_until(lambda: not alive(program.group))


def test_stop_kills_a_program_that_ignores_it() -> None:
    program = Program(STUBBORN)
    program.wait_for("up")
    assert program.stop(seconds=0.5) == -signal.SIGKILL
    wait_until(lambda: not alive(program.group))


def test_kill_ends_the_whole_group_and_may_be_repeated() -> None:
    program = Program(PARENT)
    program.wait_for("up")
    assert len(alive(program.group)) == 3  # guard, command, what the command started
    program.kill()
    program.kill()
    assert not program.running
    wait_until(lambda: not alive(program.group))


def test_nothing_outlives_an_owner_that_is_killed(tmp_path: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    try:
        assert owner.stdout is not None
        group, folder = owner.stdout.readline().split()
        assert len(alive(int(group))) == 3
        assert Path(folder).parent == tmp_path
    finally:
        owner.kill()
        owner.wait()
        owner.stdout.close()  # type: ignore[union-attr]
    wait_until(lambda: not alive(int(group)) and not Path(folder).exists())


def test_a_temporary_folder_is_removed_once_and_for_all() -> None:
    folder = TemporaryFolder("workshop-test-")
    (folder.path / "file").touch()
    for _again in range(2):
        folder.remove()
        assert not folder.path.exists()


def test_ten_starts_leave_nothing() -> None:
    groups = []
    files = psutil.Process().num_fds()
    for _number in range(10):
        with Program(FOREVER) as program:
            program.wait_for("up")
            groups.append(program.group)
    wait_until(lambda: not any(alive(group) for group in groups))
    assert psutil.Process().num_fds() <= files


def test_requests_to_this_machine_go_to_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "example.org,localhost")
    monkeypatch.setenv("NO_PROXY", "example.org,localhost")
    assert not urllib.request.proxy_bypass("127.0.0.1")
    bypass_proxy()
    bypass_proxy()
    assert os.environ["no_proxy"] == "example.org,localhost,127.0.0.1"
    assert urllib.request.proxy_bypass("127.0.0.1")
