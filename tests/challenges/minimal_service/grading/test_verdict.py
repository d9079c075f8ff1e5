"""The published schema is that of the code."""

import json

import jsonschema  # type: ignore[import-untyped]

from challenges.minimal_service.grading.verdict import Verdict, schema
from learner.paths import ROOT
from tests.challenges.minimal_service import verdicts

MADE = {"passed": verdicts.passed, "failed": verdicts.failed, "partly": verdicts.partly}


SCHEMA = ROOT / "challenges" / "minimal_service" / "report" / "verdict.schema.json"


def test_the_published_schema_is_that_of_the_code() -> None:
    assert SCHEMA.read_text("utf-8") == schema()
    published = json.loads(SCHEMA.read_text())
    of_code = Verdict.model_json_schema(mode="serialization")
    assert {key: published[key] for key in of_code} == of_code
    assert published["additionalProperties"] is False
    for make in MADE.values():
        jsonschema.validate(json.loads(make().model_dump_json()), published)
