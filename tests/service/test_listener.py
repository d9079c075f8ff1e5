"""The socket that a service manager hands over, and what the manager is told."""

import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from service import listener
from service.errors import OperatorError
from service.listener import FIRST_HANDED_OVER, bind
from service.settings import Settings
from tests.conftest import ServiceProcess, start_process

Start = Callable[..., ServiceProcess]


def hand_over(listener: socket.socket) -> list[str]:
    """Return a command that starts the command after it as systemd does: with the socket as 3."""
    script = (
        "import os, sys\n"
        f"os.dup2({listener.fileno()}, {FIRST_HANDED_OVER})\n"
        "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))\n"
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    listener.set_inheritable(True)
    return ["bash", "-c", 'exec "$@"', "-", sys.executable, "-c", script]


def test_service_manager_is_told(start_service: Start, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")}
        service = start_service("--drain-seconds", "0", environment=environment)
        assert manager.recv(100) == b"READY=1"
        assert " ready " in service.log.read_text()
        service.process.send_signal(signal.SIGTERM)
        assert manager.recv(100) == b"STOPPING=1"
        assert service.process.wait(timeout=30) == 0


def test_a_socket_of_another_kind_is_refused(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as wrong:
        wrong.bind(str(tmp_path / "socket"))
        service = start_process(tmp_path / "log", wrapper=hand_over(wrong), files=[wrong])
        assert service.process.wait(timeout=60) == 1
    line = "the service manager handed over AF_UNIX: expected 1 TCP socket"
    assert line in service.log.read_text()


def test_only_the_process_that_is_meant_takes_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """Child processes inherit the variables, too."""
    monkeypatch.setenv("LISTEN_PID", str(os.getppid()))
    monkeypatch.setenv("LISTEN_FDS", "1")
    with bind(Settings(port=0)) as own:
        assert own.fileno() != FIRST_HANDED_OVER


@pytest.mark.parametrize(
    ("count", "front_ends", "words"),
    [
        ("2", 1, "handed over 2 sockets: expected 1 TCP socket. Give its socket unit one Listen"),
        ("1", 2, "--front-ends 2 binds sockets of its own, and the service manager handed one"),
    ],
)
def test_what_cannot_be_handed_over(
    monkeypatch: pytest.MonkeyPatch, count: str, front_ends: int, words: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as handed:
        monkeypatch.setattr(listener, "FIRST_HANDED_OVER", os.dup(handed.fileno()))
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", count)
    with pytest.raises(OperatorError, match=words):
        bind(Settings(front_ends=front_ends))
    assert "LISTEN_FDS" not in os.environ
