"""Keeps all processes of one command together: `python supervisor.py REPORT FILE_BYTES COMMAND…`.

What the command starts stays below this process, whatever session or group it moves to: on Linux
an orphan goes to the nearest "subreaper" above it, and this process declares itself one. All of it
is ended when the command ends, or when standard input closes, which happens however the asking
program ends.

REPORT is a file descriptor for one line of JSON at the end: {"left": [...]} names what the command
left behind, {"error": "…"} says why it could not be started. FILE_BYTES is the largest size of a
file. Imports the standard library alone: it must start in a few milliseconds.
"""

import contextlib
import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time

PR_SET_CHILD_SUBREAPER = 36
GRACE_S = 1.0
"""Helpers that end within this time after the command do not count as left behind."""


def main() -> None:
    """Run the command; exit with its status, or 128 + n if signal n ended it."""
    report, most_bytes, *command = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]
    child: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def pass_on(number: int, _frame: object) -> None:
        if child is None:
            early.append(number)  # dying of it now would leave the command alone
        else:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pass_on)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    except OSError as error:
        _write(report, {"error": f"{error.filename}: {error.strerror}"})
        sys.exit(127)
    for missed in early:
        os.kill(child.pid, missed)
    threading.Thread(target=_end_with_the_asking_program, daemon=True).start()
    pid, status = os.wait()
    while pid != child.pid:  # an orphan's end
        pid, status = os.wait()
    left = _survivors()
    _kill_descendants()
    _write(report, {"left": left})
    code = os.waitstatus_to_exitcode(status)
    sys.exit(code if code >= 0 else 128 - code)


def _write(report: int, content: dict[str, object]) -> None:
    with contextlib.suppress(BrokenPipeError), os.fdopen(report, "w") as file:
        json.dump(content, file)


def _survivors() -> list[str]:
    """Return the command lines of processes that outlive the command by more than the grace."""
    deadline = time.monotonic() + GRACE_S
    while (left := _descendants()) and time.monotonic() < deadline:
        _reap()
        time.sleep(0.02)
    names = []
    for pid in left:
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: PTH123
            names.append(file.read(200).replace(b"\0", b" ").decode(errors="replace").strip())
    return [name for name in names if name][:20]  # a zombie has no command line


def _kill_descendants() -> None:
    deadline = time.monotonic() + 5
    while (left := _descendants()) and time.monotonic() < deadline:
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        _reap()
        time.sleep(0.005)


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _descendants() -> list[int]:
    """Return all processes below this one; none where there is no /proc."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc") if sys.platform == "linux" else ():  # noqa: PTH208
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat") as file:  # noqa: PTH123
                # The name, in brackets, may itself hold brackets and spaces.
                parent = int(file.read().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(name))
    below: list[int] = []
    new = children.get(os.getpid(), [])
    while new:
        below += new
        new = [child for pid in new for child in children.get(pid, [])]
    return below


def _end_with_the_asking_program() -> None:
    while os.read(0, 4096):
        pass
    _kill_descendants()
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
