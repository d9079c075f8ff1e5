"""Install a peer in an environment of its own, start it, and end it with all its processes."""

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from pathlib import Path

import httpx2 as httpx
import psutil

from tests.performance.peers import HOME, ROOT, Peer

_REQUIREMENTS = Path(__file__).with_name("requirements")
_MARK = "BENCH_PEER"
"""Environment variable that a peer's processes inherit, those that left its group or lost their
parent too: only so can all be found."""
_INSTALL_SECONDS, _END_SECONDS = 900, 10


class PeerProcess(subprocess.Popen[bytes]):
    """A started peer: its first process."""

    mark: str

    def members(self) -> list[psutil.Process]:
        """All processes of the peer that run at the moment."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get(_MARK) == self.mark:
                    found.append(process)
        return found

    def memory_mib(self) -> tuple[float, float]:
        """PSS and USS of all processes: shared pages by their share, and not at all."""
        pss = uss = 0
        for process in self.members():
            with suppress(psutil.Error):
                memory = process.memory_full_info()
                pss, uss = pss + memory.pss, uss + memory.uss
        return pss / 2**20, uss / 2**20


def prepare(peer: Peer) -> Path | str:
    """Make the peer's environment; returns as `prepare_environment`."""
    return prepare_environment(peer.name, _REQUIREMENTS / peer.requirements)


def prepare_environment(name: str, requirements: Path, *options: str) -> Path | str:
    """Make an environment in .peers/, unless it is there and as its requirements say.

    Args:
        name: of its folder.
        requirements: what to install; files whose hashes are named are checked.
        options: more ones for `uv pip install`.

    Returns:
        Its Python; or, where it cannot be installed, the reason in a sentence.
    """
    folder = HOME / name
    python, stamp = folder / "bin" / "python", folder / "requirements.sha256"
    try:
        digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
        if python.exists() and stamp.exists() and stamp.read_text() == digest:
            return python
        uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}")
        if uv is None:
            return "uv is missing: make setup"
        print(f"installing {name} in .peers/{name} …", file=sys.stderr, flush=True)
        HOME.mkdir(exist_ok=True)
        (HOME / ".gitignore").write_text("*\n")
        venv = ["venv", "--quiet", "--clear", "--no-python-downloads", "--python", "3.11"]
        install = ["pip", "install", "--quiet", "--python", str(python), "-r", str(requirements)]
        for arguments in ([*venv, str(folder)], [*install, *options]):
            subprocess.run(
                [uv, *arguments], check=True, capture_output=True, timeout=_INSTALL_SECONDS
            )
        stamp.write_text(digest)
    except subprocess.CalledProcessError as error:
        return f"{name} cannot be installed: {_one_line(error.stderr)}"
    except subprocess.TimeoutExpired:
        return f"{name} was not installed within {_INSTALL_SECONDS} s"
    except OSError as error:
        return f"{name} cannot be installed: {error}"
    return python


def _one_line(output: bytes) -> str:
    return " ".join(output.decode(errors="replace").split())[:300]


def start(peer: Peer, python: Path, port: int) -> PeerProcess:
    """Start the peer on 127.0.0.1 in a process group of its own; its output is in its log.

    Raises:
        RuntimeError: something listens on the port already.
    """
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise RuntimeError(f"port {port} is in use")
    mark = uuid.uuid4().hex
    HOME.mkdir(exist_ok=True)
    with log_of(peer).open("wb") as log:
        process = PeerProcess(
            peer.command(python, port),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **peer.environment, _MARK: mark},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    process.mark = mark
    return process


def log_of(peer: Peer) -> Path:
    """Where the peer's output of its latest run is."""
    return HOME / f"{peer.name}.log"


def until_ready(
    peer: Peer, process: PeerProcess, port: int, photo: bytes, timeout: float = 120
) -> float | str:
    """Wait until the peer says it is ready and then classifies a photo.

    Returns:
        Seconds since the call; or, where it does not get ready, the reason in a sentence.
    """
    url, started = f"http://127.0.0.1:{port}", time.perf_counter()
    body, headers = peer.wrap(photo)
    headers = {**peer.headers, **headers}
    log = log_of(peer).relative_to(ROOT)
    with httpx.Client(timeout=10, trust_env=False) as client:
        while time.perf_counter() - started < timeout:
            if process.poll() is not None:
                return f"{peer.name} ended (status {process.returncode}): see {log}"
            with suppress(httpx.TransportError):
                if client.get(url + peer.ready_path).status_code == 200:
                    answer = client.post(url + peer.path, content=body, headers=headers)
                    if answer.status_code == 200:
                        return time.perf_counter() - started
            time.sleep(0.05)
    return f"{peer.name} was not ready within {timeout:g} s: see {log}"


def stop(process: PeerProcess) -> None:
    """End all processes of the peer: SIGTERM to its group, SIGKILL to what is left after 10 s."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + _END_SECONDS
    while _runs(process) and time.monotonic() < deadline:
        time.sleep(0.1)
    while _runs(process):
        for one in process.members():
            with suppress(psutil.Error):
                one.kill()
        time.sleep(0.1)


def _runs(process: PeerProcess) -> bool:
    """Whether any of its processes does; reaps the first."""
    return process.poll() is None or bool(process.members())
