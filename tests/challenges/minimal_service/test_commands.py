"""The learner's commands, as they are typed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from challenges.minimal_service import commands, progress
from challenges.minimal_service import planning_questions as plan
from challenges.minimal_service.grading.verdict import POINTS, Series, Verdict
from challenges.minimal_service.hints import STEPS, ladders, solutions
from challenges.tasks.catalogue import STUBS
from learner.errors import LearnerError
from learner.folder import folder, read_json
from learner.language import CHOICE, LANGUAGES, language, speaking
from tests.challenges.minimal_service.own_service import Run, change, grade
from tests.challenges.minimal_service.verdicts import criterion, verdict

pytestmark = pytest.mark.usefixtures("own")


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the research model would be made; it is there already, and empty."""
    import challenges.catalogue.model as catalogue

    path = tmp_path / "catalogue-model"
    path.mkdir()
    (path / catalogue.DIGESTS).touch()
    monkeypatch.setattr(catalogue, "CATALOGUE_MODEL", path)
    return path


def test_start_lays_the_tasks_out_and_names_what_comes_next(
    run: Run, own: Path, model: Path
) -> None:
    own.rename(own.with_name("elsewhere"))
    said = run("start")
    assert (own / "service.toml").is_file()
    assert not list(own.rglob("__pycache__"))
    assert (own / "server.py").read_bytes() == (STUBS / "server.py").read_bytes()
    assert said.index(" brief ") < said.index(" plan step-1 ") < said.index(" grade ")
    assert said.count(".venv/bin/python -m challenges") == 4
    assert str(model) in said


def test_start_leaves_work_as_it_is(run: Run, own: Path, model: Path) -> None:
    change(3)
    assert "is left as it is" in run("start")
    assert (own / "server.py").read_text() == "version = 3\n"


def test_start_leaves_an_earlier_service_alone_and_names_it(
    run: Run, own: Path, model: Path
) -> None:
    earlier = own.with_name("challenge")
    own.rename(earlier)
    assert f"Your service in {earlier} is left as it is" in run("start")
    assert not own.exists()
    own.mkdir()
    said = run("start")
    assert f"New in {own}" in said
    assert f"grade {earlier}" in said


def test_own_service_is_graded_and_recorded_without_a_path(
    run: Run, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from challenges.minimal_service.grading import grade as grading

    for name in ("weights.safetensors", "labels.txt"):
        (tmp_path / name).touch()
    graded = []

    def judge(path: str, *_: object, **__: object) -> Verdict:
        graded.append(Path(path))
        results = [criterion(name, "passed", measured={"p99_ms": 34.0}) for name in POINTS]
        return verdict(results, Series(), score=75.0)

    monkeypatch.setattr(grading, "grade", judge)
    plan.keep_prediction(28)
    assert run("grade", "--model", str(tmp_path)).endswith("28 ms; by this grade: 34 ms")
    earlier = own.with_name("challenge")
    earlier.mkdir()
    assert f"grade {earlier}" in run("grade", "--model", str(tmp_path))
    run("grade", str(earlier), "--model", str(tmp_path))
    assert "by this grade" not in run("grade", str(tmp_path), "--model", str(tmp_path))
    assert graded == [own, own, earlier, tmp_path]
    assert len(progress.load().attempts) == 3


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
    assert "passed, so there is nothing to hint at" in run("hint")
    assert progress.load().hints == {}


def test_a_load_that_was_not_judged_is_named_instead_of_a_hint(run: Run) -> None:
    results = [criterion(name, "not-checked" if name == "load" else "passed") for name in POINTS]
    progress.record(verdict(results, Series(), score=75.0).model_copy(update={"passed": False}))
    said = run("hint")
    assert "no pass yet" in said
    assert "hint load" in said


def test_the_solution_opens_after_three_honest_attempts(run: Run) -> None:
    for number in range(3):
        with pytest.raises(LearnerError, match=f"3 attempts that .*made {number}"):
            run("solution")
        change(number)
        grade("load")
    said = run("solution")
    for name in POINTS:
        assert solutions()[name].text in said
        assert f"({name})" in said
    only = run("solution", "memory")
    assert "service/engines/onnx_runtime.py:" in only
    assert solutions()["load"].text not in only


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
