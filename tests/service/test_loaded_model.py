"""The steps of a start: records, from which the log is rendered."""

import logging

import pytest

from service.loaded_model import Step


def test_a_step_is_one_line_and_the_record_carries_it(caplog: pytest.LogCaptureFixture) -> None:
    step = Step("load", "onnx-int8 on cpu", 70.4)
    with caplog.at_level(logging.INFO, "service"):
        step.log()
    (record,) = caplog.records
    assert record.getMessage() == "load     onnx-int8 on cpu · 70 ms"
    assert record.__dict__["step"] is step


def test_ready_says_where_and_how_long_since_the_process_started(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "service"):
        Step("ready", "http://127.0.0.1:8000", 1234, "http://127.0.0.1:8000").log()
    line = "ready    http://127.0.0.1:8000 · 1.23 s after the process started"
    assert caplog.records[0].getMessage() == line
