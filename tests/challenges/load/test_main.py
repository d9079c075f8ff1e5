"""The load generator from the command line."""

import json
import socket
import subprocess
import sys
import threading

from challenges.load.__main__ import GENERATOR_FAULT
from service.settings import ROOT
from tests.challenges.load.scripted_server import at_once, raw_server, server


def test_command_line() -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "challenges.load", *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)

    with server(at_once) as (port, received):
        done = run("--port", str(port), "--seconds", "0.5", "--json")
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert (found["requests"], found["statuses"]) == (25, {"200": 25})
        assert len(set(received)) == 25
    nobody = run("--port", str(port), "--seconds", "0.1")
    assert nobody.returncode == 1
    assert "none of 5 requests was answered" in nobody.stderr
    assert "Traceback" not in nobody.stderr
    wrong = run("--rate", "-1")
    assert wrong.returncode == 2
    assert "-1 is not between 0 and a million" in wrong.stderr


def test_own_lack_of_descriptors_has_its_own_exit_code() -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        threading.Event().wait(30)

    with raw_server(serve) as (port, _):
        load = [sys.executable, "-m", "challenges.load", "--port", str(port)]
        options = ["--rate", "100", "--seconds", "1", "--timeout", "3"]
        limit = ["bash", "-c", 'ulimit -n 40; exec "$@"', "-"]
        done = subprocess.run([*limit, *load, *options], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == GENERATOR_FAULT
    assert "not sent" in done.stdout
    assert "error: these figures are not the service's: the generator could not send" in done.stderr
    assert "Too many open files. Lower the rate, or raise ulimit -n" in done.stderr
