"""The arithmetic of many machines: what it measures, and what follows from it."""

import math
import subprocess
import sys

import pytest

from service.scale.arithmetic import BUSY, RATES, Measured, describe, main, plan
from service.settings import ROOT

MACHINE = Measured(100, 2, 50_000, 500, 84_000_000, 0.8)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("zones", [2, 3, 5])
def test_fleet_without_one_zone_carries_the_load(rate: float, zones: int) -> None:
    fleet = plan(MACHINE, rate, 0.04, zones)
    assert fleet.machines % zones == 0
    left = fleet.machines * (zones - 1) // zones
    assert rate <= left * MACHINE.rate * BUSY
    assert rate > (left - zones + 1) * MACHINE.rate * BUSY  # one machine less a zone is too few
    assert fleet.busy == pytest.approx(rate / (fleet.machines * MACHINE.rate))


def test_cost_of_a_million_is_worked_out_by_hand() -> None:
    """1,000/s at 60/s a machine: 17, so 9 in each of two zones, 27 in three, 0.08 dollars each."""
    fleet = plan(MACHINE, 1000, 0.04)
    assert fleet.machines == 27
    assert fleet.dollars_a_million == pytest.approx(27 * 0.08 / 3.6)
    assert fleet.in_bits == 1000 * 50_000 * 8


def test_small_loads_cost_more_a_prediction() -> None:
    costs = [plan(MACHINE, rate, 0.04).dollars_a_million for rate in (1, 100, 10_000)]
    assert costs == sorted(costs, reverse=True)
    assert costs[0] > 10 * costs[-1]


def test_table_has_a_row_for_each_rate() -> None:
    rows = [line for line in describe(MACHINE, 0.04).splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + len(RATES)
    assert "| 1,000 | 27 | 37% | 0.60 | 0.40 Gbit/s |" in rows


def test_command_measures_this_machine() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "service.scale.arithmetic", "--seconds", "0.5"],
        capture_output=True, text=True, cwd=ROOT, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rate = float(done.stdout.partition("cores: ")[2].partition(" ")[0])
    assert 1 < rate < math.inf
    assert "| 1,000,000 |" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--price", "0"], "more than 0"), (["--artifact", "/nowhere"], "/nowhere")],
)
def test_bad_options_are_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    said = f"{end.value.code}\n{capsys.readouterr().err}"
    assert words in said
    assert "Traceback" not in said
