"""The slides: nothing overflows, offline, with notes; the timetables add up."""

import itertools
from pathlib import Path
from typing import Any

import nbformat.v4 as v4
import pytest
from playwright.sync_api import Browser

from authoring.publishing import slide_cells, slides, timetable
from learner.errors import LearnerError
from notebooks.lab.lessons import Lesson, lessons
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
    """A slide that is made too full after the lesson was cut."""
    source = small_lessons.write(tmp_path / "lessons", ("en",))
    slides.build(tmp_path / "slides", "en", stored=True, notebooks=source)
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
    slides.build(tmp_path / "slides", "en", stored=True, notebooks=source)
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


def test_every_idea_has_its_slide(source: Path, decks: Path) -> None:
    for lesson in lessons("en", source):
        page = pages.Page(decks / "en" / f"{lesson.name}.html")
        for cell in lesson.notebook.cells:
            if cell.id not in slide_cells.LEFT_OUT and not cell.source.startswith("ask"):
                assert cell.id in page.ids, cell.id


@pytest.mark.parametrize("count", [1, 20, 21, 22, 42, 43, 64])
def test_a_long_listing_loses_no_line(count: int) -> None:
    lines = [f"line {number}" for number in range(count)]
    listed = {"text/html": "<pre>" + "\n".join(lines) + "</pre>", "text/plain": "\n".join(lines)}
    listing = v4.new_output("display_data", data=listed)  # type: ignore[no-untyped-call]
    printed = small_lessons.text("stream", "\n".join(lines) + "\n")
    cell = small_lessons.code_cell("long", "show()", listing, printed)
    notebook = v4.new_notebook(cells=[cell])  # type: ignore[no-untyped-call]
    slides_of_it = slide_cells.cut(Lesson(Path("x.ipynb"), notebook), "").cells
    said = [output for slide in slides_of_it for output in slide.outputs]
    shown = [part.data["text/html"][5:-6] for part in said if "data" in part]
    assert "\n".join(shown).split("\n") == lines
    assert "\n".join(part.text for part in said if "text" in part).split("\n") == lines


def make(*minutes: tuple[float, ...]) -> list[Lesson]:
    """Lessons with sections of these minutes."""
    made = []
    for number, sections in enumerate(minutes, 1):
        cells: list[Any] = [small_lessons.md("title", f"# {number} · Lesson")]
        cells += [
            small_lessons.md(f"s{place}", f"## Section {place}", minutes=length)
            for place, length in enumerate(sections, 1)
        ]
        notebook = v4.new_notebook(cells=cells)  # type: ignore[no-untyped-call]
        made.append(Lesson(Path(f"0{number}_x.ipynb"), notebook))
    return made


LESSONS = make(*[(6, 7, 5, 6.5, 4)] * 6)


@pytest.mark.parametrize("total", [90, 120, 210, 300, 390])
def test_timetable_fills_its_time_and_gives_rest(total: int) -> None:
    slots = timetable.timetable(LESSONS, total)
    assert [slot.start for slot in slots] == [
        sum(slot.minutes for slot in slots[:number]) for number in range(len(slots))
    ]
    assert sum(slot.minutes for slot in slots) == total
    at_work = 0
    for slot in slots:
        at_work = 0 if slot.kind in ("break", "lunch") else at_work + slot.minutes
        assert at_work <= 120
    taught = [slot for slot in slots if slot.lesson is not None]
    for lesson in LESSONS:
        parts = [(slot.first, slot.last) for slot in taught if slot.lesson is lesson]
        assert parts[0][0] == 1
        assert all(before[1] + 1 == after[0] for before, after in itertools.pairwise(parts))
    known = sum(slot.last - slot.first + 1 for slot in taught)
    assert known + len(timetable.left_out(LESSONS, slots)) == 30


def test_a_day_has_room_for_everything_and_the_challenge() -> None:
    slots = timetable.timetable(LESSONS, 390)
    assert timetable.left_out(LESSONS, slots) == []
    assert {slot.kind for slot in slots} == {
        *("welcome", "lesson", "break", "lunch", "practice", "close")
    }


def test_too_short_a_time_is_one_sentence() -> None:
    with pytest.raises(LearnerError, match="too short"):
        timetable.timetable(LESSONS, 30)


def test_timetable_of_the_lessons_is_on_the_decks_page(decks: Path, source: Path) -> None:
    text = pages.Page(decks / "en" / "index.html").text
    assert "Arrow keys move" in text
    assert "<" not in text
    for total in timetable.LENGTHS:
        for slot in timetable.timetable(lessons("en", source), total):
            assert timetable.describe(slot) in text
