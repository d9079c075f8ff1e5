"""Short forms of the faults, and whether the suite would notice what it looks for."""

import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.preprocessing import preprocess
from tests.faults import inputs
from tests.faults.bench import Bench, Row, open_bench, port_of, write_report
from tests.faults.experiments import FAULTS, PATIENT, find_slope, pause
from tests.faults.hostile import KINDS
from tests.faults.inputs import Result, judge, list_seeds


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with open_bench(tmp_path_factory.mktemp("faults"), rate=20) as opened:
        yield opened


@pytest.mark.parametrize(
    "name", ["kill-under-load", "fail-in-the-engine", "hang-in-the-engine", "suffer-clients"]
)
def test_fault_loses_nothing_and_answers_nothing_wrong(name: str, bench: Bench) -> None:
    found = FAULTS[name](bench, False)
    for row in [found] if isinstance(found, Row) else found:
        assert row.broken == [], row
        assert row.right > 0


def test_wrong_answers_and_lost_requests_are_noticed(bench: Bench, tmp_path: Path) -> None:
    service = bench.start(fault="answer")
    wrong = Row("answer", "each one is another image's")
    wrong.count(bench.send(port_of(service), 1, headers=PATIENT).result(), bench.recorded)
    load = bench.send(port_of(service), 2, headers=PATIENT)
    pause(1)
    service.process.send_signal(signal.SIGKILL)
    lost = Row("kill", "nobody sends again").count(load.result(), bench.recorded)
    for row in (wrong, lost):
        assert row.expect_none_lost().broken
    assert (wrong.wrong, wrong.right) == (20, 0)
    assert lost.lost > 5
    write_report([wrong, lost], tmp_path, "a machine")
    report = (tmp_path / "faults.md").read_text()
    assert "| answer | each one is another image's | 20 | 0 | 0 | 0 | 0 | 20 |" in report


def test_mutated_images_are_decoded_right_or_refused() -> None:
    result = inputs.search(2000, workers=1, first=7)
    assert result.tried == 2000
    assert (result.wrong, result.crashed) == ([], [])
    assert 200 < result.accepted < 1800


SEEDS = list_seeds()


@settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(
    seed=st.sampled_from(SEEDS),
    edits=st.lists(
        st.tuples(st.floats(0, 1), st.binary(max_size=8), st.integers(0, 8)), max_size=6
    ),
)
def test_any_edit_of_a_file_is_judged_alike(
    seed: bytes, edits: list[tuple[float, bytes, int]]
) -> None:
    """By the service and by plain Pillow."""
    data = bytearray(seed)
    for share, new, removed in edits:
        place = int(share * len(data))
        data[place : place + removed] = new
    result = Result()
    judge(bytes(data), result)
    assert (result.wrong, result.crashed) == ([], [])


def test_a_decoder_that_errs_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    result = Result()
    monkeypatch.setattr(inputs, "preprocess", lambda data, **_: np.zeros((224, 224, 3), np.uint8))
    judge(SEEDS[0][:200], result)  # it is cut off
    assert len(result.wrong) == 1
    monkeypatch.setattr(inputs, "preprocess", lambda data, **options: preprocess(b"", **options))
    judge(SEEDS[0], result)
    assert result.refused == 1
    monkeypatch.setattr(inputs, "preprocess", lambda data, **_: int("no"))
    judge(SEEDS[0], result)
    assert "ValueError" in result.crashed[0]


def test_slope_is_that_of_most_samples() -> None:
    hours = np.linspace(0, 2, 100)
    values = 150 + 3 * hours
    values[::10] += 500
    assert abs(find_slope(hours, values) - 3) < 0.2


def test_every_kind_of_client_has_a_line_that_describes_it() -> None:
    assert len(KINDS) >= 12
    assert all(kind.__doc__ for kind in KINDS.values())
