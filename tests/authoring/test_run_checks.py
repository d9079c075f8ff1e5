"""`make check`: which files changed, which tests belong to them, and the deadline."""

import subprocess
import time
from pathlib import Path

import pytest

from authoring.run_checks import STAGES, DeadlineWatch, choose_tests, list_changes, run_stage


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small repository: modules, and the tests of some of them."""
    for name in (
        "service/gpu/staging.py",
        "tests/service/gpu/test_staging.py",
        "tests/service/gpu/test_engine.py",
        "tests/service/gpu/simulated_device.py",
        "tests/service/test_server.py",
        "tests/service/test_deploy.py",
        "tests/quizzes/test_main.py",
        "tests/quizzes/test_lint.py",
        "tests/notebooks/test_lessons.py",
        "tests/notebooks/test_nbval.py",
        "tests/performance/test_report.py",
        "tests/test_repository.py",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


@pytest.mark.parametrize(
    ("changed", "tests"),
    [
        ("service/gpu/staging.py", ["service/gpu/test_staging.py"]),
        ("service/gpu/removed.py", ["service/gpu/test_engine.py", "service/gpu/test_staging.py"]),
        ("service/web/health.py", ["service/test_deploy.py", "service/test_server.py"]),
        ("service/deploy/Containerfile", ["service/test_deploy.py"]),
        ("quizzes/__main__.py", ["quizzes/test_main.py"]),
        ("tests/service/gpu/test_engine.py", ["service/gpu/test_engine.py"]),
        ("tests/service/gpu/test_removed.py", []),
        (
            "tests/service/gpu/simulated_device.py",
            ["service/gpu/test_engine.py", "service/gpu/test_staging.py"],
        ),
        ("notebooks/ja/03_artifact.ipynb", ["notebooks/test_lessons.py"]),
        ("tests/performance/report.py", []),
        ("README.md", ["test_repository.py"]),
        (".github/workflows/ci.yml", ["test_repository.py"]),
    ],
)
def test_tests_of_a_changed_file(tree: Path, changed: str, tests: list[str]) -> None:
    assert choose_tests([changed], tree) == [f"tests/{test}" for test in tests]


def test_namesakes_run_before_the_tests_of_a_folder(tree: Path) -> None:
    changed = ["README.md", "service/gpu/removed.py", "service/gpu/staging.py"]
    assert choose_tests(changed, tree) == [
        "tests/service/gpu/test_staging.py",
        "tests/service/gpu/test_engine.py",
        "tests/test_repository.py",
    ]


def test_changes_are_those_since_the_main_branch(tmp_path: Path) -> None:
    def git(*command: str) -> None:
        names = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        subprocess.run(["git", *names, *command], cwd=tmp_path, check=True, capture_output=True)

    def commit(name: str) -> None:
        (tmp_path / name).write_text(name)
        git("add", name)
        git("commit", "--message", name)

    git("init", "--initial-branch", "main")
    commit("first.py")
    commit("second.py")
    assert list_changes(tmp_path) == ["second.py"]  # nothing changed: the last commit
    git("checkout", "-b", "work")
    commit("third.py")
    (tmp_path / "first.py").write_text("changed")
    (tmp_path / "untracked é.py").touch()
    assert list_changes(tmp_path) == ["first.py", "third.py", "untracked é.py"]


def test_no_test_starts_after_the_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """What was not run is named, and is not a failure."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("authoring.run_checks.ROOT", tmp_path)
    monkeypatch.setattr("os.environ", {})
    (tmp_path / "test_first.py").write_text("def test_a(): pass\ndef test_b(): assert False")
    (tmp_path / "test_second.py").write_text("def test_c(): pass")
    watch = DeadlineWatch(time.monotonic() - 1)
    assert watch.run_pytest(["test_first.py", "test_second.py"])
    assert watch.list_waiting() == ["test_first.py", "test_second.py"]
    assert "1 passed" in capfd.readouterr().out


def test_failure_before_the_deadline_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("authoring.run_checks.ROOT", tmp_path)
    monkeypatch.setattr("os.environ", {})
    (tmp_path / "test_it.py").write_text(
        "def test_a(): assert False\ndef test_in_a_browser(browser): pass"
    )
    watch = DeadlineWatch(time.monotonic() + 60)
    assert not watch.run_pytest(["test_it.py"])
    assert watch.list_waiting() == []


def test_stage_names_the_checks_that_failed(capfd: pytest.CaptureFixture[str]) -> None:
    """All checks of a stage run, and the output of each is shown."""
    stage = {"good": ["this"], "bad": ["antigravity_is_no_module"], "other": ["this"]}
    assert run_stage(stage) == ["bad"]
    shown = capfd.readouterr()
    assert shown.out.count("Beautiful is better than ugly.") == 2
    assert "antigravity_is_no_module" in shown.out


def test_make_test_runs_every_test_once() -> None:
    """The last check takes what no other check names."""
    commands = [command for stage in STAGES for command in stage.values()]
    named = [argument for command in commands for argument in command if argument[:6] == "tests/"]
    assert commands[-1] == ["pytest", *(f"--ignore={folder}" for folder in named)]
