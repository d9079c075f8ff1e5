"""The roofline's arithmetic, and that its two measurements measure."""

import pytest

from notebooks.workshop import roofline
from notebooks.workshop.roofline import Machine, Work

MACHINE = Machine(memory=30e9, arithmetic=180e9)


def test_the_roof_is_a_slope_and_then_flat() -> None:
    assert MACHINE.attainable(1) == 30e9
    assert MACHINE.attainable(6) == 180e9
    assert MACHINE.attainable(100) == 180e9


def test_one_image_is_bound_by_its_bytes() -> None:
    one = Work("1 GB", 1, 1e9, 0.5e9)
    assert one.intensity == 0.5
    assert one.images_per_second(MACHINE) == pytest.approx(30)
    assert one.memory_needed(50) == 50e9
    assert one.arithmetic_needed(50) == 25e9


def test_a_batch_shares_the_bytes_until_arithmetic_is_the_bound() -> None:
    rates = [
        Work("1 GB", n, 1e9, n * 1.2e9).images_per_second(MACHINE) for n in (1, 4, 8, 64)
    ]  # fmt: skip
    assert rates == pytest.approx([30, 120, 150, 150])


def test_work_under_the_roof_can_be_served() -> None:
    for flop in (1e9, 3e9, 4e9, 100e9):
        work = Work("any", 1, 0.1e9, flop)
        under = work.arithmetic_needed(50) <= MACHINE.attainable(work.intensity)
        assert under == (work.images_per_second(MACHINE) >= 50)


def test_measured_rates_are_those_of_a_computer() -> None:
    machine = roofline.measure(megabytes=32, side=256)
    assert 1e8 < machine.memory < 1e13
    assert 1e8 < machine.arithmetic < 1e14
