"""The panel's back end with real services, without a browser: what it says, what it leaves."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from notebooks.panel.conductor import Conductor, EventLoop
from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.settings import DEFAULT_ARTIFACT, ROOT
from tests.conftest import wait_until


class Screen:
    """Stands in for a front end: keeps what it would show."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {"flow": {}}
        self.said: list[str] = []
        """The names of all sentences, in order."""

    def __call__(self, name: str, value: Any) -> None:
        self.values[name] = value
        if self.sentence and self.sentence not in self.said[-1:]:
            self.said.append(self.sentence)

    @property
    def sentence(self) -> str:
        said = self.values["flow"].get("sentence")
        return str(said["key"]) if said else ""

    @property
    def remarks(self) -> list[str | None]:
        return [line.get("key") for line in self.values["log"]]

    def wait_for(self, *sentences: str, seconds: float = 60) -> dict[str, Any]:
        """Wait for one of the sentences; return the flow."""
        wait_until(lambda: self.sentence in sentences, seconds)
        flow: dict[str, Any] = self.values["flow"]
        return flow


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of all temporary folders, to see what is left in it."""
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def screen() -> Screen:
    return Screen()


@pytest.fixture
def conductor(screen: Screen, temporary: Path) -> Iterator[Conductor]:
    conductor = Conductor(screen)
    yield conductor
    conductor.close()
    assert children() == []
    assert list(temporary.iterdir()) == []


def children() -> list[str]:
    """Command lines of the processes below this one."""
    processes = psutil.Process().children(recursive=True)
    return [" ".join(child.cmdline()) for child in processes if child.status() != "zombie"]


def test_whole_flow_then_a_kill_then_a_damaged_copy(conductor: Conductor, screen: Screen) -> None:
    conductor.simulate("start-up")
    flow = screen.wait_for("met", "missed", "missed_busy")
    assert {step["state"] for step in flow["steps"][:-1]} == {"done"}
    assert flow["first_s"] < 20
    assert len(screen.values["latencies"]["start-up"]) > 10
    assert any("ready" in line.get("text", "") for line in screen.values["log"])

    conductor.sample("coffee")
    wait_until(lambda: bool(screen.values.get("trial")))
    assert screen.values["trial"]["predictions"][0]["label"] == "espresso"
    assert screen.values["artifact"]["name"] == "efficientnet-lite0"
    assert all(file["verified"] for file in screen.values["artifact"]["files"])

    conductor.kill()
    screen.wait_for("back")
    conductor.tamper()
    flow = screen.wait_for("caught")
    wait_until(lambda: screen.remarks[-1] == "none_runs")
    assert "making_way" in screen.remarks  # it says that it stops the running service first
    assert flow["sentence"]["values"]["file"].startswith("model")
    assert [step["id"] for step in flow["steps"] if step["state"] == "failed"] == ["verify"]
    assert not flow["alive"]


def test_naive_service_misses_the_target(conductor: Conductor, screen: Screen) -> None:
    conductor.simulate("first-request")
    flow = screen.wait_for("missed_first")
    assert screen.values["latencies"]["first-request"][0] > 50
    assert [step["id"] for step in flow["steps"]] == ["start", "ready", "photos", "stop"]
    conductor.predict("notes.txt", b"hello")
    wait_until(lambda: screen.values.get("trial", {}).get("key") == "try_bad")
    conductor.stop()
    screen.wait_for("stopped")


def test_port_that_is_taken(screen: Screen, temporary: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        conductor = Conductor(screen, port=taken.getsockname()[1])
        conductor.simulate("start-up")
        flow = screen.wait_for("port_taken")
        assert not flow["busy"]
        assert flow["sentence"]["values"]["port"] == taken.getsockname()[1]
    conductor.simulate("start-up")  # the port is free now: the button works again
    screen.wait_for("photos")
    conductor.close()


def test_artifact_that_is_not_there_or_refused(screen: Screen, tmp_path: Path) -> None:
    conductor = Conductor(screen, artifact=tmp_path / "artifact")
    conductor.simulate("start-up")
    screen.wait_for("no_artifact")
    conductor.tamper()
    wait_until(lambda: "copying" in screen.said)
    screen.wait_for("no_artifact")
    shutil.copytree(DEFAULT_ARTIFACT, tmp_path / "artifact")
    (tmp_path / "artifact" / "stray.txt").write_text("x")
    conductor.simulate("start-up")
    flow = screen.wait_for("refused")
    assert "stray.txt" in flow["sentence"]["values"]["reason"]
    assert not flow["busy"]
    conductor.close()


def test_a_kill_from_outside_while_starting_is_named(conductor: Conductor, screen: Screen) -> None:
    conductor.simulate("start-up")
    screen.wait_for("starting")
    wait_until(lambda: bool(children()))
    os.kill(psutil.Process().children()[0].pid, signal.SIGKILL)
    flow = screen.wait_for("killed_starting")
    assert flow["sentence"]["values"]["status"] == 137
    assert not flow["busy"]


def test_a_press_while_a_step_is_under_way_changes_nothing(
    conductor: Conductor, screen: Screen
) -> None:
    for _press in range(20):
        conductor.simulate("start-up")
    screen.wait_for("photos")
    assert sum("service.inference_service" in line and "guard" in line for line in children()) == 1
    conductor.stop()
    screen.wait_for("stopped")
    assert children() == []


def test_stop_while_the_copy_is_made(conductor: Conductor, screen: Screen) -> None:
    conductor.tamper()
    conductor.stop()
    screen.wait_for("stopped")
    wait_until(lambda: children() == [])


def test_an_owner_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    """As when a kernel is restarted: while a service with a damaged copy starts."""
    script = (
        "import signal; from notebooks.panel.conductor import Conductor\n"
        "c = Conductor(lambda n, v: n == 'flow' and print((v['sentence'] or {}).get('key'),"
        " flush=True))\n"
        "c.tamper(); signal.pause()\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    owner = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
    )
    assert owner.stdout is not None
    for line in owner.stdout:
        if "tampered" in line:
            break
    below = psutil.Process(owner.pid).children(recursive=True)
    assert below
    owner.kill()
    owner.wait()
    owner.stdout.close()
    _gone, alive = psutil.wait_procs(below, timeout=10)
    assert alive == []
    assert list(tmp_path.iterdir()) == []


def test_photo_when_nothing_runs(conductor: Conductor, screen: Screen) -> None:
    conductor.predict("x.png", SAMPLE_PHOTOS[0].read())
    wait_until(lambda: bool(screen.values.get("trial")))
    assert screen.values["trial"]["key"] == "try_first"


def test_event_loop_runs_in_order_and_ends_last() -> None:
    calls: list[str] = []
    busy = [True, True]

    def tick() -> bool:
        calls.append("tick")
        return bool(busy) and busy.pop()

    loop = EventLoop(tick, lambda: calls.append("end"))
    loop.post(calls.append, "first")
    wait_until(lambda: calls == ["first", "tick", "tick", "tick"])
    loop.post(calls.append, "second")
    wait_until(lambda: calls[4:] == ["second", "tick"])
    loop.close()
    assert calls[-1] == "end"
    loop.post(calls.append, "third")
    assert calls[-1] == "end"
