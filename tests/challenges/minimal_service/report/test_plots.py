"""Plots show the figures, and their texts say them."""

import re
from pathlib import Path

import pytest

from challenges.minimal_service.grading.verdict import Series
from challenges.minimal_service.report.page import html
from challenges.minimal_service.report.plots import make_plots
from learner.language import speaking
from tests.challenges.minimal_service import verdicts

EMPTY = Series()


def test_alternative_texts_say_the_figures() -> None:
    """A small load whose percentiles are known: 1 … 98 ms, then two lost."""
    series = Series(
        due_s=[number / 50 for number in range(100)],
        latency_ms=[*(float(one) for one in range(1, 99)), None, None],
        steps_rate=[60, 70, 80],
        steps_p99_ms=[20.0, 49.0, None],
        memory_s=[0, 1, 2],
        memory_mib=[500, 700, 600],
    )
    made = make_plots(verdicts.verdict([verdicts.criterion("memory")], series))
    time, share, rate, memory = (re.findall('aria-label="([^"]*)"', plot.svg)[0] for plot in made)
    assert "100 requests in 2 s. Fewer than 99 % got a right answer." in time
    assert "49 took 50 ms or more, 2 got no right answer." in time
    assert "50 % within 51 ms. 90 % within 91 ms. 2 % got no right answer." in share
    assert "99 % within" not in share
    assert "50 requests a second: errors. 60 requests a second: p99 20 ms." in rate
    assert "80 requests a second: errors." in rate
    assert made[2].caption.startswith("70 requests a second is the most")
    assert "500 MiB at the start of the load, 600 MiB at its end, 700 MiB at most." in memory
    assert "At most 640 MiB are accepted." in memory


def test_plots_show_the_figures() -> None:
    """Every request has its dot, every lost one its cross, and late ones another colour."""
    latency: list[float | None] = [10.0, 20.0, 80.0, None, None, None]
    series = Series(due_s=[0, 1, 2, 3, 4, 5], latency_ms=latency)
    svg = make_plots(verdicts.verdict([], series))[0].svg
    dots = {"good": 0, "bad": 0}
    for path, style in re.findall(r'<path d="([^"]*)"[^>]*style="([^"]*linecap: round[^"]*)"', svg):
        for colour in dots:
            if f"var(--{colour})" in style:
                dots[colour] += path.count("M")
    assert dots == {"good": 2, "bad": 1}
    assert len(re.findall(r'<use href="#time-m\w+"[^>]*var\(--bad\)', svg)) == 3
    assert not re.search("#0101", svg), "a colour that no style sheet knows"


@pytest.mark.parametrize(
    "series",
    [
        EMPTY,
        Series(due_s=[0.5], latency_ms=[12.0], memory_s=[0.0], memory_mib=[100.0]),
        Series(due_s=[0.5, 0.6], latency_ms=[None, None], steps_rate=[60], steps_p99_ms=[None]),
        Series(due_s=[0.1, 0.2], latency_ms=[0.001, 90_000.0]),
    ],
    ids=["nothing", "one request", "all lost", "extremes"],
)
def test_odd_loads_are_drawn(series: Series) -> None:
    page = html(verdicts.verdict([verdicts.criterion("memory")], series), Path("x.html"))
    assert page.count("<svg") == len(make_plots(verdicts.verdict([], series)))
    assert ("nothing to draw" in page) == (series == EMPTY)


def test_japanese_plots_miss_no_font(caplog: pytest.LogCaptureFixture) -> None:
    """matplotlib would tell the learner on standard error, a line a missing glyph or weight."""
    with speaking("ja"):
        made = make_plots(verdicts.failed())
    assert caplog.records == []
    assert all("font-family" not in plot.svg for plot in made)
