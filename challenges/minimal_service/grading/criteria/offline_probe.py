"""Runs a service where the network and the way back are gone, asks it, writes down its answers.

python offline_probe.py PORT PHOTOS RESULT SECONDS [--hide FOLDER]… -- COMMAND…

In a network namespace of its own (`offline.py`) it first brings up the loopback device, and in a
mount namespace of its own puts an empty folder over each of those to hide. The result is JSON:
{"ready": bool, "answers": [...], "hidden": bool, "loopback": bool}.
"""

import ctypes
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

from challenges.minimal_service.grading.sandbox.client import ask, predictions_of

SIOCSIFFLAGS, IFF_UP = 0x8914, 0x1


def main() -> None:
    """Start the command, ask it, end with its status if it ends by itself, else with 0."""
    own, command = sys.argv[1 : sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1 :]
    port, photos, result, seconds = int(own[0]), Path(own[1]), Path(own[2]), float(own[3])
    names = own[5::2]
    findings: dict[str, object] = {"ready": False, "answers": [], "hidden": _hide(names)}
    findings["loopback"] = _bring_up_loopback()
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    deadline = time.monotonic() + seconds
    while child.poll() is None and time.monotonic() < deadline:
        try:
            findings["ready"] = ask(port).status == 200
        except OSError:
            findings["ready"] = False
        if findings["ready"]:
            break
        time.sleep(0.02)
    if findings["ready"]:
        answers: list[object] = []
        for photo in sorted(photos.iterdir()):
            try:
                answers.append(predictions_of(ask(port, "/predict", 30, photo.read_bytes())))
            except OSError:
                answers.append(None)
        findings["answers"] = answers
    result.write_text(json.dumps(findings), "utf-8")
    status = child.poll()
    child.kill()
    os._exit(0 if status is None else max(status, 1))


def _bring_up_loopback() -> bool:
    """Without it 127.0.0.1 cannot be reached in a new namespace. False: there is no need or way."""
    if sys.platform != "linux":
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        try:
            fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
        except OSError:
            return False
    return True


def _hide(names: list[str]) -> bool:
    """Whether all these folders are empty from now on, for this process and its children."""
    if not names or sys.platform != "linux":
        return not names
    libc = ctypes.CDLL(None, use_errno=True)
    return all(
        libc.mount(b"none", os.fsencode(name), b"tmpfs", 0, None) == 0
        for name in names
        if Path(name).is_dir()
    )


if __name__ == "__main__":
    main()
