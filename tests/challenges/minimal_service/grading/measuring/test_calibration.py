"""What may be asked of a machine follows from what it can do."""

from pathlib import Path

import pytest

from challenges.minimal_service.grading.measuring import calibration as machines
from challenges.minimal_service.grading.measuring.calibration import (
    floor_s,
    rate_in_reach,
    slowness,
    target_for,
)
from challenges.minimal_service.grading.verdict import Machine

WEIGHTS = 1_038_000_000


def test_the_floor_is_set_by_memory_or_by_arithmetic() -> None:
    fast = 1e15
    assert floor_s(WEIGHTS, 26e9, fast) == pytest.approx(0.01, rel=0.01)
    assert floor_s(WEIGHTS, fast, 130e9) == pytest.approx(1.299e9 / 520e9, rel=0.01)
    assert floor_s(WEIGHTS, 13e9, fast) == 2 * floor_s(WEIGHTS, 26e9, fast)


def test_a_common_machine_is_asked_for_all_of_it() -> None:
    reach = rate_in_reach(WEIGHTS, 31e9, 180e9, 0.0025, 2)
    assert 150 < reach < 500
    assert target_for(reach) == (50, None)


def test_a_machine_that_cannot_is_asked_for_less_and_told_why() -> None:
    reach = rate_in_reach(WEIGHTS, 2e9, 10e9, 0.02, 1)
    target, reason = target_for(reach)
    assert 1 <= target < 50
    assert reason is not None
    assert f"{target:g} a second" in reason
    assert target_for(0.01)[0] == 1


def test_more_of_anything_is_more_in_reach() -> None:
    base = (31e9, 60e9, 0.0025, 2)
    better = ((62e9, 60e9, 0.0025, 2), (31e9, 90e9, 0.0025, 2), (31e9, 60e9, 0.001, 2))
    for one in (*better, (31e9, 60e9, 0.0025, 4)):
        assert rate_in_reach(WEIGHTS, *one) >= rate_in_reach(WEIGHTS, *base)
    assert rate_in_reach(WEIGHTS, 31e9, 60e9, 0.0025, 4) > rate_in_reach(WEIGHTS, *base)


def test_calibration_measures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines, "_PATIENCE_S", 0.1)
    monkeypatch.setattr(machines, "_REPEATS", 2)
    monkeypatch.setattr(machines, "_PIECES", 20)
    (tmp_path / "weights.safetensors").write_bytes(bytes(20_000_000))
    found = machines.calibrate(tmp_path)
    assert found.cores >= 1
    assert 0.1 < found.memory_gb_s < 5000
    assert found.arithmetic_gflop_s > 0.1
    assert found.noise >= 0
    assert 0 < found.floor_ms < 1000
    assert slowness(found) >= 1


def test_a_slow_machine_gets_more_time() -> None:
    fair = Machine(
        cores=2,
        memory_gb_s=20,
        arithmetic_gflop_s=100,
        noise=0.1,
        floor_ms=8,
        target_rate=50,
        target_reason=None,
    )
    assert slowness(fair) == slowness(None) == 1
    assert slowness(fair.model_copy(update={"memory_gb_s": 5.0})) == 2
