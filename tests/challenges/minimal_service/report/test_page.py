"""The verdict's page is sound, loads nothing, and runs nothing."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser

from challenges.minimal_service.grading.verdict import POINTS, Check, Series, Verdict
from challenges.minimal_service.report.lessons import section
from challenges.minimal_service.report.page import html, write_html
from challenges.minimal_service.report.plots import Attempt
from challenges.minimal_service.report.terminal import text
from challenges.minimal_service.report.words import figures
from learner.language import speaking
from tests.challenges.minimal_service import verdicts

MADE = {"passed": verdicts.passed, "failed": verdicts.failed, "partly": verdicts.partly}
ATTEMPTS: list[Attempt] = [
    (verdicts.WHEN - timedelta(hours=3), 31.0, False),
    (verdicts.WHEN - timedelta(hours=2), 44.5, False),
    (verdicts.WHEN - timedelta(hours=1), 101.0, True),
]
EVIL = """"><script>document.title='run'</script><img src=x onerror="document.title='run'">&amp;'"""
EMPTY = Series()


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
    """A failed verdict shows each criterion's points, checks, figures, cause and section."""
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
