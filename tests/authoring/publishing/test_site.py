"""The site: complete, offline, readable for everyone, in every language, without quiz answers."""

import html
import itertools
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser

from authoring.publishing import site
from learner.errors import LearnerError
from learner.language import LANGUAGES, pgettext, speaking
from notebooks.lab.lessons import lessons
from service.settings import ROOT
from tests.authoring.publishing import pages
from tests.authoring.publishing.conftest import loaded_from_elsewhere

LOOKS = [("light", 1280), ("dark", 320)]


MISSING_PICTURES = (
    '[...document.images].filter(i => i.getAttribute("src") && !i.naturalWidth).map(i => i.alt)'
)


def test_links_work_and_nothing_is_loaded_from_elsewhere(built_site: Path) -> None:
    assert list(pages.broken(pages.read(built_site))) == []
    for sheet in built_site.rglob("*.css"):
        assert not re.search(r"url\(|@import", sheet.read_text())


def test_link_checker_finds_broken_links(built_site: Path, tmp_path: Path) -> None:
    page = tmp_path / "a.html"
    page.write_text(
        '<p id="a"><p id="a"><a href="b.html"></a><a href="#b"></a><img src="https://x.y/z.png">'
        '<script>import x from "https://x.y/z.js"</script><link rel="stylesheet" href="c.css">'
    )
    assert len(list(pages.broken(pages.read(tmp_path)))) == 6


def test_every_page_leads_to_its_translations(built_site: Path, source: Path) -> None:
    there = [code for code in LANGUAGES if lessons(code, source)]
    for code in there:
        for path in (built_site / code).glob("*.html"):
            page = pages.Page(path)
            assert page.language == code
            for other in there:
                assert f"../{other}/{path.name}" in page.links


def test_lessons_lead_to_the_next_and_the_previous(built_site: Path, source: Path) -> None:
    names = [f"{lesson.name}.html" for lesson in lessons("en", source)]
    for before, after in itertools.pairwise(names):
        assert f'rel="next" href="{after}"' in (built_site / "en" / before).read_text()
        assert f'rel="prev" href="{before}"' in (built_site / "en" / after).read_text()


def test_contents_have_title_minutes_and_objectives(built_site: Path, source: Path) -> None:
    text = pages.Page(built_site / "en" / "index.html").text
    for lesson in lessons("en", source):
        assert lesson.title in text
        assert f"About {lesson.minutes:.0f} minutes" in text
        for objective in lesson.objectives:
            first = re.sub(r"[*`]", "", objective).split("](")[0].replace("[", "")
            assert first[:20] in text


def test_pictures_keep_their_words(built_site: Path) -> None:
    for page in pages.read(built_site).values():
        assert all(page.alts), page.path


def test_no_answer_is_given_away(built_site: Path) -> None:
    """No page contains the feedback on an answer, in any language."""
    shown = {path.parent.name: "" for path in built_site.glob("*/*.html")}
    for path in built_site.glob("*/*.html"):
        shown[path.parent.name] += path.read_text()
    for code, text in shown.items():
        with speaking(code):
            for said in feedback():
                assert html.escape(said, quote=False) not in text
                assert html.escape(said) not in text


def feedback() -> list[str]:
    """Return all feedback of the quiz, in English and in the current language."""
    found: list[str] = []

    def collect(part: Any, context: str) -> None:
        if isinstance(part, dict):
            for key, value in part.items():
                if key.startswith("feedback"):
                    found.extend({value, pgettext(context, value)})
                collect(value, part.get("id", context))
        elif isinstance(part, list):
            for one in part:
                collect(one, context)

    for file in sorted((ROOT / "quizzes" / "questions").glob("*.toml")):
        collect(tomllib.loads(file.read_text()), "")
    return found


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_pages_in_a_browser(built_site: Path, browser: Browser, scheme: Any, width: int) -> None:
    """No request leaves the page, it fits the screen, every picture is there."""
    page = browser.new_page(
        color_scheme=scheme, viewport={"width": width, "height": 800}, offline=True
    )
    elsewhere = loaded_from_elsewhere(page)
    for path in sorted(built_site.rglob("*.html")):
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert page.evaluate(MISSING_PICTURES) == [], path
    assert elsewhere == []
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault(built_site: Path, browser: Browser, scheme: Any) -> None:
    page = browser.new_page(color_scheme=scheme, viewport={"width": 320, "height": 800})
    first = sorted((built_site / "en").glob("0*.html"))[0]
    glossary = first.with_name("glossary.html")
    index = first.with_name("index.html")
    for path in filter(Path.exists, (built_site / "index.html", index, first, glossary)):
        page.goto(path.as_uri())
        result = Axe().run(page)
        assert result.violations_count == 0, f"{path}\n{result.generate_report()}"
    page.close()


def test_skip_link_comes_first_and_leads_to_the_content(built_site: Path, browser: Browser) -> None:
    page = browser.new_page()
    page.goto((built_site / "en" / "index.html").as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    page.close()


def test_a_folder_with_other_files_is_left_alone(source: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(LearnerError, match="has other files in it"):
        site.build(tmp_path, notebooks=source)
    assert (tmp_path / "mine.txt").exists()
