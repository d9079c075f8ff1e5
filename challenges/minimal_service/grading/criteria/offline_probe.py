"""Runs a service offline, sends it photos, and writes down its answers.

Arguments: PORT PHOTOS RESULT SECONDS [--hide FOLDER]… -- COMMAND…

In a network namespace (`offline.py`) it first brings up the loopback device, and in a mount
namespace it puts an empty folder over each one to hide. The result is JSON: {"ready": bool,
"answers": [body of each answer; "" without one], "hidden": bool}.
"""

import contextlib
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

from challenges.load.client import ask

SIOCSIFFLAGS, IFF_UP = 0x8914, 0x1


def main() -> None:
    """Start and ask the command; exit with its status if it ends by itself, else with 0."""
    own, command = sys.argv[1 : sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1 :]
    port, photos, result, seconds = int(own[0]), Path(own[1]), Path(own[2]), float(own[3])
    names = own[5::2]
    findings: dict[str, object] = {"ready": False, "answers": [], "hidden": _hide(names)}
    _bring_up_loopback()
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
        findings["answers"] = [_answer(port, photo) for photo in sorted(photos.iterdir())]
    result.write_text(json.dumps(findings), "utf-8")
    status = child.poll()
    child.kill()
    os._exit(0 if status is None else max(status, 1))


def _answer(port: int, photo: Path) -> str:
    with contextlib.suppress(OSError):
        reply = ask(port, "/predict", 30, photo.read_bytes())
        return reply.body.decode("utf-8", "replace") if reply.status == 200 else ""
    return ""


def _bring_up_loopback() -> None:
    """Make 127.0.0.1 reachable in a new namespace; elsewhere this is neither needed nor allowed."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def _hide(names: list[str]) -> bool:
    """Hide folders from this process and its children; return whether all are empty now."""
    if not names or sys.platform != "linux":
        return not names
    libc = ctypes.CDLL(None, use_errno=True)
    return all(
        libc.mount(b"none", os.fsencode(name), b"tmpfs", 0, None) == 0
        for name in names
        if Path(name).is_dir()
    )
