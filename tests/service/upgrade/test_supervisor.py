"""Upgrades, refusals and the way back under load: no request fails, and each says who answered."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2 as httpx
import pytest

from challenges.load.arrivals import due_times
from challenges.load.generator import Target, generate
from challenges.load.observations import Observations
from service.artifact.manifest import CODE_FOLDER, MANIFEST
from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.artifact.verify import Bundle
from service.settings import ROOT
from service.upgrade.__main__ import main
from service.upgrade.supervisor import CONTROL, STATE
from tests.conftest import wait_until
from tests.service.artifact.test_verify import rewrite_manifest

PHOTO = SAMPLE_PHOTOS[0].read()
PATIENT = {"X-Deadline-Ms": "60000"}
FORM = "onnx-int8"


@dataclass(frozen=True)
class Running:
    """A supervisor in its own process."""

    process: subprocess.Popen[str]
    folder: Path
    port: int
    log: Path

    def run(self, *command: str) -> int:
        return main([*command, "--folder", str(self.folder)])

    def served(self) -> str:
        answer = httpx.post(f"http://127.0.0.1:{self.port}/predict", content=PHOTO, headers=PATIENT)
        return str(answer.json()["model"]["version"])


@pytest.fixture
def make_bundle(bundle: Bundle, tmp_path: Path) -> Callable[..., Path]:
    """Make small bundles with versions of their own, which start quickly."""

    def make(version: str, **changes: object) -> Path:
        manifest = bundle.manifest.model_dump(mode="json")
        record = manifest["forms"][FORM]
        kept = {record["file"], *record["golden"]}
        files = {
            name: file
            for name, file in manifest["files"].items()
            if name in kept or name.startswith(CODE_FOLDER)
        }
        folder = tmp_path / f"bundle-{version}"
        for name in files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(bundle.path / name, folder / name)
        (folder / MANIFEST).write_text(json.dumps(manifest))
        forms = {"version": version, "forms": {FORM: record}, "default_form": FORM}
        rewrite_manifest(folder, **forms, files=files, **changes)
        return folder

    return make


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def start(*arguments: str) -> Running:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        log, folder = tmp_path / f"log-{len(started)}", tmp_path / "upgrade"
        command = [sys.executable, "-m", "service.upgrade", "serve", "--folder", str(folder)]
        options = ["--port", str(port), *arguments]
        with log.open("w") as file:
            process = subprocess.Popen(
                [*command, *options], stdout=file, stderr=file, text=True, cwd=ROOT
            )
        running = Running(process, folder, port, log)
        started.append(running)
        wait_until(lambda: (folder / STATE).exists() or process.poll() is not None, seconds=60)
        return running

    yield start
    for running in started:
        running.process.terminate()
        running.process.wait(timeout=60)


def read_pid(running: Running, capsys: pytest.CaptureFixture[str]) -> int:
    capsys.readouterr()
    assert running.run("status") == 0
    return int(json.loads(capsys.readouterr().out)["process"])


def test_upgrade_refusals_and_back_lose_no_request(
    start: Callable[..., Running],
    make_bundle: Callable[..., Path],
    bundle: Bundle,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """At 30/s, half on kept and half on fresh connections."""
    labels = [*bundle.manifest.labels[1:], bundle.manifest.labels[0]]
    damaged, wrong = make_bundle("damaged"), make_bundle("wrong", labels=labels)
    with (damaged / "model.int8.onnx").open("r+b") as file:
        file.write(b"\0\0")
    running = start("--artifact", str(make_bundle("1")), "--max-requests", "2000")
    done = threading.Event()
    with ThreadPoolExecutor() as pool, ending(done):
        loads = [
            pool.submit(send_until, done, running.port, {**PATIENT, **headers})
            for headers in ({}, {"Connection": "close"})
        ]
        wait_until(lambda: running.log.read_text().count("POST /predict") > 30)
        assert running.run("to", str(damaged)) == 1
        assert "model.int8.onnx was changed: expected the SHA-256" in capsys.readouterr().err
        assert running.run("to", str(wrong), "--min-agreement", "0.9") == 1
        assert "same first class on 0.00% of the photos: expected at least 90.00%. The old one" in (
            capsys.readouterr().err
        )
        assert running.served() == "1"
        assert running.run("to", str(make_bundle("2")), "--min-agreement", "1") == 0
        assert "same first class on 7 of 7 photos (100.00%)" in capsys.readouterr().out
        assert running.served() == "2"
        assert running.run("back") == 0
        assert running.served() == "1"
        done.set()
        seen = [part for load in loads for part in load.result()]
    for load in seen:
        assert [(s, b) for s, b in zip(load.status, load.bodies, strict=True) if s != 200] == []
    versions = [json.loads(body)["model"]["version"] for load in seen for body in load.bodies]
    assert set(versions) == {"1", "2"}
    print(f"{len(versions)} requests, {versions.count('2')} answered by version 2, 0 failed")
    assert running.log.read_text().count("not ready any more, stopping in 1 s") == 2
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(timeout=60) == 0
    assert not (running.folder / CONTROL).exists()


def send_until(done: threading.Event, port: int, headers: dict[str, str]) -> list[Observations]:
    """Send photos at 15/s, in parts of 5 s; each part keeps its connections."""
    parts = []
    while not done.is_set():
        due = due_times("constant", 15, 5)
        parts.append(generate(Target(port, headers=headers), due, [PHOTO], 90))
    return parts


@contextmanager
def ending(done: threading.Event) -> Iterator[None]:
    try:
        yield
    finally:
        done.set()


def test_service_that_dies_is_started_again(
    start: Callable[..., Running],
    make_bundle: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Connections wait meanwhile, and nothing is left when the supervisor is killed."""
    running = start("--artifact", str(make_bundle("1")))
    first = read_pid(running, capsys)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{first}").exists())
    assert running.served() == "1"
    second = read_pid(running, capsys)
    assert second != first
    running.process.kill()
    wait_until(lambda: not Path(f"/proc/{second}").exists(), seconds=60)


