"""Questions are read from their files, shuffled, and handed to translators."""

from pathlib import Path

import pytest

from quizzes.questions import Question, all_questions, messages, option_order, read_file
from tests.quizzes.conftest import SAMPLES


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


def test_a_file_that_is_not_toml_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(b"\xff")
    with pytest.raises(ValueError, match=r"^bad\.toml: "):
        read_file(path)


def test_a_seed_shuffles_options_but_hides_the_right_order() -> None:
    question = sample("several")
    assert option_order(question, "7") == option_order(question, "7")
    assert len({tuple(option_order(question, str(seed))) for seed in range(50)}) > 20
    right = [option.id for option in sample("order").options]  # type: ignore[union-attr]
    for seed in range(500):
        assert option_order(sample("order"), str(seed)) != right


def sample(kind: str) -> Question:
    return all_questions(SAMPLES)[f"sample-{kind}"].question
