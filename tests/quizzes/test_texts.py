"""Numbers read, lines wrapped, values drawn: as text, in three scripts."""

import pytest

from quizzes import terminal
from quizzes.evidence.base import Evidence
from quizzes.numbers import in_words, read_number


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


def test_lines_break_where_each_script_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "_columns", lambda: 20)
    assert terminal.wrapped("one two three four five", "  1  ") == (
        "  1  one two three\n     four five"
    )
    japanese = "重みは、サービスが始まるときに一度だけ読み込みます。"
    lines = terminal.wrapped(japanese).splitlines()
    assert "".join(lines) == japanese
    assert all(terminal.width(line) <= 22 and line[0] not in "、。" for line in lines)
    assert terminal.wrapped("x" * 50) == "x" * 50


def test_a_text_plot(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "_columns", lambda: 60)
    values = {"short": 1.0, "最初の人": 2000.0, "none": 0.0}
    terminal.show_evidence(Evidence("It shows.", values, "ms", 50))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "It shows."
    assert lines[3].endswith(" 2,000 ms")
    assert lines[3].count("█") == 36
    assert lines[4] == "none       0 ms"
    assert lines[5].endswith("^ 50 ms")
    terminal.show_evidence(Evidence("Nothing to draw."))
    assert capsys.readouterr().out == "Nothing to draw.\n"


def test_values_in_words() -> None:
    assert in_words(2936.4, "ms") == "2,936 ms"
    assert in_words(0.31699, "s") == "0.317 s"
    assert in_words(12.345, "") == "12.3"
