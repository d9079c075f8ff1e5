"""The engine's commands are those of docker, and its answers are understood."""

import sys
from pathlib import Path

import pytest

from challenges.minimal_service.grading.sandbox.container import NAME, Done, Engine, find_engine

SCRIPT = """#!{python}
import json, sys, time
print(*sys.argv[1:], file=open({calls!r}, "a"))
match sys.argv[1:]:
    case ["info", *_]: sys.exit({info!r})
    case ["image", *_]: print(json.dumps([{{"Size": 5}}])), print("warning", file=sys.stderr)
    case ["port", *_]: print("8000/tcp -> 127.0.0.1:4711")
    case ["logs", *_]: print("last words\\n")
    case ["build", *_]: print("step 1", flush=True), time.sleep(60 if "slow" in sys.argv[-1] else 0)
"""


def install(folder: Path, info: int | str = 0) -> None:
    script = SCRIPT.format(python=sys.executable, calls=str(folder / "calls"), info=info)
    (folder / "docker").write_text(script)
    (folder / "docker").chmod(0o755)


def test_commands_and_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    found, _reason = find_engine()
    assert found is not None
    with found as engine:
        assert engine.build(tmp_path, tmp_path / "C", {"A": "1"}, 30).status == 0
        assert engine.image() == {"Size": 5}
        assert engine.state() == {}
        assert engine.published(8000) == 4711
        assert engine.last_words() == "last words"
        (tmp_path / "slow").mkdir()
        ended = engine.build(tmp_path / "slow", tmp_path / "C", {}, 1)
        assert (ended.status, ended.output) == (None, "step 1")
    calls = (tmp_path / "calls").read_text().splitlines()
    build = f"build --file {tmp_path}/C --tag {NAME} --build-arg A=1 {tmp_path}"
    removed = [f"rm --force --volumes {NAME}", f"rmi --force {NAME}"]
    assert calls[1:4] == [*removed, build]
    assert calls[-2:] == removed


def test_an_engine_that_cannot_be_used_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_engine() == (None, "Neither docker nor podman is installed.")
    install(tmp_path, "Cannot connect to the daemon")
    engine, reason = find_engine()
    assert engine is None
    assert reason == "docker is installed, but cannot be used here: Cannot connect to the daemon."
    assert Engine(str(tmp_path / "nothing")).run("info").status is None


def test_the_reason_is_the_line_that_says_why() -> None:
    said = 'step 1\nERROR: no such option\nError: building at STEP "RUN x": exit status 1\n'
    assert Done(1, said).reason == "ERROR: no such option"
    assert Done(1, "one\ntwo\n").reason == "two"
    assert Done(1, said).unreachable is None
    assert Done(1, "Could not resolve host: x\nbye").unreachable == "Could not resolve host: x"
