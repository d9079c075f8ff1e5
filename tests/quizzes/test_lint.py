"""The author's check: nothing to find here, everything to find where something is planted."""

import json
import shutil
import tomllib
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import pytest

import quizzes.questions as questions
from quizzes import lint
from quizzes.questions import One, all_questions, messages, models, read_file
from quizzes.questions.models import QuestionFile
from tests.quizzes.conftest import SAMPLES

FILES = sorted(questions.FOLDER.glob("*.toml"))


def test_the_workshops_questions_have_no_problem() -> None:
    assert list(lint.lint()) == []


@pytest.mark.parametrize(
    "name", [entry.question.id for entry in lint.experiments_of(all_questions().values()).values()]
)
def test_every_experiment_shows_its_answer_in_20_seconds(name: str) -> None:
    assert list(lint.run_experiment(all_questions()[name])) == []


@pytest.mark.parametrize("path", [*FILES, SAMPLES / "sample.toml"], ids=lambda path: path.stem)
def test_the_published_schema_accepts_every_file(path: Path) -> None:
    published = json.loads(models.PUBLISHED.read_text())
    jsonschema.Draft202012Validator.check_schema(published)
    jsonschema.validate(tomllib.loads(path.read_text()), published)


def test_the_published_schema_refuses_what_the_models_refuse() -> None:
    published = json.loads(models.PUBLISHED.read_text())
    validator = jsonschema.Draft202012Validator(published)
    for old, new in (
        ('kind = "one"', 'kind = "some"'),
        ('id = "apple"', 'id = "An Apple"'),
        ('feedback = "Yes, apple <i>feedback</i>."', ""),
        ('text = "How long?"', 'text = ""'),
        ("tolerance = 0.5", "tolerance = -1"),
        ('evidence = "notebook_state"', 'evidence = "notebook_state"\nhint = "x"'),
    ):
        content = tomllib.loads(changed(old, new))
        assert list(validator.iter_errors(content)), new
        with pytest.raises(ValueError, match="validation error"):
            QuestionFile.model_validate(content)


def changed(old: str, new: str) -> str:
    text = (SAMPLES / "sample.toml").read_text()
    assert old in text
    return text.replace(old, new, 1)


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
        ('"notebook_state"', '"tampering"', "there is no experiment tampering"),
        ('id = "cloud"', 'id = "wrong-cloud"', "the id wrong-cloud may tell the answer"),
        (
            'text = "Which ones?"',
            'text = "Which then?"',
            "texts are not translated, first quiz/sample-",
        ),
        ("", "", "question sample-one: no lesson asks it"),
    ],
)
def test_what_is_planted_is_found(
    old: str, new: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sample.toml").write_text(changed(old, new))
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
    assert "questions.schema.json is not current: python -m quizzes schema" in list(lint.lint())


def test_an_experiment_that_shows_something_else_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise AssertionError("it was the other way round")

    monkeypatch.setattr("quizzes.evidence.notebook_state.run", fails)
    (problem,) = lint.run_experiment(all_questions()["notebook-in-production"])
    assert "did not show it this time: it was the other way round" in problem


def test_right_options_in_one_place_are_found() -> None:
    question = all_questions(SAMPLES)["sample-one"].question
    assert isinstance(question, One)
    several = [question.model_copy(update={"id": f"sample-{number}"}) for number in range(9)]
    assert [p for p in lint.check_spread(several) if "number 1 in its file, 9 of 9 times" in p]
    assert [p for p in lint.check_spread(several) if "longest in 9 of 9" in p]
    assert not list(lint.check_spread(several[:3]))


def test_messages_have_contexts_of_their_own() -> None:
    found = list(messages())
    assert len({context for context, _text in found}) == len(found)
    for context, text in found:
        assert context.startswith("quiz/")
        assert text
    assert (
        "quiz/why-convert/option/prevents-theft",
        "To prevent model theft or reverse engineering",
    ) in found


def test_a_file_that_is_no_toml_names_itself(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(b"\xff")
    with pytest.raises(ValueError, match=r"^bad\.toml: "):
        read_file(path)
