"""Each criterion has its ladder and its solution, and what they name is there."""

import re

import pytest

from challenges.minimal_service.grading.verdict import LESSONS, POINTS, CriterionId
from challenges.minimal_service.hints import STEPS, ladders, locate, solutions
from challenges.minimal_service.report.lessons import section
from learner.language import LANGUAGES, speaking
from learner.paths import ROOT
from learner.sections import read_cells

CRITERIA = list(POINTS)


def test_every_criterion_has_a_ladder_and_a_solution() -> None:
    assert list(ladders()) == list(solutions()) == CRITERIA


@pytest.mark.parametrize("criterion", CRITERIA)
def test_a_ladder_goes_from_a_question_to_what_to_do(criterion: CriterionId) -> None:
    with speaking("en"):
        question, direction, recipe = (
            ladders()[criterion].step(number) for number in range(1, STEPS + 1)
        )
    assert question.endswith("?")
    assert "?" not in direction + recipe
    assert len(direction) < len(recipe)
    files = re.compile(r"\w+\.py|[A-Z]{4,}|ONNX")
    assert files.search(recipe)
    assert not re.search(r"\w+\.py", question + direction)


TAUGHT: dict[CriterionId, tuple[str, ...]] = {
    "structure": ("module", "torch", "engine"),
    "load-once": ("At start-up", "nobody waits"),
    "artifact": ("one flipped bit", "hash"),
    "answers": ("EXIF", "alpha", "16 bits", "CMYK"),
    "load": ("one lane a core", "p99", "replicas"),
    "availability": ("SIGTERM", "load balancer", "drain"),
    "memory": ("weights", "process", "copies"),
    "packaging": ("container image", "container file", "recipe"),
}
"""What the cell that helps with a criterion must speak of."""


@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_lesson_has_the_section(criterion: CriterionId, code: str) -> None:
    with speaking(code):
        found = section(LESSONS[criterion], ROOT)
    file, _mark, cell = LESSONS[criterion].partition("#cell-id=")
    text = (ROOT / "notebooks" / code / file).read_text(encoding="utf-8")
    assert f'"id": "{cell}"' in text
    assert found is not None
    assert re.search(r'[“「"]', found.text), "no heading was found"


@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_section_teaches_what_the_criterion_asks(criterion: CriterionId) -> None:
    file, _mark, cell = LESSONS[criterion].partition("#cell-id=")
    cells = read_cells(ROOT / "notebooks/en" / file)
    (text,) = (one["source"] for one in cells if one["id"] == cell)
    assert [words for words in TAUGHT[criterion] if words not in text] == []


@pytest.mark.parametrize("criterion", CRITERIA)
def test_what_a_solution_names_is_in_the_code(criterion: CriterionId) -> None:
    places = solutions()[criterion].places
    assert places
    for place in places:
        file, _colon, name = place.partition(":")
        found = locate(place)
        assert found.startswith(file)
        if name:
            line = int(found.removeprefix(f"{file}:").split()[0])
            source = (ROOT / file).read_text(encoding="utf-8").splitlines()[line - 1]
            assert re.search(rf"\b(def|class) {name.rpartition('.')[2]}\b", source)


@pytest.mark.parametrize(
    "place",
    ["service/no_such_file.py", "service/startup.py:no_such", "service/server.py:_Server.x"],
)
def test_a_place_that_is_gone_would_be_found(place: str) -> None:
    with pytest.raises(LookupError, match=r"service/\w+\.py"):
        locate(place)


def test_each_criterion_leads_to_a_module_of_the_service() -> None:
    named = {place for one in solutions().values() for place in one.places}
    assert all(place.startswith("service/") for place in named)