def test_next_start_serves_what_was_switched_to(
    start: Callable[..., Running],
    make_bundle: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    first, second = make_bundle("1"), make_bundle("2")
    running = start("--artifact", str(first))
    assert running.run("to", str(second), "--overlap-seconds", "0.2") == 0
    assert "both answer for 0.2 s" in capsys.readouterr().out
    running.process.terminate()
    assert running.process.wait(timeout=60) == 0
    state = json.loads((running.folder / STATE).read_text())
    running = start("--artifact", str(first))
    wait_until(lambda: " ready " in running.log.read_text(), seconds=60)
    assert running.served() == "2"
    assert running.run("status") == 0
    status = json.loads(capsys.readouterr().out)
    assert (status["serving"], status["previous"]) == (state["serving"], state["previous"])
    assert re.search(r" 1$", status["previous"]["model"])


def test_bundle_that_is_not_there_any_more(
    start: Callable[..., Running],
    make_bundle: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    running = start("--artifact", str(make_bundle("1")))
    assert running.run("back") == 1
    assert "there is nothing to go back to" in capsys.readouterr().err
    assert running.run("to", str(running.folder / "nowhere")) == 1
    assert "no artifact at" in capsys.readouterr().err
    assert running.run("to", str(make_bundle("2")), "--digest", "0" * 64) == 1
    assert "is another artifact than the one asked for" in capsys.readouterr().err
    assert running.served() == "1"


def test_first_process_that_cannot_start_ends_the_supervisor(
    start: Callable[..., Running], make_bundle: Callable[..., Path]
) -> None:
    running = start("--artifact", str(make_bundle("1")), "--engine", "onnx-fp32")
    assert running.process.wait(timeout=60) == 1
    lines = running.log.read_text().splitlines()
    assert "engine onnx-fp32: the artifact holds no such form" in lines[-2]
    assert lines[-1].startswith("error: efficientnet-lite0 1 from ")
    assert "Traceback" not in running.log.read_text()
