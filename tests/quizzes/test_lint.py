"""The author's check finds every planted problem, and no problem in the workshop's questions."""

import shutil
from pathlib import Path

import pytest

import quizzes.questions as questions
from quizzes import lint
from quizzes.questions import One, all_questions, models
from tests.quizzes.conftest import SAMPLES, edit_sample

FILES = sorted(questions.FOLDER.glob("*.toml"))


def test_the_workshops_questions_have_no_problem() -> None:
    assert list(lint.lint()) == []


@pytest.mark.parametrize(
    "name", [entry.question.id for entry in lint.experiments_of(all_questions().values()).values()]
)
def test_every_experiment_shows_its_answer_in_20_seconds(name: str) -> None:
    assert list(lint.run_experiment(all_questions()[name])) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('id = "brick"', 'id = "apple"', "two options have the same id"),
        ('text = "The brick"', 'text = "The cloud"', "two options have the same text"),
        ("correct = false", "correct = true", "a misconception is named where wrong"),
        ('misconception = "bricks-are-fruit"', "", "a misconception is named where wrong"),
        ("correct = true", "correct = 1", "should be a valid boolean"),
        ("answer = 20", 'answer = "20"', "should be a valid number"),
        ("answer = 20", "answer = nan", "should be a finite number"),
        ('lesson = "05_quiz"', "lesson = ", "Invalid"),
        ('kind = "order"', 'kind = "one"', "Field required"),
        ('id = "sample-several"', 'id = "sample-one"', "question sample-one is in sample.toml"),
        ('section = "title"', 'section = "nowhere"', "05_quiz has no section nowhere"),
        ('section = "title"', 'notebook = "07_x"\nsection = "a"', "there is no notebook 07_x"),
        ('"notebook_state"', '"no_such"', "there is no experiment no_such"),
        ('"notebook_state"', '"base"', "there is no experiment base"),
        ('id = "cloud"', 'id = "wrong-cloud"', "the id wrong-cloud may tell the answer"),
        (
            'text = "Which ones?"',
            'text = "Which then?"',
            "texts are not translated, first quiz/sample-",
        ),
        ("", "", "question sample-one: no lesson asks it"),
    ],
)
def test_a_planted_problem_is_found(
    old: str, new: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sample.toml").write_text(edit_sample(old, new))
    monkeypatch.setattr(questions, "FOLDER", tmp_path)
    monkeypatch.setattr(lint, "FOLDER", tmp_path)
    problems = list(lint.lint())
    assert [problem for problem in problems if expected in problem], problems


def test_an_id_in_two_files_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one.toml", "two.toml"):
        shutil.copy(SAMPLES / "sample.toml", tmp_path / name)
    monkeypatch.setattr(lint, "FOLDER", tmp_path)
    assert "two.toml: question sample-one is in one.toml, too" in list(lint.lint())


def test_a_stale_schema_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "PUBLISHED", tmp_path / "questions.schema.json")
    assert "questions.schema.json is not current: .venv/bin/python -m quizzes schema" in list(
        lint.lint()
    )


def test_right_options_in_one_place_are_found() -> None:
    question = all_questions(SAMPLES)["sample-one"].question
    assert isinstance(question, One)
    several = [question.model_copy(update={"id": f"sample-{number}"}) for number in range(9)]
    assert [p for p in lint.check_spread(several) if "number 1 in its file, 9 of 9 times" in p]
    assert [p for p in lint.check_spread(several) if "longest in 9 of 9" in p]
    assert not list(lint.check_spread(several[:3]))
