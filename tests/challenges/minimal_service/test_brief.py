"""The brief says the same in three languages, and what it says is true."""

import re
import tomllib

import pytest
from markdown_it import MarkdownIt

from authoring.translations import glossary, style
from authoring.translations.checks import numbers, problems
from authoring.translations.messages import Message
from challenges.minimal_service import planning_questions as plan
from challenges.minimal_service.commands import BRIEF
from challenges.minimal_service.grading.criteria import availability, load, memory
from challenges.minimal_service.grading.measuring import oracle as truth
from challenges.minimal_service.grading.submission.description import Description
from challenges.minimal_service.grading.verdict import POINTS
from learner.language import LANGUAGES, speaking
from service.preprocessing import MAX_PIXELS, MIN_SIDE, PreprocessingSettings

TRANSLATED = [code for code in LANGUAGES if code != "en"]
AS_A_LESSON = "notebooks/brief.ipynb/brief/0"
"""So that the checks of translated lessons take it for Markdown."""
LINK = re.compile(r"\]\(([^)]+)\)")


def brief(code: str) -> str:
    return (BRIEF / f"{code}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("code", TRANSLATED)
def test_a_translation_has_the_headings_code_and_links(code: str) -> None:
    translation = brief(code).replace(f"/notebooks/{code}/", "/notebooks/en/")
    terms = glossary.load(glossary.FILE)
    assert (
        problems(Message(brief("en"), AS_A_LESSON), translation, code, terms, style.load()[code])
        == []
    )


@pytest.mark.parametrize("code", TRANSLATED)
def test_every_number_that_is_no_word_stands_as_often(code: str) -> None:
    def figures(text: str) -> dict[str, int]:
        return {one: count for one, count in numbers(text).items() if int(one) > 12}

    assert figures(brief(code)) == figures(brief("en"))


@pytest.mark.parametrize("code", TRANSLATED)
def test_the_order_is_that_of_the_english(code: str) -> None:
    def order(text: str) -> list[tuple[str, str]]:
        tokens = MarkdownIt().enable("table").parse(text)
        return [(t.type, t.content if t.type == "fence" else t.tag) for t in tokens]

    assert order(brief(code)) == order(brief("en"))


@pytest.mark.parametrize(
    ("words", "others"),
    [
        ("50 ms", "55 ms"),
        ("## 2.", "### 2."),
        ("--quick", "--fast"),
        ("| 25 |", "| 20 |"),
        ("cell-id=lever", "cell-id=busy"),
        ("throughput", "hasil"),
    ],
)
def test_a_difference_would_be_found(words: str, others: str) -> None:
    damaged = brief("id").replace("/notebooks/id/", "/notebooks/en/").replace(words, others)
    terms = glossary.load(glossary.FILE)
    assert problems(Message(brief("en"), AS_A_LESSON), damaged, "id", terms, [])


@pytest.mark.parametrize("code", LANGUAGES)
def test_links_lead_somewhere(code: str) -> None:
    links = LINK.findall(brief(code))
    assert links
    for link in links:
        file, _mark, cell = link.partition("#cell-id=")
        notebook = (BRIEF / file).resolve()
        assert notebook.parent.name == code
        assert f'"id": "{cell}"' in notebook.read_text(encoding="utf-8")


@pytest.mark.parametrize("code", LANGUAGES)
def test_the_questions_are_those_of_the_plan(code: str) -> None:
    """The brief emphasises "Step 1", and puts the lecture's "artifact" in quotation marks."""
    bare = re.sub(r'[*"「」]', "", brief(code))
    with speaking(code):
        for question, solution in plan.steps().values():
            assert question in bare
            assert solution not in bare


def test_the_words_are_those_of_the_lecture() -> None:
    for words in (
        "You need to deploy a complex image classification model (1 GB) that requires "
        "specialised image preprocessing. It must handle 50 requests per second.",
        "Plan the structural requirements of a low-latency service.",
        'What is the minimum necessary "artifact" to ship besides the trained weights?',
    ):
        assert words in brief("en")


@pytest.mark.parametrize("code", LANGUAGES)
def test_points_are_those_of_the_grader(code: str) -> None:
    rows = re.findall(r"^\| \d \| `([\w-]+)` \|.*\| (\d+) \|$", brief(code), re.MULTILINE)
    assert {name: int(points) for name, points in rows} == POINTS
    assert [name for name, _points in rows] == list(POINTS)


def test_bounds_are_those_of_the_grader() -> None:
    for words in (
        f"{truth.LEAST_AGREEMENT:.1%} of the photos".replace("%", " %"),
        f"more than {truth.SURE:g} sure",
        f"median over the photos of at most {truth.MOST_MEDIAN:g}",
        f"at most {truth.MOST_P95:.2f} for 95 % of them",
        f"within {availability.BACK_S:g} s after a kill",
        f"within {availability.EXIT_S:g} s",
        f"at most {memory.SHARE:g} times",
        f"p99 below {load.TARGET_MS:g} ms from the moment due",
        f"(Poisson) for {load.FULL.seconds:g} s",
    ):
        assert words in brief("en")


def test_the_described_file_is_one_that_the_grader_reads() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", brief("en"), re.DOTALL)
    Description.model_validate(tomllib.loads(example))
    described = re.findall(r"^\| `(\w+)` \|", brief("en"), re.MULTILINE)
    assert set(described) == set(Description.model_fields)


def test_the_described_pixels_are_those_of_the_service() -> None:
    settings = PreprocessingSettings()
    text = brief("en")
    assert f"{settings.resize} pixels ({settings.interpolation}, antialiased)" in text
    assert f"{settings.crop} × {settings.crop} from the centre" in text
    assert f"a side under {MIN_SIDE} pixels, or over {MAX_PIXELS:,} pixels" in text
