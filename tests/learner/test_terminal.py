"""Texts fit a terminal, in every script and encoding."""

import io
import sys

import pytest

from learner.terminal import GREEN, can_print, coloured, padded, printable, width, wrapped


@pytest.mark.parametrize(
    ("text", "columns"), [("", 0), ("abc", 3), ("日本語", 6), ("e\N{COMBINING ACUTE ACCENT}", 1)]
)
def test_width_counts_columns(text: str, columns: int) -> None:
    assert width(text) == columns
    assert width(padded(text, 8)) == 8
    assert padded(text, 0) == text


def test_lines_break_at_spaces_and_are_indented() -> None:
    assert wrapped("one two three", 9, "- ") == ["- one two", "  three"]
    assert wrapped("", 9) == [""]


def test_japanese_never_breaks_before_a_full_stop() -> None:
    lines = wrapped("日本語です。次の行。", 8)
    assert all(width(line) <= 8 for line in lines)
    assert not any(line.startswith("。") for line in lines)
    assert "".join(lines) == "日本語です。次の行。"


def test_a_word_longer_than_a_line_is_cut() -> None:
    lines = wrapped("/a/very/long/path/to/a/file see", 10)
    assert all(width(line) <= 10 for line in lines)
    assert "".join(lines).replace(" ", "") == "/a/very/long/path/to/a/filesee"


def test_what_an_encoding_lacks_is_a_question_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert not can_print("✓")
    assert can_print("x")
    assert printable("✓ done") == "? done"


def test_colours_are_for_terminals_that_have_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert coloured("x", GREEN) == "x"  # pytest captures the output: not a terminal
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert coloured("x", GREEN) == "\x1b[32mx\x1b[0m"
    assert coloured("x", "") == "x"
    monkeypatch.setenv("NO_COLOR", "1")
    assert coloured("x", GREEN) == "x"
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert coloured("x", GREEN) == "x"
