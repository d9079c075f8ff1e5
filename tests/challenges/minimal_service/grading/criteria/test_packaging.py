"""Criterion 8: the reference's file passes, each fault is named, and nothing is left behind."""

import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from challenges.minimal_service.grading.container import run as container_run
from challenges.minimal_service.grading.container.context import matching, read_context
from challenges.minimal_service.grading.container.engine import Done, Engine
from challenges.minimal_service.grading.container.file import read_container_file
from challenges.minimal_service.grading.context import Grade
from challenges.minimal_service.grading.criteria import packaging
from challenges.minimal_service.grading.submission.submission import Submission, open_submission
from challenges.minimal_service.grading.verdict import POINTS, CriterionResult
from learner.paths import ROOT
from tests.challenges.minimal_service.grading.criteria import fake_engine

GOOD = f"""\
FROM {fake_engine.BASE_IMAGE}
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
SERVICE = """\
start = ["{python}", "server.py", "--port", "{port}", "--artifact", "{artifact}"]
artifact = "ARTIFACT"
weights = ["weights.onnx"]
container = "Containerfile"
[modules]
preprocessing = "preprocessing.py"
model_definition = "model_definition.py"
inference_runner = "inference_runner.py"
"""
Judge = Callable[..., CriterionResult]


def opened(folder: Path, artifact: str) -> Submission:
    source, graded = folder / "service", folder / "grade"
    for made in (source, graded, source / artifact):
        made.mkdir(parents=True, exist_ok=True)
    (source / "service.toml").write_text(SERVICE.replace("ARTIFACT", artifact))
    for name in ("preprocessing", "model_definition", "inference_runner", "server", "healthy"):
        (source / f"{name}.py").write_text("")
    (source / "requirements.txt").write_text("numpy==2.4.6 \\\n    --hash=sha256:0 # why\n")
    (source / artifact / "weights.onnx").write_text("weights")
    return open_submission(str(source), graded, folder, print)


@pytest.fixture(scope="module")
def submission(tmp_path_factory: pytest.TempPathFactory) -> Submission:
    return opened(tmp_path_factory.mktemp("inside"), "artifact")


@pytest.fixture
def judge(submission: Submission, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Judge:
    """Judge a container file; where no engine is, unless a test puts one on the path."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(packaging.BASE_IMAGE, raising=False)

    def judged(text: str, of: Submission = submission, quick: bool = False) -> CriterionResult:
        assert of.container is not None
        of.container.write_text(text)
        before = sorted(of.folder.parent.iterdir())
        grade = Grade(of.folder, of.folder, quick, lambda _line: None, 1)
        result = packaging.judge(grade, of)
        assert sorted(of.folder.parent.iterdir()) == before
        return result

    return judged


