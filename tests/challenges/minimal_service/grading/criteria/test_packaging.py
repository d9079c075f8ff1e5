"""Criterion 8: hadolint judges the file, an engine runs the container, and nothing is left."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from challenges.minimal_service.grading.criteria import packaging
from challenges.minimal_service.grading.sandbox.container import Done, Engine
from challenges.minimal_service.grading.submission.submission import Submission
from challenges.minimal_service.grading.verdict import POINTS, CriterionResult
from learner.paths import ROOT
from tests.challenges.minimal_service.grading.submissions import (
    TOML,
    failed,
    grade_of,
    opened,
    write_fake,
)

GOOD = """\
FROM python:3.13-slim
WORKDIR /app
COPY requirements.txt ./
RUN pip install --no-cache-dir --requirement requirements.txt
COPY *.py ./
COPY artifact artifact
USER 1000
EXPOSE 8000
HEALTHCHECK CMD ["python", "healthy.py"]
CMD ["python", "server.py"]
"""
Judge = Callable[..., CriterionResult]


def open_with(folder: Path, artifact: str) -> Submission:
    toml = 'container = "Containerfile"' + TOML.replace('"artifact"', f'"{artifact}"')
    return opened(write_fake(folder / "mine", toml=toml), folder / "grade")


@pytest.fixture(scope="module")
def submission(tmp_path_factory: pytest.TempPathFactory) -> Submission:
    return open_with(tmp_path_factory.mktemp("inside"), "artifact")


@pytest.fixture
def judge(submission: Submission, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Judge:
    """Judge a container file; without an engine, unless a test puts one on the path."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(packaging.BASE_IMAGE, raising=False)

    def judged(text: str, of: Submission = submission, quick: bool = False) -> CriterionResult:
        assert of.container is not None
        of.container.write_text(text)
        before = sorted(of.folder.parent.iterdir())
        result = packaging.judge(grade_of(of, quick), of)
        assert sorted(of.folder.parent.iterdir()) == before
        return result

    return judged


class FakeEngine(Engine):
    """An engine whose container is a thread; `fault` names what is wrong with it."""

    def __init__(self) -> None:
        super().__init__("docker")
        self.fault, self.calls = "", list[str]()
        self.server = HTTPServer(("127.0.0.1", 0), type("Service", (Service,), {"engine": self}))

    def run(self, *arguments: str, seconds: float = 0, stderr: int = 0) -> Done:
        self.calls.append(" ".join(arguments))
        match arguments:
            case ["run", *_]:
                threading.Thread(target=self.server.serve_forever, args=[0.01]).start()
                return Done(125 if self.fault == "cannot run" else 0, "Error: no network")
            case ["port", *_]:
                return Done(0, f"8000/tcp -> 127.0.0.1:{self.server.server_port}")
        return Done(0, "error: weights.onnx is missing")

    def build(self, folder: Path, _container: Path, arguments: Any, _seconds: float) -> Done:
        (weights,) = folder.glob("art*/**/weights.bin")
        self.calls.append(f"build {dict(arguments)} {weights.relative_to(folder)}")
        reason = "Could not resolve host: x" if self.fault == "offline" else "ERROR: no such option"
        status = {"slow": None, "offline": 1, "bad step": 1}.get(self.fault, 0)
        return Done(status, f'{reason}\nError: building at STEP "RUN pip install": exit status 1\n')

    def image(self) -> dict[str, Any]:
        config: dict[str, Any] = {"User": "" if self.fault == "root" else "1000:1000"}
        config |= {"ExposedPorts": {} if self.fault == "no port" else {"8000/tcp": {}}}
        config |= {"Healthcheck": None if self.fault == "not watched" else {"Test": ["x"]}}
        return {"Size": 123_000_000, "Config": config}

    def state(self) -> dict[str, Any]:
        status = {"ends": 3, "deaf": 137, "bad end": 9}.get(self.fault, 0)
        return {"Running": False, "ExitCode": status}


class Service(BaseHTTPRequestHandler):
    """Takes every picture for espresso."""

    engine: FakeEngine

    def do_GET(self) -> None:
        self.send_response(503 if self.engine.fault == "ends" else 200)
        self.end_headers()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        label = "tripod" if self.engine.fault == "wrong answer" else "espresso"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"predictions": [{"label": label}]}).encode())


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    """Make a fake engine this machine's docker."""
    fake = FakeEngine()
    monkeypatch.setattr(packaging, "find_engine", lambda: (fake, ""))
    yield fake
    if any(call.startswith("run ") for call in fake.calls):
        fake.server.shutdown()
    fake.server.server_close()


def text_of(result: CriterionResult, kind: str) -> str:
    return next(check.text for check in result.checks if check.id == kind)


def test_without_an_engine_the_linter_judges(judge: Judge) -> None:
    result = judge(GOOD)
    assert (result.status, failed(result)) == ("passed", {})
    assert result.points == result.most == POINTS["packaging"]
    (last,) = (check for check in result.checks if check.passed is None)
    assert last.text == "The container was not built: Neither docker nor podman is installed."


