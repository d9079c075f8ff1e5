"""The arithmetic of the GPU benchmark: merged traffic, right answers, verdicts."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from challenges.load.observations import Observations
from service.settings import ROOT
from tests.performance.experiments import Overload
from tests.performance.gpu.contestants import OURS, SEVERAL, RightAnswers
from tests.performance.gpu.limits import Limits, flops_per_image
from tests.performance.gpu.traffic import ManyTraffic, merge
from tests.performance.gpu.verdicts import REFERENCE_PEAK, Figures, choose_ours, judge
from tests.service.small_vit import write_program

LIMITS = Limits(REFERENCE_PEAK, 123e9, {1: 3.0, 64: 20.0}, 64, 3200, 6000, 8000, (0.3, 6), 2800)
GOOD = Overload(2400, 40, 3, 0, 0.5)


def part(numbers: range) -> Observations:
    times = np.array(numbers, float)
    return Observations(
        due=times,
        sent=times + 0.1,
        done=times + 0.5,
        status=np.full(len(times), 200),
        bodies=[str(number).encode() for number in numbers],
        retry_after=times * np.nan,
        cpu_share=0.1 * len(times),
    )


def test_observations_are_merged_in_order_of_the_requests() -> None:
    whole = merge([part(range(0, 8, 3)), part(range(1, 8, 3)), part(range(2, 8, 3))], 8)
    assert whole.due.tolist() == list(range(8))
    assert whole.bodies == [str(number).encode() for number in range(8)]
    assert whole.ok.all()
    assert whole.cpu_share == pytest.approx(0.3)


def test_each_request_carries_its_own_body() -> None:
    bodies = [bytes([number]) for number in range(10)]
    traffic = ManyTraffic(bodies, 3)
    for count in (1, 2, 3):
        shares = [traffic._share(count, number) for number in range(count)]
        for request in range(100):
            share = shares[request % count]
            assert share[request // count % len(share)] == bodies[request % len(bodies)]
    traffic.close()


def answer(class_id: int, probability: float) -> bytes:
    return json.dumps(
        {"predictions": [{"class_id": class_id, "probability": probability}]}
    ).encode()


def test_an_answer_is_right_within_bf16s_precision() -> None:
    is_right = RightAnswers(np.array([[0.5, 0.49, 0.01], [0.1, 0.1, 0.8]], np.float32))
    assert is_right(0, answer(0, 0.5))
    assert is_right(2, answer(1, 0.5))  # a photo again, whose first two classes are as probable
    assert not is_right(0, answer(2, 0.5))
    assert not is_right(0, answer(0, 0.6))
    assert not is_right(1, answer(0, 0.1))


def figures(highest: float | None = 2500, peer: float | None = 1000) -> dict[str, Figures]:
    ours = Figures(calm_p99_ms=9, saturation=2450, highest=highest, overload=GOOD)
    return {OURS: ours, "litserve": Figures(highest=peer)}


def test_bounds_are_kept_or_not() -> None:
    assert all(verdict.kept for verdict in judge(LIMITS, figures()))
    assert LIMITS.mfu == pytest.approx(0.498, abs=0.001)
    for measured in (
        figures(highest=1900),
        figures(highest=None),
        figures(peer=None),
        figures(peer=1300),
        {OURS: Figures(), "litserve": Figures(highest=1)},
    ):
        assert not all(verdict.kept for verdict in judge(LIMITS, measured))


def test_one_way_to_start_it_is_judged_by_all_bounds() -> None:
    slow = Figures(calm_p99_ms=2, saturation=1500, highest=1400, overload=GOOD)
    fast = figures()[OURS]
    peer = Figures(highest=1000)
    measured = {OURS: slow, SEVERAL: fast, "litserve": peer}
    assert choose_ours(measured) == SEVERAL
    assert all(verdict.kept for verdict in judge(LIMITS, measured))
    assert judge(LIMITS, measured)[0].measured == fast.calm_p99_ms
    assert choose_ours({OURS: slow, SEVERAL: Figures()}) == OURS
    assert choose_ours({OURS: fast, SEVERAL: slow}) == OURS


def test_flops_are_those_of_the_matrix_products(tmp_path: Path) -> None:
    """Two layers with 5 tokens of 32 (projections, attention, MLP), the patches and the head."""
    tokens, width, hidden = 5, 32, 64
    layer = 4 * tokens * width**2 + 2 * tokens**2 * width + 2 * tokens * width * hidden
    patches, head = 4 * width * 3 * 16**2, width * 10
    expected = 2 * (2 * layer + patches + head)
    assert flops_per_image(write_program(tmp_path)) == pytest.approx(expected, rel=0.01)


def test_without_a_gpu_it_says_so_and_what_can_be_run() -> None:
    environment = {"CUDA_VISIBLE_DEVICES": "", "PATH": ""}
    run = subprocess.run(
        [sys.executable, "-m", "tests.performance.gpu"],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert run.returncode == 1
    (line,) = (line for line in run.stderr.splitlines() if "No CUDA runtime" not in line)
    assert line.startswith("error: no GPU to measure on: ")
    assert "--device cpu --architecture small-vit" in line
