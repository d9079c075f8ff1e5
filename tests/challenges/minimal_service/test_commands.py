"""The learner's commands, as they are typed."""

import argparse
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from challenges.minimal_service import commands, progress, watch
from challenges.minimal_service import planning_questions as plan
from challenges.minimal_service.grading.verdict import POINTS
from challenges.minimal_service.hints import STEPS, ladders
from challenges.minimal_service.learner_service import code_digest, fingerprints
from challenges.minimal_service.solution import solutions
from learner.errors import LearnerError
from learner.folder import folder, read_json
from learner.language import CHOICE, LANGUAGES, language, speaking
from notebooks.workshop import plan as lesson_plan
from tests.challenges.minimal_service.grading.own_service import STARTER_MISSES, change, grade, own

__all__ = ["own"]
Run = Callable[..., str]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Type a command; what it prints, on one line."""

    def typed(*words: str, status: int = 0) -> str:
        parser = argparse.ArgumentParser()
        commands.add_commands(parser.add_subparsers(required=True))
        options = parser.parse_args(words)
        capsys.readouterr()
        assert options.do(options) == status
        return " ".join(capsys.readouterr().out.split())

    return typed


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the research model would be made; it is there already, and empty."""
    import challenges.catalogue.model as catalogue

    path = tmp_path / "catalogue-model"
    path.mkdir()
    (path / catalogue.DIGESTS).touch()
    monkeypatch.setattr(catalogue, "CATALOGUE_MODEL", path)
    return path


def test_start_copies_the_starter_and_names_the_next_commands(
    run: Run, own: Path, model: Path
) -> None:
    own.rename(own.with_name("elsewhere"))
    said = run("start")
    assert (own / "service.toml").is_file()
    assert not list(own.rglob("__pycache__"))
    assert said.index(" brief ") < said.index(" plan step-1 ") < said.index(" grade ")
    assert said.count("python -m challenges") == 3
    assert str(model) in said


def test_start_leaves_work_as_it_is(run: Run, own: Path, model: Path) -> None:
    change(3)
    assert "is left as it is" in run("start")
    assert (own / "server.py").read_text() == "version = 3\n"


