"""Ends a command, or deletes a folder, when the parent process is gone.

    python parent_guard.py run COMMAND …
    python parent_guard.py delete FOLDER

The parent holds the other end of standard input, a pipe. However the parent ends (it exits, crashes
or is killed), the pipe closes; then `run` kills its whole process group, and `delete` deletes the
folder. (Linux has PR_SET_PDEATHSIG for this, but it follows the parent's thread, not its process.)

Imports the standard library only: it must start within a few milliseconds.
"""

import os
import signal
import subprocess
import sys
import threading


def main() -> None:
    """Do what the command line says."""
    match sys.argv[1:]:
        case ["run", *command]:
            sys.exit(run(command))
        case ["delete", folder]:
            delete(folder)


def run(command: list[str]) -> int:
    """Return the exit status of the command, or 128 + n if signal n ended it."""
    child: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def forward(number: int, _frame: object) -> None:
        if child is None:
            early.append(number)  # if the guard died of it now, the command would stay alone
        else:
            child.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, forward)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    for missed in early:
        child.send_signal(missed)
    threading.Thread(target=_kill_group_without_parent, daemon=True).start()
    status = child.wait()
    return status if status >= 0 else 128 - status


def delete(folder: str) -> None:
    """Delete a folder once the parent has closed the pipe."""
    import shutil  # not needed to run a command, which starts faster without it

    _wait_for_end_of_input()
    shutil.rmtree(folder, ignore_errors=True)


def _kill_group_without_parent() -> None:
    _wait_for_end_of_input()
    os.killpg(0, signal.SIGKILL)


def _wait_for_end_of_input() -> None:
    while os.read(0, 4096):
        pass


if __name__ == "__main__":
    main()
