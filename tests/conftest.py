"""What the tests share: the default artifact, the photos, a service in its own process."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, sync_playwright

from service.artifact.sample_photos import SAMPLE_PHOTOS, SamplePhoto
from service.artifact.verify import Bundle, verify
from service.inference_service import create_app
from service.settings import DEFAULT_ARTIFACT, ROOT, Settings


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    """The default artifact, as `make test` builds it before the tests."""
    return verify(DEFAULT_ARTIFACT)


# Of the module, not of the session: while Playwright runs, an event loop does, and tests of
# asynchronous code need one of their own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real browser."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        yield started
        started.close()


@pytest.fixture
def bundle_copy(bundle: Bundle, tmp_path: Path) -> Path:
    """A copy of the default artifact, to be damaged."""
    return Path(shutil.copytree(bundle.path, tmp_path / "artifact"))


@pytest.fixture(scope="session", params=SAMPLE_PHOTOS, ids=lambda photo: photo.name)
def photo(request: pytest.FixtureRequest) -> SamplePhoto:
    """Each sample photo in turn."""
    found: SamplePhoto = request.param
    return found


@pytest.fixture(scope="session")
def client(bundle: Bundle) -> Iterator[TestClient]:
    """The application in this process, with the default artifact and fp32."""
    app = create_app(Settings(artifact=bundle.path, engine="onnx-fp32", device="cpu"))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@dataclass
class ServiceProcess:
    """A real `python -m service.inference_service`, and what it logs."""

    process: subprocess.Popen[str]
    log: Path

    @property
    def url(self) -> str:
        """Where it listens; waits until it says so."""
        return next(word for word in self.wait_for(" ready ").split() if "://" in word)

    def wait_for(self, words: str, seconds: float = 60) -> str:
        """The first log line with `words` in it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for line in self.log.read_text().splitlines():
                if words in line:
                    return line
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"{words!r} not in the log:\n{self.log.read_text()}")

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        """Signal it and wait; its exit status."""
        self.process.send_signal(how)
        return self.process.wait(timeout=60)


def start_process(
    log: Path,
    *arguments: str,
    environment: dict[str, str] | None = None,
    wrapper: Sequence[str] = (),
    files: Sequence[socket.socket] = (),
) -> ServiceProcess:
    """Start a service on a free port.

    Args:
        log: receives its output.
        arguments: its settings.
        environment: replaces this process's.
        wrapper: a command that runs the command after it.
        files: what it inherits.
    """
    command = [sys.executable, "-m", "service.inference_service", "--port", "0", *arguments]
    with log.open("w") as file:
        process = subprocess.Popen(
            [*wrapper, *command], stdout=file, stderr=file, text=True, cwd=ROOT, env=environment,
            pass_fds=[each.fileno() for each in files],
        )  # fmt: skip
    return ServiceProcess(process, log)


@pytest.fixture
def start_service(tmp_path: Path) -> Iterator[Callable[..., ServiceProcess]]:
    """Start services; whatever is still running at the end of the test is ended."""
    started: list[ServiceProcess] = []

    def start(*arguments: str, **options: Any) -> ServiceProcess:
        log = tmp_path / f"service-{len(started)}.log"
        started.append(start_process(log, *arguments, **options))
        return started[-1]

    yield start
    for service in started:
        service.process.kill()
        service.process.wait()


def refuse_start(*arguments: str, environment: dict[str, str] | None = None) -> str:
    """Start the service, which must refuse; returns its one line of reason."""
    command = [sys.executable, "-m", "service.inference_service", "--port", "0", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, timeout=60,
        env={**os.environ, **(environment or {})},
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if " INFO " not in line]
    assert len(lines) == 1
    return lines[0].removeprefix("error: ")


@contextmanager
def post_in_background(url: str, data: bytes) -> Iterator[list[httpx.Response]]:
    """Answers of requests that are sent one after another as long as the block runs."""
    import threading

    answers: list[httpx.Response] = []
    done = threading.Event()

    def post() -> None:
        while not done.is_set():
            answers.append(httpx.post(f"{url}/predict", content=data, timeout=30))

    thread = threading.Thread(target=post)
    thread.start()
    try:
        yield answers
    finally:
        done.set()
        thread.join()


def wait_until(true: Callable[[], bool], seconds: float = 20) -> None:
    """Ask again and again."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)
