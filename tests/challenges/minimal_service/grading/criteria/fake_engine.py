"""Stands in for docker, with a process as the container: `python fake_engine.py COMMAND …`.

FAKE_ENGINE names its folder: the calls are written there, the container's port and end; FAKE_FAULT
names one fault. So the grader is tested where no engine is, and with faults that no engine has.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

BASE_IMAGE = "python:3.13-slim"
OFFLINE = "Could not resolve host: registry.example: Temporary failure in name resolution"
SERVICE = Path(__file__).with_name("fake_container.py")
Answer = tuple[int, str, str]
"""Exit status, output, errors."""
started: list[subprocess.Popen[bytes]] = []
"""By this process, for it to clean up."""


def answer(arguments: list[str]) -> Answer:
    """Carry out one command."""
    state, fault = Path(os.environ["FAKE_ENGINE"]), os.environ.get("FAKE_FAULT", "")
    with (state / "calls").open("a") as calls:
        calls.write(" ".join(arguments) + "\n")
    port, ended = state / "port", state / "exit"
    match arguments:
        case ["info", *_] if fault == "no daemon":
            return 1, "", "Cannot connect to the daemon"
        case ["image", "inspect", name]:
            known = name.startswith("workshop-") or (name == BASE_IMAGE and fault != "no base")
            return 0 if known else 1, '[{"Size": 123000000}]', ""
        case ["build", *_]:
            return build(arguments, state, fault)
        case ["run", *_] if fault == "cannot run":
            return 125, "", "Error: no network"
        case ["run", *_]:
            start(state)
        case ["port", *_]:
            found = port.read_text() if port.exists() else "1"
            return 0, f"8000/tcp -> 127.0.0.1:{found}", ""
        case ["container", "inspect", *_]:
            status = int(ended.read_text() or 0) if ended.exists() else 0
            running = {"Running": not ended.exists(), "ExitCode": status}
            return 0, json.dumps([{"State": running}]), ""
        case ["exec", *_]:
            return int(fault == "unhealthy"), "", ""
        case ["kill", "--signal", name, *_]:
            if (state / "pid").exists() and not ended.exists():
                os.kill(int((state / "pid").read_text()), signal.Signals[f"SIG{name}"])
        case ["logs", *_]:
            return 0, (state / "log").read_text(), ""
        case ["ps", *_] if (state / "left").exists():
            return 0, (state / "left").read_text(), ""
        case ["rmi", *_]:
            (state / "image").unlink(missing_ok=True)
    return 0, "", ""


def build(arguments: list[str], state: Path, fault: str) -> Answer:
    """Say what builders say, and check that the context holds what the file names."""
    if fault == "slow":
        time.sleep(60)
    if fault in ("offline", "bad step"):
        reason = OFFLINE if fault == "offline" else "ERROR: no such option: --frobnicate"
        return 1, f'{reason}\nError: building at STEP "RUN pip install": exit status 1\n', ""
    assert Path(arguments[arguments.index("--file") + 1]).is_file()
    assert Path(arguments[-1], "artifact", "weights.onnx").is_file()
    (state / "image").touch()
    return 0, "", ""


def start(state: Path) -> None:
    """Start the container; returns when it listens or has ended."""
    with (state / "log").open("w") as log:
        started.append(subprocess.Popen([sys.executable, "-S", SERVICE], stdout=log, stderr=log))
    (state / "pid").write_text(str(started[-1].pid))
    while not any((state / name).exists() for name in ("port", "exit")):
        time.sleep(0.01)


if __name__ == "__main__":
    result, output, errors = answer(sys.argv[1:])
    sys.stdout.write(output)
    sys.stderr.write(errors)
    sys.exit(result)
