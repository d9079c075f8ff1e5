"""The JSON schema of a verdict, for programs that read one."""

import json
from pathlib import Path

from challenges.minimal_service.grading.verdict import Verdict

SCHEMA = Path(__file__).with_name("verdict.schema.json")
"""The published schema; a test compares it with the code's."""


def schema() -> str:
    """The schema as JSON, of what a grade writes."""
    made = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Verdict.model_json_schema(mode="serialization"),
    }
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"


def write_schema(path: Path = SCHEMA) -> None:
    """Write the schema to a file."""
    path.write_text(schema(), encoding="utf-8")
