"""Scripts are run and their end is found."""

from quizzes.evidence.script_run import Outcome, lines_by_purpose, lines_of_code, run_script


def test_the_line_and_the_error_of_a_script_that_fails() -> None:
    script = "# a comment\nvalue = 1\n\n  \nif value:\n    raise ValueError('no')\n"
    assert lines_of_code(script) == ["value = 1", "if value:", "    raise ValueError('no')"]
    assert run_script(script) == Outcome(1, 3, "ValueError: no")


def test_a_script_that_runs_through() -> None:
    assert run_script("import quizzes") == Outcome(0, 0, "")


def test_every_line_of_the_exhibit_has_a_purpose() -> None:
    counts = lines_by_purpose()
    assert set(counts) == {"setup", "model", "preprocessing", "inference", "experiments"}
    assert all(counts.values())
