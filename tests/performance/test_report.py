"""The benchmark's own arithmetic: verdicts, saturation, recovery; and a report of any results."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from challenges.load.generator import Target
from challenges.load.observations import Observations
from service.settings import ROOT
from tests.performance import report
from tests.performance.bounds import judge, saturation_share
from tests.performance.contestants import OURS, OURS_DEFAULT
from tests.performance.experiments import NoFigureError, Server, highest_rate, overload, saturation
from tests.performance.peers import PEERS


class FakeTraffic:
    """A server that answers `rate` requests a second in `latency_ms`, and refuses the others."""

    def __init__(self, rate: float, latency_ms: float = 10, late_ms: float = 0) -> None:
        self.rate = rate
        self.latency_ms = latency_ms
        self.late_ms = late_ms

    def send(
        self, _: Target, rate: float, seconds: float, arrivals: str, seed: int
    ) -> Observations:
        due = np.arange(round(rate * seconds)) / rate
        turn = np.floor(np.arange(len(due)) * min(1, self.rate / rate))
        accepted = np.diff(turn, prepend=-1) > 0
        return Observations(
            due=due,
            sent=due + self.late_ms / 1000,
            done=due + np.where(accepted, self.latency_ms, 1) / 1000,
            status=np.where(accepted, 200, 503),
            bodies=[b"right"] * len(due),
            retry_after=np.ones(len(due)),
            cpu_share=0.1,
        )


def server(traffic: FakeTraffic, is_right: Callable[[int, bytes], bool] | None = None) -> Server:
    return Server("x", Target(1), traffic, is_right or (lambda _, body: body == b"right"))  # type: ignore[arg-type]


def test_experiments_find_what_is_true() -> None:
    assert saturation(server(FakeTraffic(100)), 150, 4) == pytest.approx(100, rel=0.02)
    assert highest_rate(server(FakeTraffic(100)), 160, 4, "constant") == pytest.approx(100, abs=6)
    assert highest_rate(server(FakeTraffic(100, latency_ms=60)), 160, 4, "constant") == 0
    over = overload(server(FakeTraffic(100)), 100, 4, 2)
    assert over.goodput == pytest.approx(100, rel=0.02)
    assert over.accepted_p99_ms == pytest.approx(10)
    assert over.refused_p99_ms == pytest.approx(1)
    assert over.lost == 0
    assert over.recovery_s < 0.02
    assert overload(server(FakeTraffic(20)), 100, 4, 2).recovery_s == np.inf


def test_no_figure_of_wrong_answers_or_of_the_generator() -> None:
    with pytest.raises(NoFigureError, match="at 50/s 100 answers were wrong"):
        server(FakeTraffic(100), lambda *_: False).load(50, 2, "constant")
    with pytest.raises(NoFigureError, match="the generator sent"):
        server(FakeTraffic(100, late_ms=20)).load(50, 2, "constant")


def one(form: str, rate: float) -> dict[str, Any]:
    return {
        "form": form, "ready_s": [1.0], "memory_mib": [100.0],
        "calm_ms": [[10.0, 11.0, 12.0, 13.0]], "latencies_ms": [10.0, 11.0, 12.0, np.inf],
        "saturation": [rate], "limit": [rate / 0.9], "highest_constant": rate,
        "highest_poisson": 0.8 * rate, "queue_ms": [0.1], "fault": None,
        "overload": {"goodput": rate, "accepted_p99_ms": 40.0, "refused_p99_ms": float("nan"),
                     "lost": 0, "recovery_s": 0.0, "grown_mib": 1.0},
        "curve": [{"rate": 10.0, "p50_ms": 9.0, "p99_ms": np.inf, "p99_answered_ms": 12.0,
                   "refused_share": 0.1}],
    }  # fmt: skip


RESULTS: dict[str, Any] = {
    "minutes": 1.0,
    "machine": {"gemm_gflops": 100.0, "memory_gb_per_s": 20.0},
    "in_process_ms": {"onnx-fp32": [9.0], "onnx-int8": [9.0]},
    "limit": {"onnx-fp32": 111.0, "onnx-int8": 222.0},
    "skipped": {"ray_serve": "cannot be installed"},
    "contestants": {
        OURS: one("onnx-fp32", 100),
        OURS_DEFAULT: one("onnx-int8", 200),
        "mosec": one("onnx-fp32", 80),
    },
    "growth": {
        "image_size": [{"width": 2, "height": 1, "kilobytes": 3.0, "preprocess_ms": 4.0}],
        "batch_ms_per_image": {"onnx-fp32, 1 threads": {"1": 5.0, "2": 4.0}},
        "classes": [{"classes": 1000, "forward_ms": 0.1, "screened_ms": 0.1, "top_5_ms": 0.1}],
    },
}


def test_verdicts() -> None:
    assert saturation_share(RESULTS["contestants"][OURS]) == pytest.approx(0.9)
    verdicts = {verdict.what: verdict for verdict in judge(RESULTS)}
    assert not verdicts[f"{OURS}: saturation / limit"].kept  # 0.90, and 0.95 is asked for
    assert verdicts[f"{OURS_DEFAULT}: saturation / limit"].kept
    rate = verdicts[f"{OURS}: highest rate with p99 < 50 ms (constant) / best peer's"]
    assert (rate.measured, rate.kept) == (1.25, True)
    # What could not be measured is not kept, were it all of it.
    assert not verdicts[f"{OURS}: p99 of a refusal at 3 ×, ms"].kept
    nothing = judge({**RESULTS, "contestants": {"mosec": one("onnx-fp32", 80)}})
    assert len(nothing) == len(verdicts)
    assert not any(verdict.kept for verdict in nothing)
    faulty = {**one("onnx-fp32", 80), "highest_constant": None}
    unknown = judge({**RESULTS, "contestants": {**RESULTS["contestants"], "mosec": faulty}})
    assert not any(each.kept for each in unknown if "(constant)" in each.what)


def test_report(tmp_path: Path) -> None:
    report.write(RESULTS, tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert f"| {OURS} | 1.0 | 100 | 10.0 / 11.0 / 12.0 / 13.0 | 100 (0.90) · 80 (0.72) |" in text
    assert "- ray_serve: skipped, cannot be installed" in text
    assert {path.name for path in tmp_path.iterdir()} == {
        "report.md", "latency.png", "rate.png", "growth.png"
    }  # fmt: skip


def test_peers_serve_with_the_packages_that_we_do() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    for peer in PEERS.values():
        pins = (ROOT / "tests/performance/peers/requirements" / peer.requirements).read_text()
        for package in ("onnxruntime", "pillow"):
            version = next(
                line.split()[0] for line in lock.splitlines() if line.startswith(f"{package}==")
            )
            assert version in pins.split(), f"{peer.name} has another {package} than {version}"
