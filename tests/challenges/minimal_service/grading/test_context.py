"""A report turns checks into points and a cause, and criteria share a grade's photos."""

from pathlib import Path

from challenges.minimal_service.grading.context import Grade, Report


def test_points_are_the_share_of_the_checks_that_passed() -> None:
    report = Report("artifact")
    assert report.result().status == "not-checked"
    report.check("one", True, "right")
    report.check("two", None, "not checked")
    assert (report.result().status, report.result().points) == ("passed", 15)
    assert not report.check("three", False, "wrong")
    assert (report.result().status, report.result().points) == ("failed", 7.5)
    report.share = 0.5
    assert report.result().points == 3.75


def test_the_first_failed_check_with_a_cause_names_it() -> None:
    report = Report("load")
    report.check("a", True, "fine", "no cause")
    report.check("b", False, "without a cause")
    report.check("c", False, "{n} of {all} failed", "{n} were lost", n=1, all=2)
    report.check("d", False, "later", "another cause")
    assert report.result().cause == "1 were lost"
    assert report.checks[2].text == "1 of 2 failed"


def test_a_text_without_values_stays_as_it_is() -> None:
    report = Report("load")
    report.check("a", False, 'said: {"error": 1}', "cause: {}")
    assert (report.checks[0].text, report.cause) == ('said: {"error": 1}', "cause: {}")


def test_a_grade_gives_all_criteria_the_same_photos(tmp_path: Path) -> None:
    grade = Grade(tmp_path, quick=True, say=lambda _: None, seed=3)
    assert grade.photos(5)[:2] == grade.photos(2)
    other = Grade(tmp_path, quick=True, say=lambda _: None, seed=4)
    assert not set(grade.photos(3)) & set(other.photos(3))
