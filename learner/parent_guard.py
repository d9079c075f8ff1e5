"""Runs a command and ends it when its parent is gone: `python parent_guard.py COMMAND …`.

Standard input is a pipe that the asking program holds open. However that program ends, killed or
crashed or restarted, the pipe closes, and with it ends the whole process group. (Linux could do it
with PR_SET_PDEATHSIG, but that follows the asking thread, not its process, and is Linux only.)

Imports the standard library alone: it must start in a few milliseconds.
"""

import os
import signal
import subprocess
import sys
import threading


def main() -> None:
    """Run the command; exit with its status, 128 + the signal if it died of one."""
    child: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def pass_on(number: int, _frame: object) -> None:
        if child is None:
            early.append(number)  # a guard that died of it now would leave the command alone
        else:
            child.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pass_on)
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    for missed in early:
        child.send_signal(missed)
    threading.Thread(target=_end_with_the_asking_program, daemon=True).start()
    status = child.wait()
    sys.exit(status if status >= 0 else 128 - status)


def _end_with_the_asking_program() -> None:
    while os.read(0, 4096):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
