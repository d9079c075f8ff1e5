"""The flow without any process: lines in, steps and times out."""

import pytest

from service.console.flow import NAIVE_STEPS, STEPS, Flow, is_polling, kind_of

START = (
    (
        1.30,
        "10:00:01.300 INFO    verify   artifact m 1.0.0: 14 files, digest dcd986cd8036 · 300 ms",
    ),
    (1.31, "10:00:01.310 INFO    match    code and environment are the validated ones · 10 ms"),
    (1.51, "10:00:01.510 INFO    load     onnx-int8 by ONNX Runtime 1.31.1 on cpu · 200 ms"),
    (1.91, "10:00:01.910 INFO    warm-up  batch 1: 8.4 ms, batch 4: 34.6 ms → 2 lanes · 400 ms"),
    (2.01, "10:00:02.010 INFO    replay   7 golden photos, largest difference 0.0e+00 · 100 ms"),
    (
        2.05,
        "10:00:02.050 INFO    ready    http://127.0.0.1:41213 · 2.04 s after the process started",
    ),
)


def started() -> Flow:
    flow = Flow()
    flow.begin(0.0)
    for at, text in START:
        flow.line(at, text)
    return flow


def test_every_step_gets_its_time_from_the_log() -> None:
    flow = started()
    assert flow.phase == "serving"
    assert flow.url == "http://127.0.0.1:41213"
    assert flow.ready_s == 2.04
    times = {step.id: step.ms for step in flow.steps if step.state == "done"}
    assert times == pytest.approx(
        {
            "start": 1000,
            "verify": 300,
            "match": 10,
            "load": 200,
            "warm-up": 400,
            "replay": 100,
            "ready": 40,
        }
    )


def test_one_step_is_under_way_at_a_time_and_lights_up() -> None:
    flow = Flow()
    assert not flow.busy
    flow.begin(0.0)
    lit = [flow.lit]
    for at, text in START:
        flow.line(at, text)
        lit.append(flow.lit)
    assert lit == ["start", *STEPS[2:7], None]


def test_photos_and_stop() -> None:
    flow = started()
    flow.photos(2.1)
    assert flow.lit == "photos"
    flow.answered(2.2)
    flow.answered(2.3)
    flow.photos_done(4.1)
    assert flow.first_s == 2.2
    assert not flow.busy
    flow.stop(5.0)
    assert (flow.phase, flow.lit) == ("stopping", "stop")
    flow.ended(5.5)
    assert flow.phase == "stopped"
    assert [step.ms for step in flow.steps[-2:]] == pytest.approx([2000, 500])


def test_a_refusal_is_of_the_step_that_was_under_way() -> None:
    flow = Flow()
    flow.begin(0.0)
    flow.line(0.9, "error: /a/model.onnx was changed: expected the SHA-256 1, found 2. Restore it")
    flow.ended(1.0)
    assert flow.phase == "refused"
    assert flow.error is not None
    assert flow.error.startswith("/a/model.onnx was changed")
    assert [step.id for step in flow.steps if step.state == "failed"] == ["verify"]


@pytest.mark.parametrize("reason", ["cannot listen on 127.0.0.1 port 1: in use", "setting --x"])
def test_a_refusal_before_the_first_step(reason: str) -> None:
    flow = Flow()
    flow.begin(0.0)
    flow.line(0.9, f"error: {reason}")
    flow.ended(1.0)
    assert [step.id for step in flow.steps if step.state == "failed"] == ["start"]


def test_death_while_starting_and_while_serving_differ() -> None:
    flow = Flow()
    flow.begin(0.0)
    flow.ended(0.5)
    assert (flow.phase, flow.error, flow.url) == ("refused", None, None)
    flow = started()
    flow.ended(9.0)
    assert flow.phase == "stopped"


def test_a_second_start_begins_afresh() -> None:
    flow = started()
    flow.begin(10.0, again=True)
    assert (flow.phase, flow.url, flow.first_s) == ("recovering", None, None)
    for at, text in START:
        flow.line(at + 10, text)
    assert flow.phase == "serving"
    assert flow.steps[0].ms == pytest.approx(1000)


def test_naive_service() -> None:
    flow = Flow(NAIVE_STEPS)
    flow.begin(0.0)
    flow.line(0.7, "INFO:     Started server process [1]")
    flow.line(0.8, "INFO:     Uvicorn running on http://127.0.0.1:8123 (Press CTRL+C to quit)")
    assert (flow.url, flow.phase, flow.ready_s) == ("http://127.0.0.1:8123", "serving", 0.8)


def test_lines_that_are_no_steps_change_nothing() -> None:
    flow = started()
    before = flow.snapshot()
    flow.line(3.0, "load average is high")
    flow.line(3.0, '10:00:03.0 INFO    127.0.0.1:1 - "POST /predict HTTP/1.1" 200')
    assert flow.snapshot() == before


def test_kinds_of_lines() -> None:
    assert kind_of(START[0][1]) == "step"
    assert kind_of("error: no artifact") == "error"
    assert kind_of("10:00:00.0 WARNING match    it differs") == "warning"
    assert kind_of('127.0.0.1:1 - "POST /predict HTTP/1.1" 200') == "request"
    assert kind_of("INFO:     Waiting for application startup.") == "quiet"
    assert is_polling('127.0.0.1:1 - "GET /metrics HTTP/1.1" 200')
    assert not is_polling('127.0.0.1:1 - "POST /predict HTTP/1.1" 200')
