"""The models and the published schema accept and refuse the same files."""

import json
import tomllib
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import pytest

import quizzes.questions as questions
from quizzes.questions import models
from quizzes.questions.models import QuestionFile
from tests.quizzes.conftest import SAMPLES, edit_sample

FILES = sorted(questions.FOLDER.glob("*.toml"))


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
        content = tomllib.loads(edit_sample(old, new))
        assert list(validator.iter_errors(content)), new
        with pytest.raises(ValueError, match="validation error"):
            QuestionFile.model_validate(content)
