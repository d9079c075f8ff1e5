"""The published JSON schema of the question files: `python -m quizzes schema` writes it."""

import json
from pathlib import Path

from quizzes.questions import QuestionFile

PUBLISHED = Path(__file__).resolve().parent / "questions.schema.json"


def schema() -> str:
    """The schema, as the models say it."""
    content = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **QuestionFile.model_json_schema(by_alias=True),
        "title": "Questions of one lesson",
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def write() -> Path:
    """Write it where it is published."""
    PUBLISHED.write_text(schema(), encoding="utf-8")
    return PUBLISHED
