"""Cells that run twice change the notebook's answer, and memory is read from /metrics."""

from quizzes.evidence.notebook_state import _resident_mib, notebook_answers
from service.artifact.sample_photos import SAMPLE_PHOTOS


def test_one_cell_run_twice_changes_the_answer() -> None:
    once, twice = notebook_answers()
    assert once[0] in SAMPLE_PHOTOS[1].labels
    assert once != twice


def test_the_memory_of_a_service_is_read_from_its_metrics() -> None:
    metrics = "# HELP x\nprocess_resident_memory_bytes 2.097152e+06\nother 1\n"
    assert _resident_mib(metrics) == 2
    assert _resident_mib("other 1\n") is None
