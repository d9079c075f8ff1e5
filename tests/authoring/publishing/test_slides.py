"""Slides: nothing overflows, they work offline, the speaker sees notes and timetables."""

from pathlib import Path

from playwright.sync_api import Browser

from authoring.publishing import slides, timetable
from notebooks.lab.lessons import lessons
from tests.authoring.publishing import pages, small_lessons
from tests.authoring.publishing.conftest import loaded_from_elsewhere

OVERFLOWING = """() => {
  Reveal.configure({margin: 0});
  const faults = [];
  for (let number = 0; number < Reveal.getTotalSlides(); number++) {
    Reveal.slide(number);
    const slide = Reveal.getCurrentSlide(), frame = slide.getBoundingClientRect();
    if (slide.scrollHeight > 721 || slide.scrollWidth > 1281) faults.push(slide.id + " scrolls");
    for (const part of slide.querySelectorAll("*:not(aside, aside *)")) {
      const box = part.getBoundingClientRect();
      if (box.width && (box.bottom > frame.bottom - 30 || box.right > frame.right - 30)) {
        faults.push(slide.id + ": " + part.tagName + " reaches " + [box.right, box.bottom]);
        break;
      }
    }
  }
  return faults;
}"""


def test_no_slide_overflows(decks: Path, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 720}, offline=True)
    elsewhere = loaded_from_elsewhere(page)
    for path in sorted(decks.glob("*/[0-9]*.html")):
        page.goto(path.as_uri())
        page.wait_for_function("window.Reveal && Reveal.isReady()")
        page.wait_for_function("[...document.images].every(image => image.complete)")
        assert page.evaluate(OVERFLOWING) == [], path
    assert elsewhere == []
    page.close()


def test_overflow_is_found(tmp_path: Path, browser: Browser) -> None:
    """The check itself: it finds a slide that was made too full."""
    source = small_lessons.write(tmp_path / "lessons", ("en",))
    slides.build(tmp_path / "slides", "en", notebooks=source)
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    page.goto((tmp_path / "slides" / "en" / "01_first.html").as_uri())
    page.wait_for_function("window.Reveal && Reveal.isReady()")
    page.evaluate(
        "document.querySelector('#recap').append(...Array(40).fill('x').map(text => {"
        "const p = document.createElement('p'); p.append(text); return p }))"
    )
    assert page.evaluate(OVERFLOWING)[0] == "recap scrolls"
    page.close()


def test_speaker_sees_the_notes(tmp_path: Path, browser: Browser) -> None:
    source = small_lessons.write(tmp_path / "lessons", ("en",))
    slides.build(tmp_path / "slides", "en", notebooks=source)
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto((tmp_path / "slides" / "en" / "01_first.html").as_uri())
    page.wait_for_function("window.Reveal && Reveal.isReady()")
    page.evaluate("Reveal.slide(2)")
    with context.expect_page() as opened:
        page.keyboard.press("s")
    opened.value.get_by_text("Ask who would look at the mean.").wait_for()
    context.close()


def test_links_and_pictures_of_the_decks(decks: Path) -> None:
    assert list(pages.broken(pages.read(decks))) == []
    for page in pages.read(decks).values():
        assert all(page.alts), page.path


def test_the_page_of_the_decks_has_the_timetables(decks: Path, source: Path) -> None:
    text = pages.Page(decks / "en" / "index.html").text
    assert "Arrow keys move" in text
    assert "<" not in text
    for total in timetable.LENGTHS:
        for slot in timetable.timetable(lessons("en", source), total):
            assert timetable.describe(slot) in text
