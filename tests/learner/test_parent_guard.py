"""The guard passes on signals and statuses, and acts when the pipe to its parent closes."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from learner.processes import GUARD
from tests.conftest import wait_until


@contextmanager
def guard(*command: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*GUARD, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        with process:
            yield process
    finally:
        process.kill()


@pytest.mark.parametrize(
    ("script", "status"),
    [("", 0), ("import sys; sys.exit(3)", 3), ("import os; os.kill(os.getpid(), 9)", 137)],
)
def test_the_status_is_that_of_the_command(script: str, status: int) -> None:
    with guard("run", sys.executable, "-c", script) as process:
        assert process.wait(30) == status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_reach_the_command(number: signal.Signals) -> None:
    script = f"import signal, sys; signal.signal({number}, lambda *_: sys.exit(7)); print('up'); "
    with guard("run", sys.executable, "-u", "-c", script + "signal.pause()") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(number)
        assert process.wait(30) == 7


def test_the_command_is_killed_when_the_pipe_closes() -> None:
    script = "import signal; print('up'); signal.pause()"
    with guard("run", sys.executable, "-u", "-c", script) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "up\n"
        process.stdin.close()
        assert process.wait(30) == -signal.SIGKILL
        assert process.stdout.read() == ""  # the command held the other end


def test_the_folder_is_deleted_when_the_pipe_closes(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "file").touch()
    with guard("delete", str(folder)) as process:
        assert process.stdin is not None
        assert folder.exists()
        process.stdin.close()
        wait_until(lambda: not folder.exists())
        assert process.wait(30) == 0