def test_start_makes_the_model_and_tells_of_it(
    run: Run, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import challenges.catalogue.model as catalogue

    (model / catalogue.DIGESTS).unlink()

    def make(path: Path, say: Callable[[str], None]) -> catalogue.ModelFolder:
        say("[model] 0.51 GB of weights made")
        made = catalogue.ModelFolder(path)
        with made.weights.open("wb") as file:
            file.truncate(1_040_000_000)  # takes no room
        return made

    monkeypatch.setattr(catalogue, "make_model", make)
    said = run("start")
    assert "Nothing is downloaded" in said
    assert said.count("still at work") == 1
    assert f"{model}, 1.04 GB" in said


def test_start_says_in_a_sentence_that_the_disk_is_full(
    run: Run, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import challenges.catalogue.model as catalogue
    from service.errors import OperatorError

    def full(*_: object, **__: object) -> None:
        raise OperatorError("No space left on device")

    (model / catalogue.DIGESTS).unlink()
    monkeypatch.setattr(catalogue, "make_model", full)
    with pytest.raises(LearnerError, match="could not be made: No space left"):
        run("start")


def test_start_keeps_the_language(run: Run, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORKSHOP_LANGUAGE")
    run("start", "--lang", "ja")
    assert read_json(CHOICE) == {"language": "ja"}
    assert language() == "ja"
    with pytest.raises(LearnerError, match="「fr」"):
        run("start", "--lang", "fr")
    assert language() == "ja"


@pytest.mark.parametrize("code", LANGUAGES)
def test_the_brief_is_in_the_learners_language(run: Run, code: str) -> None:
    text = " ".join((commands.BRIEF / f"{code}.md").read_text(encoding="utf-8").split())
    with speaking(code):
        assert run("brief") == text
    assert run("brief", "--lang", code) == text


def test_the_plan_shows_no_solution_before_an_answer(run: Run) -> None:
    both = run("plan")
    assert "Step 1." in both
    assert "Step 2." in both
    assert "isolated modules" not in both
    assert "isolated modules" not in run("plan", "step-1")
    assert "isolated modules" in run("plan", "step-1", "I would split it.")
    later = run("plan")
    assert "I would split it." in later
    assert "isolated modules" in later
    assert "coupled with the weights" not in later
    with pytest.raises(LearnerError, match="step-3"):
        run("plan", "step-3")
    with pytest.raises(LearnerError, match="Write a sentence"):
        run("plan", "step-2", "ok")


def test_lesson_and_command_keep_the_same_answers(run: Run) -> None:
    lesson_plan.plan("step-2", answer="The preprocessing code.")
    assert "The preprocessing code." in run("plan", "step-2")
    assert plan.FILE == lesson_plan.FILE


def test_hints_begin_with_the_first_missed_criterion(run: Run) -> None:
    with pytest.raises(LearnerError, match=r"grade .*--quick"):
        run("hint")
    grade("load", "memory")
    steps = [ladders()["load"].step(number) for number in range(1, STEPS + 1)]
    for number, text in enumerate([*steps, steps[-1]], 1):
        said = run("hint")
        assert text in said
        assert f"hint {min(number, STEPS)} of {STEPS}" in said
        assert ("section that helps" in said) == (number >= STEPS)
    assert ladders()["memory"].question in run("hint", "memory")
    assert progress.load().hints == {"load": 3, "memory": 1}


def test_hints_ask_for_a_known_criterion(run: Run) -> None:
    with pytest.raises(LearnerError, match=r"'speed'.*structure, load-once"):
        run("hint", "speed")
    assert progress.load().hints == {}


def test_without_a_missed_criterion_there_is_no_hint(run: Run) -> None:
    grade()
    assert "missed no criterion" in run("hint")
    assert progress.load().hints == {}


def test_the_solution_opens_after_three_honest_attempts(run: Run) -> None:
    for number in range(3):
        with pytest.raises(LearnerError, match=f"3 attempts that .*made {number}"):
            run("solution")
        change(number)
        grade("load")
    said = run("solution")
    for criterion in POINTS:
        assert solutions()[criterion].text in said
        assert f"({criterion})" in said
    only = run("solution", "memory")
    assert "service/engines/sparse_onnx.py:" in only
    assert solutions()["load"].text not in only


def test_progress_says_what_is_met_and_what_is_open(run: Run) -> None:
    assert "Nothing was graded yet" in run("progress")
    change(1)
    grade(*STARTER_MISSES, score=61.5)
    run("plan", "step-1", "I would split it.")
    run("hint", "load")
    said = run("progress")
    assert "answered: 1 of 2" in said
    assert "61.5 points, 5 of 8 criteria" in said
    assert "✗ load Latency under load" in said
    assert "✓ answers" in said
    assert "hints seen: 1 of 3" in said
    assert "until the solution opens: 2" in said
    change(2)
    grade(score=101.0)
    assert "The solution is open" in run("progress")


def test_the_leaderboard_says_what_changed(run: Run, own: Path) -> None:
    assert "Nothing was graded yet" in run("leaderboard")
    grade("load", score=30.0)
    grade("load", score=35.0)
    change(1)
    (own / "model_definition.py").write_text("x = 1\n")
    (own / "notebook_code.py").unlink()
    grade("load", score=50.0)
    said = run("leaderboard")
    assert said.startswith("1. 50.0 points")
    first, second, third = said.split(" points, ")[1:]
    assert "before (+15.0 points): +model_definition.py, -notebook_code.py, server.py" in first
    assert "the same code as the attempt before (+5.0 points)" in second
    assert "the first attempt" in third


def test_the_leaderboard_of_many_is_short(run: Run) -> None:
    for number in range(13):
        grade("load", score=float(number))
    said = run("leaderboard")
    assert said.count(" points, ") == 10
    assert "The best 10 of 13" in said


def test_reset_keeps_everything(run: Run, own: Path, model: Path) -> None:
    change(5)
    grade("load")
    plan.plan("step-1", answer="I would split it.")
    said = run("reset")
    assert not own.exists()
    assert progress.load() == progress.Progress()
    kept = [path for path in folder().iterdir() if "before" in path.name]
    assert len(kept) == 2
    assert all(path.name in said for path in kept)
    assert [(path / "server.py").read_text() for path in kept if path.is_dir()] == ["version = 5\n"]
    assert plan.answers() == {"step-1": "I would split it."}
    run("start")
    run("reset")
    assert len([path for path in folder().iterdir() if path.is_dir()]) == 2
    assert "nothing of yours" in run("reset")


def test_watch_needs_a_service(run: Run, own: Path) -> None:
    own.rename(own.with_name("elsewhere"))
    with pytest.raises(LearnerError, match="Begin with: make challenge"):
        run("watch")


def test_watch_grades_each_change_of_code_once(own: Path) -> None:
    graded = []

    def changes() -> Iterator[None]:
        yield  # nothing changed
        change(1)
        yield
        yield
        (own / "notes.md").write_text("no code")
        yield
        change(2)
        change(3)
        yield

    def note() -> int:
        graded.append((own / "server.py").read_text())
        return 1

    watch.watch(own, note, changes(), graded=code_digest(fingerprints(own)))
    assert graded == ["version = 1\n", "version = 3\n"]


def test_watch_grades_what_was_saved_during_a_grade(own: Path) -> None:
    graded = []

    def note() -> int:
        graded.append((own / "server.py").read_text())
        if len(graded) < 3:
            change(len(graded))
        return 1

    watch.watch(own, note, iter([None]))
    assert len(graded) == 3
    assert graded[1:] == ["version = 1\n", "version = 2\n"]


@pytest.mark.parametrize("poll", [False, True])
def test_a_saved_file_is_noticed(own: Path, poll: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "POLL_S", 0.05)
    monkeypatch.setattr(watch, "CALM_MS", 50)
    changes = watch.changes_in(own, poll)
    done = threading.Event()

    def save() -> None:
        number = 0
        while not done.wait(0.1):
            number += 1
            change(number)

    saver = threading.Thread(target=save)
    saver.start()
    try:
        before = code_digest(fingerprints(own))
        assert any(code_digest(fingerprints(own)) != before for _change in changes)
    finally:
        done.set()
        saver.join()


def test_where_the_system_does_not_tell_the_folder_is_polled(
    own: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*_: object, **__: object) -> Iterator[None]:
        raise OSError(28, "No space left on device")  # inotify's limit of watches
        yield

    monkeypatch.setattr("watchfiles.watch", refused)
    monkeypatch.setattr(watch, "POLL_S", 0.01)
    changes = watch.changes_in(own)
    assert [next(changes) for _ in range(2)] == [None, None]
    assert "polled" in capsys.readouterr().out


def test_an_interrupted_grade_may_end_what_it_started(tmp_path: Path) -> None:
    """Ctrl+C reaches both processes; the grader takes its time, and is not killed."""
    grader = tmp_path / "challenges" / "__main__.py"
    grader.parent.mkdir()
    grader.write_text(
        "import signal, sys, time\n"
        "def end(*_):\n"
        "    time.sleep(0.6)\n"
        "    print('ended in order', flush=True)\n"
        "    sys.exit(130)\n"
        "signal.signal(signal.SIGINT, end)\n"
        "print('started', sys.argv[1:], flush=True)\n"
        "time.sleep(60)\n"
    )
    script = (
        "import pathlib, signal, sys\n"
        "from challenges.minimal_service import watch\n"
        # A shell's background jobs ignore Ctrl+C, and what they start does too.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "watch.ROOT = pathlib.Path(sys.argv[1])\n"
        "try:\n"
        "    watch.grade_quickly(pathlib.Path('folder'))\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    watcher = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert watcher.stdout is not None
    assert watcher.stdout.readline() == "started ['grade', 'folder', '--quick']\n"
    os.killpg(watcher.pid, signal.SIGINT)
    assert watcher.communicate(timeout=60)[0] == "ended in order\ninterrupted\n"
