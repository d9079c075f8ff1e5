"""What the front end shows: bounded, not too often, and with the right verdict."""

import pytest

from notebooks.panel import state
from notebooks.panel.services import EVERY, FIRST, START_UP
from notebooks.panel.state import State, quantile
from service.console.texts import english, texts


def test_memory_is_bounded() -> None:
    shown: dict[str, object] = {}
    kept = State(shown.__setitem__)
    for number in range(5000):
        kept.line(f"line {number}")
        kept.latency(float(number))
    kept._when.clear()
    kept.flush()
    assert len(shown["log"]) == state.MOST_LINES  # type: ignore[arg-type]
    assert len(shown["lines"]) <= state.MOST_LINES  # type: ignore[arg-type]
    assert len(shown["latencies"][START_UP]) == state.MOST_LATENCIES  # type: ignore[index]


def test_a_value_is_shown_once_and_not_too_often(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    shown: list[str] = []
    kept = State(lambda name, _value: shown.append(name))
    kept.tell("metrics", {"answered": 1})
    kept.latency(1.0)
    kept.flush()
    kept.tell("metrics", {"answered": 1})
    assert not kept.dirty
    kept.latency(2.0)
    kept.flush()
    assert shown == ["metrics", "latencies"]
    now += 2 * state.EVERY_S["latencies"]
    kept.flush()
    assert shown == ["metrics", "latencies", "latencies"]


def test_a_line_that_reports_a_load_gives_its_time() -> None:
    kept = State(lambda *_: None)
    assert kept.line("INFO Loaded model.pt in 812 ms") == 812
    assert kept.line("INFO ready") is None


@pytest.mark.parametrize(
    ("reason", "damaged", "key"),
    [
        (None, "", "killed_starting"),
        ("model.onnx was changed", "model.onnx", "caught"),
        ("model.onnx was changed", "", "refused"),
        ("cannot listen on 127.0.0.1 port 1: in use", "", "port_taken"),
    ],
)
def test_a_refused_start_says_why(reason: str | None, damaged: str, key: str) -> None:
    kept = State(lambda *_: None)
    kept.refused(reason, 137, damaged, 1)
    assert kept._sentence is not None
    assert kept._sentence["key"] == key


@pytest.mark.parametrize(
    ("mode", "latencies", "verdict"),
    [
        (START_UP, [10.0] * 100, "met"),
        (START_UP, [10.0] * 98 + [80.0] * 2, "missed"),
        (EVERY, [300.0] * 10, "missed_every"),
        (FIRST, [900.0] + [20.0] * 10, "missed_first"),
    ],
)
@pytest.mark.parametrize("others", [0.0, 0.1, 0.8])
def test_verdicts(mode: str, latencies: list[float], verdict: str, others: float) -> None:
    kept = State(lambda *_: None)
    kept.mode = mode
    for ms in latencies:
        kept.latency(ms)
    kept.verdict(others)
    assert kept._sentence is not None
    if verdict == "missed" and others == 0.8:  # a busy machine is named as a cause
        verdict = "missed_busy"
        assert kept._sentence["values"]["share"] == 80
    assert kept._sentence["key"] == verdict
    filled = texts(english)[verdict].format(**kept._sentence["values"])
    assert "{" not in filled


def test_a_quantile_is_the_nearest_rank() -> None:
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([float(n) for n in range(1, 101)], 0.99) == 99.0
