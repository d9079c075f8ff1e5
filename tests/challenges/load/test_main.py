"""The load generator from the command line."""

import json
import subprocess
import sys

from service.settings import ROOT
from tests.challenges.load.scripted_server import at_once, server


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