@pytest.fixture
def engine(judge: Judge, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The fake engine is this machine's docker. Returns its folder."""
    program = tmp_path / "docker"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -S {fake_engine.__file__} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("FAKE_ENGINE", str(tmp_path))
    monkeypatch.setattr(container_run, "POLL_SECONDS", 0.02)
    return tmp_path


@pytest.fixture
def quick_engine(engine: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same; only its build is a process of its own."""

    def ask(_engine: Engine, *arguments: str, seconds: float = 0) -> Done:
        return Done(*fake_engine.answer(list(arguments)))

    monkeypatch.setattr(Engine, "ask", ask)
    yield engine
    while fake_engine.started:
        process = fake_engine.started.pop()
        process.kill()
        process.wait()


def failed(result: CriterionResult) -> list[str]:
    return [check.id for check in result.checks if check.passed is False]


def text_of(result: CriterionResult, kind: str) -> str:
    return next(check.text for check in result.checks if check.id == kind)


def test_good_file_passes_and_no_engine_is_said(judge: Judge) -> None:
    result = judge(GOOD)
    assert (result.status, failed(result)) == ("passed", [])
    assert result.points == result.most == POINTS["packaging"]
    (last,) = (check for check in result.checks if check.passed is None)
    assert last.text == "The container was not built: Neither docker nor podman is installed."


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        (fake_engine.BASE_IMAGE, "python", "base-image"),
        (fake_engine.BASE_IMAGE, "registry.example:5000/python:latest", "base-image"),
        (f"FROM {fake_engine.BASE_IMAGE}", "ARG BASE=python\nFROM ${BASE}", "base-image"),
        ("USER 1000\n", "", "user"),
        ("USER 1000", "USER root", "user"),
        ("USER 1000", "ARG NAME=0\nUSER $NAME:1000", "user"),
        ("HEALTHCHECK CMD", "# CMD", "health-check"),
        ("HEALTHCHECK CMD", 'HEALTHCHECK NONE\nLABEL a="b" #', "health-check"),
        ('CMD ["python", "server.py"]', "CMD python server.py", "command"),
        ('CMD ["python", "server.py"]', 'CMD ["sh", "-c", "python server.py"]', "command"),
        ('\nCMD ["python", "server.py"]', "", "command"),
        ("EXPOSE 8000", "EXPOSE 8000 9000", "port"),
        ("EXPOSE 8000\n", "", "port"),
        ("--requirement requirements.txt", "torch", "pinned-packages"),
        ("RUN pip", "# hadolint ignore=DL3013\nRUN pip install torch && pip", "pinned-packages"),
        ("COPY artifact artifact", "COPY artefact artifact", "sources"),
        ("COPY *.py ./", "COPY server.py preprocessing.py inference_runner.py ./", "contents"),
        ("COPY artifact artifact\n", "", "contents"),
        ("COPY *.py", "ADD *.py", "lint"),
        ("WORKDIR /app", "WORKDIR app\nFORM x", "lint"),
        ("RUN pip", "RUN sudo pip", "lint"),
    ],
)  # fmt: skip
def test_fault_of_the_file_fails_its_check(judge: Judge, old: str, new: str, kind: str) -> None:
    assert old in GOOD
    result = judge(GOOD.replace(old, new))
    assert kind in failed(result), result.checks
    assert set(failed(result)) <= {kind, "contents"}  # what is not copied is lacking, too
    assert (result.status, result.points < result.most) == ("failed", True)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("EXPOSE", "RUN <<END\nUSER root\nCMD x\nEND\nEXPOSE"),
        ('["python", "server.py"]', '["sh", "-c", "exec python server.py"]'),
        ("FROM", "ARG V=3.13\nFROM python:${V}-slim AS base\nUSER 7\nFROM"),
        ("RUN pip install", "RUN apt-get update && apt-get install -y --no-install-recommends g++"
            " && pip install"),
        ("FROM python:3.13-slim", "FROM python@sha256:" + "0" * 64),
        ("COPY *.py ./", "COPY . ."),
        ("COPY *.py ./", 'COPY ["/server.py", "./*er.py", "[mp]*.py", "preprocessin?.py", "./"]'),
    ],
)  # fmt: skip
def test_other_good_files_pass(judge: Judge, old: str, new: str) -> None:
    result = judge(GOOD.replace(old, new, 1))
    assert failed(result) == [], result.checks


def test_requirements_need_exact_versions(
    judge: Judge, submission: Submission, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = submission.folder / "requirements.txt"
    right = path.read_text()
    path.write_text(right + "pillow>=12\nfastapi\nuvicorn==0.* # any\n--only-binary :all:\n")
    result = judge(GOOD)
    path.write_text(right)
    assert failed(result) == ["pinned-requirements"]
    assert "pillow>=12; fastapi; uvicorn==0.*" in text_of(result, "pinned-requirements")


def test_no_container_file_fails(judge: Judge, submission: Submission, tmp_path: Path) -> None:
    grade = Grade(tmp_path, tmp_path, False, print, 1)
    for path in (None, submission.folder / "nowhere"):
        result = packaging.judge(grade, replace(submission, container=path))
        assert (failed(result), result.points) == (["container-file"], 0)
        assert result.cause
        assert result.lesson
    assert submission.container is not None
    for content in (b"\xff\xfe\x00", b"#" * 200_000):
        submission.container.write_bytes(content)
        assert packaging.judge(grade, submission).points == 0


def test_what_is_ignored_is_not_there(judge: Judge, submission: Submission) -> None:
    ignore = submission.folder / ".dockerignore"
    ignore.write_text("*\n!*.py\n!artifact\n**/*.onnx\n!requirements.txt\n")
    result = judge(GOOD)
    ignore.unlink()
    assert failed(result) == ["sources", "contents"]
    assert "artifact/weights.onnx" in text_of(result, "contents")


def test_artifact_outside_the_folder_is_named_by_an_argument(judge: Judge, tmp_path: Path) -> None:
    outside = opened(tmp_path / "outside", str(tmp_path / "built"))
    text = GOOD.replace("COPY artifact", "ARG ARTIFACT=built\nCOPY ${ARTIFACT}")
    assert failed(judge(text, outside)) == []
    assert failed(judge(GOOD, outside)) == ["sources", "contents"]


def test_linter_that_is_missing_or_hangs_is_said(
    judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("challenges.minimal_service.grading.container.lint.LINT_SECONDS", 0.0)
    assert failed(judge(GOOD)) == ["lint"]
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    result = judge(GOOD)
    assert (failed(result), result.status) == ([], "passed")
    assert "hadolint is not installed" in text_of(result, "lint")


def test_container_is_built_run_drained_and_removed(judge: Judge, engine: Path) -> None:
    result = judge(GOOD)
    assert [check.text for check in result.checks if not check.passed] == []
    tried = [check.id for check in result.checks][-5:]
    assert tried == ["build", "run", "photo", "healthy", "drain"]
    assert result.measured["image_mb"] == 123
    nothing_is_left(engine)


def nothing_is_left(engine: Path) -> None:
    calls = (engine / "calls").read_text().splitlines()
    assert [call.partition(" ")[0] for call in calls[-3:]] == ["kill", "rm", "rmi"]
    assert not (engine / "image").exists()
    if (engine / "pid").exists():
        pid, end = int((engine / "pid").read_text()), time.monotonic() + 10
        while is_alive(pid) and not (engine / "exit").exists():  # a kill takes its time
            assert time.monotonic() < end, pid
            time.sleep(0.01)


def is_alive(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False


@pytest.mark.parametrize(
    ("fault", "kind", "passed", "words"),
    [
        (
            "no daemon",
            "build",
            None,
            "docker is installed, but cannot be used here: Cannot connect",
        ),
        ("no base", "build", None, f"docker pull {fake_engine.BASE_IMAGE}"),
        ("offline", "build", None, "Temporary failure in name resolution"),
        ("slow", "build", None, "was not done after 1 s"),
        ("bad step", "build", False, "ERROR: no such option: --frobnicate"),
        ("cannot run", "run", None, "docker cannot run a container here: Error: no network"),
        ("ends", "run", False, "status 3 before it was ready: error: weights.onnx is missing"),
        ("wrong answer", "photo", False, "coffee for: tripod"),
        ("unhealthy", "healthy", False, "fails with status 1"),
        ("no drain", "drain", False, "was not answered"),
        ("deaf", "drain", False, "still ran 1 s after SIGTERM"),
        ("bad end", "drain", False, "ended with status 9"),
    ],
)
def test_fault_of_the_container_is_named(
    judge: Judge, quick_engine: Path, monkeypatch: pytest.MonkeyPatch,
    fault: str, kind: str, passed: bool | None, words: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("FAKE_FAULT", fault)
    if fault == "deaf":
        monkeypatch.setattr(container_run, "END_SECONDS", 1.0)
    monkeypatch.setattr(packaging, "BUILD_SECONDS", 1.0 if fault == "slow" else 30.0)
    result = judge(GOOD)
    found = next(check for check in result.checks if check.passed is not True)
    assert (found.id, found.passed) == (kind, passed), result.checks
    assert words in text_of(result, kind)
    assert result.status == ("failed" if passed is False else "passed")
    if fault != "no daemon":
        nothing_is_left(quick_engine)


def test_quick_grade_and_faulty_file_build_nothing(judge: Judge, engine: Path) -> None:
    assert "quick" in text_of(judge(GOOD, quick=True), "build")
    assert "faults of its file" in text_of(judge(GOOD.replace("EXPOSE", "LABEL a=")), "build")
    assert not (engine / "calls").exists()


def test_reference_passes_and_its_mutants_do_not(
    judge: Judge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real file in the real folder, with a small bundle in the place of the artifact."""
    reference = ROOT / "challenges" / "minimal_service" / "reference" / "service.toml"
    source, grade = tmp_path / "source", tmp_path / "grade"
    bundle = tmp_path / "bundle"
    for folder in (source, grade, bundle):
        folder.mkdir()
    (bundle / "model.onnx").write_text("weights")
    toml = re.sub('artifact = "[^"]*"', f'artifact = "{bundle}"', reference.read_text())
    toml = re.sub("weights = .*", 'weights = ["*.onnx"]', toml)
    (source / "service.toml").write_text(re.sub("(?m)^build = .*\n", "", toml))
    submission = open_submission(str(source), grade, tmp_path, print)
    assert submission.container == submission.folder / "service" / "deploy" / "Containerfile"
    text = (ROOT / "service" / "deploy" / "Containerfile").read_text()
    assert failed(judge(text, submission)) == []
    (digest,) = re.findall(r"3\.11-slim-trixie@sha256:\w{64}", text)
    for old, new, kind in (
        ("USER 10001:10001", "USER 0:10001", "user"),
        ("HEALTHCHECK", "LABEL h=", "health-check"),
        ('CMD ["python", "-m", "service.inference_service"]', "CMD python -m service", "command"),
        (f":{digest}", "", "base-image"),
        ("COPY service service", "COPY services service", "sources"),
        ("COPY ${ARTIFACT} artifact", "", "contents"),
    ):
        assert text.count(old) == 1
        assert kind in failed(judge(text.replace(old, new), submission))


def test_patterns_mean_what_builders_mean(tmp_path: Path) -> None:
    names = {"a.py", "b/a.py", "b/c/a.py", "b/c/d.txt", ".x"}
    assert matching("*.py", names) == {"a.py"}
    assert matching("./b/", names) == {"b/a.py", "b/c/a.py", "b/c/d.txt"}
    assert matching("../b/c/[^d]*", names) == {"b/c/a.py"}
    assert matching("b/**/a.py", names) == {"b/a.py", "b/c/a.py"}
    assert matching(".", names) == names
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    container = tmp_path / "Containerfile"
    (tmp_path / ".dockerignore").write_text("# all\n**/*.py\n!b/c\nb/c/d.txt\n")
    assert read_context(tmp_path, container).files == {"b/c/a.py", ".x", ".dockerignore"}
    (tmp_path / "Containerfile.dockerignore").write_text("b\n")
    assert "b/c/a.py" in read_context(tmp_path, container).ignored


def test_values_reach_where_a_builder_fills_them_in() -> None:
    file = read_container_file(
        "# syntax=x\nARG A=1\nARG B\nFROM x:${A}${B:-2} AS one\nARG A\nENV C=$A D=\\$A\n"
        "COPY --from=y:${A} \\\n  # comment\n\n  $A ${C:+c}${N:+n} ${D} ./\n"
        "FROM one\nARG A=9\nUSER ${A}${C}\nCMD [\"$A\"]\n",
        {"B": "7"},
    )  # fmt: skip
    assert file.images() == ["x:17", "y:1"]
    (copy,) = file.all("COPY")
    assert copy.words == ["1", "c", "$A", "./"]
    user, command = file.last("USER"), file.last("CMD")
    assert user is not None
    assert command is not None
    assert (user.words, command.words, user.line) == (["91"], ["$A"], 13)
    assert file.arguments == {"A", "B"}


def test_what_a_killed_grader_left_is_removed(judge: Judge, quick_engine: Path) -> None:
    gone = f"workshop-grade-{2**22 + 1}-0badcafe"  # above the largest process id
    alive = f"workshop-grade-{os.getpid()}-0badcafe"
    (quick_engine / "left").write_text(f"{gone}\nother\nlocalhost/{alive}\n")
    judge(GOOD)
    calls = (quick_engine / "calls").read_text()
    assert f"rm --force --volumes {gone}\n" in calls
    assert alive not in calls
