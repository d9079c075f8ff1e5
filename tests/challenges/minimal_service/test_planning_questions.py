"""No solution is shown before an answer, in the lesson or on the command line."""

import pytest

from challenges.minimal_service.planning_questions import answers, compare_prediction
from learner.errors import LearnerError
from learner.folder import read_json, write_json
from notebooks.workshop import plan as lesson_plan
from tests.challenges.minimal_service.own_service import Run

pytestmark = pytest.mark.usefixtures("own")


def test_the_plan_shows_no_solution_before_an_answer(run: Run) -> None:
    both = run("plan")
    assert "Step 1." in both
    assert "Step 2." in both
    assert "isolated modules" not in both
    assert "isolated modules" not in run("plan", "step-1")
    assert "isolated modules" in run("plan", "step-1", "I would split it.")
    later = run("plan")
    assert "I would split it." in later
    assert "isolated modules" in later
    assert "coupled with the weights" not in later
    with pytest.raises(LearnerError, match="step-3"):
        run("plan", "step-3")
    with pytest.raises(LearnerError, match="Write a sentence"):
        run("plan", "step-2", "ok")


def test_lesson_and_command_keep_the_same_answers(run: Run) -> None:
    lesson_plan.plan("step-2", answer="The preprocessing code.")
    assert "The preprocessing code." in run("plan", "step-2")


def test_a_prediction_is_shown_beside_a_grade() -> None:
    assert compare_prediction(34) is None
    lesson_plan.plan("step-2", answer="The preprocessing code.")
    lesson_plan.keep_prediction(28.44)
    assert read_json("plan.json")["p99_ms"] == 28.4
    assert compare_prediction(34.2) == "p99 by the plan of lesson 6: 28 ms; by this grade: 34 ms"
    assert answers() == {"step-2": "The preprocessing code."}
    write_json("plan.json", {"p99_ms": "fast"})
    assert compare_prediction(34) is None
