"""The verdict's page, its lines for the terminal and its schema."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser

from challenges.minimal_service.grading.verdict import POINTS, Check, Series, Verdict, schema
from challenges.minimal_service.report.lessons import section
from challenges.minimal_service.report.page import html, write_html
from challenges.minimal_service.report.plots import Attempt, make_plots
from challenges.minimal_service.report.terminal import text
from challenges.minimal_service.report.words import figures
from learner.language import speaking
from learner.paths import ROOT
from tests.challenges.minimal_service import verdicts

ATTEMPTS: list[Attempt] = [
    (verdicts.WHEN - timedelta(hours=3), 31.0, False),
    (verdicts.WHEN - timedelta(hours=2), 44.5, False),
    (verdicts.WHEN - timedelta(hours=1), 101.0, True),
]
MADE = {"passed": verdicts.passed, "failed": verdicts.failed, "partly": verdicts.partly}
EVIL = """"><script>document.title='run'</script><img src=x onerror="document.title='run'">&amp;'"""
EMPTY = Series()
SCHEMA = ROOT / "challenges" / "minimal_service" / "report" / "verdict.schema.json"


@pytest.fixture(autouse=True)
def in_english() -> Iterator[None]:
    """Whatever the learner of this folder has chosen."""
    with speaking("en"):
        yield


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A page of each kind, one of them in Japanese, and one with hostile texts."""
    folder = tmp_path_factory.mktemp("report")
    for name, make in MADE.items():
        with speaking("ja" if name == "partly" else "en"):
            write_html(make(), folder / f"{name}.html", ATTEMPTS if name == "failed" else ())
    with speaking("en"):
        write_html(hostile(), folder / "hostile.html")
    return {path.stem: path for path in folder.iterdir()}


def hostile() -> Verdict:
    """Every text that could come from a submission tries to run something."""
    check = Check(id="x", passed=False, text=EVIL)
    result = verdicts.criterion(
        "load", "failed", cause=EVIL, checks=[check], measured={EVIL: 1.0}, lesson=EVIL
    )
    machine = verdicts.MACHINE.model_copy(update={"target_reason": EVIL})
    return verdicts.verdict([result], EMPTY, name=EVIL, machine=machine, not_checked=[EVIL])


def test_the_published_schema_is_that_of_the_code() -> None:
    assert SCHEMA.read_text("utf-8") == schema()
    published = json.loads(SCHEMA.read_text())
    of_code = Verdict.model_json_schema(mode="serialization")
    assert {key: published[key] for key in of_code} == of_code
    assert published["additionalProperties"] is False
    for make in MADE.values():
        jsonschema.validate(json.loads(make().model_dump_json()), published)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_in_a_browser(browser: Browser, pages: dict[str, Path], scheme: Any) -> None:
    """Nothing is loaded from anywhere, no script is needed, axe has nothing to say."""
    context = browser.new_context(color_scheme=scheme, offline=True)
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for name in ("failed", "passed") if scheme == "light" else ("failed", "partly"):
        page.set_viewport_size({"width": 1100 if name == "failed" else 320, "height": 800})
        page.goto(pages[name].as_uri())
        result = Axe().run(page)
        assert result.violations_count == 0, f"{name}\n{result.generate_report()}"
        assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]  # type: ignore[index]
    context.close()
    visited = {page.as_uri() for page in pages.values()}
    assert {url for url in asked if not url.startswith("data:")} <= visited


def test_texts_of_a_submission_run_nothing(browser: Browser, pages: dict[str, Path]) -> None:
    page = browser.new_page()
    page.goto(pages["hostile"].as_uri())
    assert page.title() != "run"
    assert page.locator("script, img").count() == 0
    assert page.locator("h1 bdi").inner_text() == EVIL
    assert page.locator(".checks li").inner_text().endswith(EVIL)
    assert page.get_by_text(EVIL).count() >= 5
    page.close()


def test_without_its_policy_a_hostile_page_is_still_harmless(pages: dict[str, Path]) -> None:
    """Escaping does it; the policy is a second lock."""
    page = pages["hostile"].read_text()
    assert "<script" not in page
    assert "<img" not in page
    assert "default-src 'none'" in page


def test_the_page_is_sound(browser: Browser, pages: dict[str, Path]) -> None:
    """Landmarks, headings in order, a table, ids once, links within the page that lead on."""
    page = browser.new_page()
    page.goto(pages["failed"].as_uri())
    levels = page.locator("h1, h2, h3").evaluate_all("all => all.map(one => +one.tagName[1])")
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert max(np.diff(levels)) == 1
    assert page.locator("main").count() == page.locator("header").count() == 1
    assert page.locator("#content table th[scope=row]").count() >= len(POINTS)
    ids = page.locator("[id]").evaluate_all("all => all.map(one => one.id)")
    assert len(ids) == len(set(ids))
    inside = page.locator("a[href^='#']").evaluate_all("all => all.map(one => one.hash.slice(1))")
    assert set(inside) <= set(ids)
    assert {name for name in POINTS if name in inside} == set(POINTS)
    used = re.findall(r"""(?:url\(|href=")#([\w-]+)""", pages["failed"].read_text())
    assert set(used) <= set(ids)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.close()


def test_it_prints_on_white_paper(browser: Browser, pages: dict[str, Path]) -> None:
    page = browser.new_page(color_scheme="dark")
    page.emulate_media(media="print")
    page.goto(pages["failed"].as_uri())
    paper = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(paper) == "rgb(255, 255, 255)"
    assert page.locator(".criterion .checks").first.is_visible()
    page.close()


def test_what_the_page_says(pages: dict[str, Path]) -> None:
    """Of a failed verdict: each criterion's points, checks, figures, cause and section."""
    verdict = verdicts.failed()
    page = pages["failed"].read_text()
    for result in verdict.criteria:
        article = page[page.index(f'<h3 id="{result.id}"') :]
        article = article[: article.index("</article>")]
        assert f"of {result.most}" in article
        assert all(check.text in article for check in result.checks)
        assert all(value in article for _name, value in figures(result))
        assert (result.cause is not None) == ("Likely cause" in article)
        found = section(result.lesson, Path("report.html"))
        assert found is not None
        assert found.text in article.replace("&#39;", "'")
    assert "56.7" in page
    assert "Start here" in page
    assert "31.4 GB/s" in page
    assert "Everything was checked." in page
    assert "Your attempts" in page
    whole = pages["passed"].read_text()
    assert "+12.6" in whole
    assert "Start here" not in whole
    assert "Your attempts" not in whole


def test_what_was_not_checked_is_named() -> None:
    verdict = verdicts.partly()
    page, lines = html(verdict, Path("report.html")), text(verdict, 100)
    for sentence in [*verdict.not_checked, verdict.machine.target_reason or ""]:
        assert sentence in page
        assert sentence in lines
    assert "quick" in page


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


def test_japanese_plots_complain_of_no_font(caplog: pytest.LogCaptureFixture) -> None:
    """matplotlib would tell the learner on standard error, a line a missing glyph or weight."""
    with speaking("ja"):
        made = make_plots(verdicts.failed())
    assert caplog.records == []
    assert all("font-family" not in plot.svg for plot in made)
