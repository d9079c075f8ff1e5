"""The site's search: the index, and the field by keyboard, in every language, offline."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Locator, Page, expect

from authoring.publishing.search import Section, cut_sections, write_index
from learner.language import LANGUAGES
from tests.authoring.publishing.conftest import loaded_from_elsewhere
from tests.authoring.publishing.pages import Page as BuiltPage

PAGE = """
<div id="cell-id=top"><h1>The queue</h1><p>What people remember<br>most.</p></div>
<div id="cell-id=tail"><h2>1. How <em>long</em> is <code>p99</code>?</h2>
<p>Who learns most &amp; fastest; 2番目を試す; bandwidth.</p><script>hidden()</script>
<pre><span>predict</span><span>(</span>x)</pre></div>
"""


def read_index(folder: Path) -> list[Section]:
    text = (folder / "sections.js").read_text(encoding="utf-8")
    rows = json.loads(text.removeprefix("globalThis.SECTIONS = ").rstrip().removesuffix(";"))
    return [Section(*row) for row in rows]


def test_sections_have_place_heading_and_seen_text() -> None:
    first, second = cut_sections(PAGE, "02_a.html", "The queue")
    assert first == Section(
        "02_a.html#cell-id=top", "The queue", "The queue", "What people remember most."
    )
    assert second == Section(
        "02_a.html#cell-id=tail",
        "The queue",
        "1. How long is p99?",
        "Who learns most & fastest; 2番目を試す; bandwidth. predict(x)",
    )


def test_index_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    sections = [Section("a.html#b", 'With "quotes"', "</script>", "一行\u2028二行")]
    (tmp_path / "sections.js").write_text(write_index(sections), encoding="utf-8")
    assert read_index(tmp_path) == sections


def test_index_has_every_heading_of_every_page(built_site: Path) -> None:
    for code in LANGUAGES:
        sections = read_index(built_site / code)
        assert sections
        for path in (built_site / code).glob("*.html"):
            page = BuiltPage(path)
            letters = page.text.replace(" ", "")
            own = [one for one in sections if one.href.split("#")[0] == path.name]
            assert len(own) == (0 if path.name == "index.html" else count_headings(path))
            for section in own:
                assert section.href.split("#")[1] in page.ids
                assert section.heading.replace(" ", "") in letters


def count_headings(path: Path) -> int:
    text = path.read_text(encoding="utf-8")
    return sum(text.count(f"<{tag}>") + text.count(f"<{tag} ") for tag in ("h1", "h2", "h3"))


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page as narrow as a phone, without network."""
    page = browser.new_page(offline=True, viewport={"width": 320, "height": 800})
    yield page
    page.close()


def ask(page: Page, text: str) -> Locator:
    """Search by keyboard; return the links that are found."""
    page.keyboard.press("/")
    page.keyboard.type(text)
    expect(page.locator(".found")).to_be_visible()
    return page.locator(".found a")


def widen(text: str) -> str:
    """Return the text in capitals and with full-width letters, as Japanese keyboards type it."""
    return "".join(chr(ord(one) + 0xFEE0) if "!" <= one <= "~" else one for one in text.upper())


@pytest.mark.parametrize("code", LANGUAGES)
def test_keyboard_leads_to_a_section(built_site: Path, page: Page, code: str) -> None:
    elsewhere = loaded_from_elsewhere(page)
    wanted = read_index(built_site / code)[1]
    page.goto((built_site / code / "index.html").as_uri())
    # Words in another order, and the end of the heading without the start of its word.
    links = ask(page, widen(" ".join(wanted.heading[4:].split()[::-1])))
    assert links.first.get_attribute("href") == wanted.href
    page.keyboard.press("ArrowDown")
    expect(links.first).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(page.locator("[role=search] input")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{(built_site / code).as_uri()}/{wanted.href}")
    heading = page.get_by_role("heading", name=wanted.heading, exact=True)
    expect(heading).to_be_in_viewport()
    ask(page, wanted.heading)
    page.keyboard.press("Enter")  # follows the first link, to this page
    expect(page.locator(".found")).to_be_hidden()
    assert elsewhere == []


def test_snippet_marks_the_words(built_site: Path, page: Page) -> None:
    page.goto((built_site / "en" / "index.html").as_uri())
    ask(page, "most")
    snippet = page.locator(".found li p").first
    assert snippet.locator("mark").first.inner_text().lower() == "most"
    assert 4 < len(snippet.inner_text()) < 200


def test_escape_empties_the_field_then_leaves_it(built_site: Path, page: Page) -> None:
    page.goto((built_site / "en" / "index.html").as_uri())
    field = page.locator("[role=search] input")
    ask(page, "mo/st")
    expect(field).to_have_value("mo/st")
    page.keyboard.press("Escape")
    expect(page.locator(".found")).to_be_hidden()
    expect(field).to_be_focused()
    expect(field).to_have_value("")
    page.keyboard.press("Escape")
    expect(field).not_to_be_focused()


def test_results_close_when_focus_leaves_them(built_site: Path, page: Page) -> None:
    page.goto((built_site / "en" / "index.html").as_uri())
    ask(page, "most")
    page.keyboard.press("Shift+Tab")
    expect(page.locator(".found")).to_be_hidden()


def test_words_that_nothing_contains_are_said_so(built_site: Path, page: Page) -> None:
    page.goto((built_site / "en" / "index.html").as_uri())
    assert ask(page, "most qqqq").count() == 0
    expect(page.get_by_role("status")).to_have_text("No section contains all of these words.")


def test_no_field_without_javascript(built_site: Path, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((built_site / "en" / "index.html").as_uri())
    expect(page.locator("header")).to_be_visible()
    expect(page.locator("[role=search]")).to_be_hidden()
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault_in_results(built_site: Path, page: Page, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto((built_site / "en" / "index.html").as_uri())
    assert ask(page, "e").count() > 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    result = Axe().run(page)
    assert result.violations_count == 0, result.generate_report()
