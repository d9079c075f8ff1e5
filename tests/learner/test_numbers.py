"""Numbers are read and written as people write them."""

import copy

import pytest

from learner.language import Translated, speaking
from learner.numbers import format_number, read_number


@pytest.mark.parametrize(
    ("text", "unit", "number"),
    [
        ("20", "", 20), (" 20.5 ", "", 20.5), ("20,5", "", 20.5), ("20 ms", "ms", 20),
        ("20MS", "ms", 20), ("-3", "", -3), ("1e3", "", 1000),
        ("\N{MINUS SIGN}3", "", -3), ("\N{FULLWIDTH DIGIT ONE}2", "", 12),
        (".5", "", 0.5), ("0,500", "", 0.5), ("1000", "", 1000),
        ("1,000", "", None), ("1,000,000", "", None), ("", "", None), ("ms", "ms", None),
        ("20 s", "ms", None), ("1 2", "", None), ("nan", "", None), ("inf", "", None),
        ("0x10", "", None), ("1_000", "", None), ("twenty", "", None),
    ],
)  # fmt: skip
def test_numbers_as_people_write_them(text: str, unit: str, number: float | None) -> None:
    assert read_number(text, unit) == number


def test_values_have_three_significant_digits() -> None:
    assert format_number(2936.4, "ms") == "2,936 ms"
    assert format_number(0.31699, "s") == "0.317 s"
    assert format_number(12.345) == "12.3"
    assert [format_number(one) for one in (float("inf"), float("nan"), 0.0)] == ["∞", "–", "0"]


@pytest.mark.parametrize(
    ("code", "ms", "share"),
    [("en", "1,850 ms", "0.317"), ("ja", "1,850 ms", "0.317"), ("id", "1.850 ms", "0,317")],
)
def test_separators_are_those_of_the_language(code: str, ms: str, share: str) -> None:
    with speaking(code):
        assert format_number(1850.2, "ms") == ms
        assert format_number(0.31699) == share
        text = Translated("{wait:,.0f} ms, {share:.3f}; {name} {port}", code)
        said = text.format(wait=1850.2, share=0.31699, name="torch 2.15.0", port=8000)
        assert said == f"{ms}, {share}; torch 2.15.0 8000"
        assert type(copy.deepcopy(text)) is str