@pytest.mark.parametrize(
    ("old", "new", "kind", "rule"),
    [
        ("python:3.13-slim", "python", "lint", "DL3006"),
        ("python:3.13-slim", "registry.example:5000/python:latest", "lint", "DL3007"),
        ("USER 1000", "USER root", "lint", "DL3002"),
        ('CMD ["python", "server.py"]', "CMD python server.py", "lint", "DL3025"),
        ("RUN pip", "# hadolint ignore=DL3004\nRUN sudo pip", "lint", "DL3004"),
        ("WORKDIR /app", "WORKDIR app\nFORM x", "lint", "DL1000"),
        ("--requirement requirements.txt", "torch", "pinned-packages", "DL3013"),
    ],
)
def test_an_error_of_the_file_is_named(
    judge: Judge, old: str, new: str, kind: str, rule: str
) -> None:
    assert old in GOOD
    result = judge(GOOD.replace(old, new))
    assert set(failed(result)) == {kind}
    assert rule in failed(result)[kind]
    assert (result.status, result.points < result.most) == ("failed", True)


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("# FROM and CMD stand in a comment only.\n", "FROM, CMD,"),
        (GOOD.replace('\nCMD ["python", "server.py"]', ""), "CMD,"),
    ],
)
def test_a_file_that_starts_nothing_fails(judge: Judge, text: str, missing: str) -> None:
    result = judge(text, quick=True)
    assert set(failed(result)) == {"instructions"}
    assert f"no instruction {missing}" in failed(result)["instructions"]


def test_a_heredoc_that_hadolint_cannot_read_is_no_fault(judge: Judge) -> None:
    result = judge(GOOD.replace("EXPOSE", "RUN <<END\necho x\nEND\nEXPOSE"))
    assert (failed(result), result.status) == ({}, "passed")
    assert "cannot read" in text_of(result, "lint")


def test_no_container_file_fails(submission: Submission) -> None:
    for path in (None, submission.folder / "nowhere"):
        result = packaging.judge(grade_of(submission), replace(submission, container=path))
        assert (set(failed(result)), result.points) == ({"container-file"}, 0)
        assert result.cause
        assert result.lesson
    assert submission.container is not None
    for content in (b"\xff\xfe\x00", b"#" * 200_000):
        submission.container.write_bytes(content)
        assert packaging.judge(grade_of(submission), submission).points == 0


def test_a_linter_that_is_missing_or_hangs_is_named(
    judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packaging, "LINT_SECONDS", 0.0)
    assert set(failed(judge(GOOD))) == {"lint"}
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    result = judge(GOOD)
    assert (failed(result), result.status) == ({}, "passed")
    assert "hadolint is not installed" in text_of(result, "lint")


def test_the_container_is_built_run_stopped_and_removed(judge: Judge, engine: FakeEngine) -> None:
    result = judge(GOOD)
    assert [check.text for check in result.checks if not check.passed] == []
    tried = [check.id for check in result.checks][-7:]
    assert tried == ["build", "user", "health-check", "port", "run", "photo", "drain"]
    assert result.measured["image_mb"] == 123
    assert [call.split()[0] for call in engine.calls[-3:]] == ["stop", "rm", "rmi"]


@pytest.mark.parametrize(
    ("fault", "kind", "passed", "words"),
    [
        ("offline", "build", None, "Could not resolve host"),
        ("slow", "build", None, "was not done after 180 s"),
        ("bad step", "build", False, "ERROR: no such option"),
        ("root", "user", False, "runs as root"),
        ("not watched", "health-check", False, "no HEALTHCHECK"),
        ("no port", "port", False, "it names 0"),
        ("cannot run", "run", None, "docker cannot run a container here: Error: no network"),
        ("ends", "run", False, "status 3 before it was ready: error: weights.onnx is missing"),
        ("wrong answer", "photo", False, "coffee for: tripod"),
        ("deaf", "drain", False, "still ran 40 s after SIGTERM"),
        ("bad end", "drain", False, "ended with status 9"),
    ],
)
def test_a_fault_of_the_container_is_named(
    judge: Judge, engine: FakeEngine, fault: str, kind: str, passed: bool | None, words: str
) -> None:
    engine.fault = fault
    result = judge(GOOD)
    first = next(check for check in result.checks if check.passed is not True)
    assert (first.id, first.passed) == (kind, passed), result.checks
    assert words in text_of(result, kind)
    assert result.status == ("failed" if passed is False else "passed")


def test_a_quick_grade_and_a_faulty_file_build_nothing(judge: Judge, engine: FakeEngine) -> None:
    assert "quick" in text_of(judge(GOOD, quick=True), "build")
    assert "faults of its file" in text_of(judge(GOOD.replace("1000", "root")), "build")
    assert engine.calls == []


def test_an_outside_artifact_goes_where_an_argument_says(
    judge: Judge, engine: FakeEngine, tmp_path: Path
) -> None:
    outside = open_with(tmp_path, str(tmp_path / "elsewhere"))
    assert not failed(
        judge(GOOD.replace("COPY artifact", "ARG ARTIFACT=x\nCOPY $ARTIFACT"), outside)
    )
    place = "artifacts/graded"
    assert f"build {{'ARTIFACT': '{place}'}} {place}/weights.bin" in engine.calls


def test_the_reference_passes(judge: Judge) -> None:
    text = (ROOT / "service" / "deploy" / "Containerfile").read_text()
    assert judge(text).points == POINTS["packaging"]
    assert set(failed(judge(text.replace("USER 10001:10001", "USER root")))) == {"lint"}
