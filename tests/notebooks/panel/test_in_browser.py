"""The panel in a real JupyterLab, in a real browser. Pictures go to reports/panel/."""

import importlib.util
import re
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Locator, Page

from learner.language import LANGUAGES
from service.artifact.sample_photos import SAMPLE_PHOTOS
from tests.conftest import wait_until
from tests.notebooks.panel.jupyterlab import CELLS, Lab, jupyterlab
from tests.notebooks.panel.looking import (
    BUTTON,
    DARK,
    LIGHT,
    PICTURES,
    VERDICT,
    check,
    height,
    milliseconds_until_shown,
    note,
    press,
    read_spoken,
    say,
    serious,
)

FIRST_PREDICTION_S = 6.0
ON_SCREEN_MS = 200
NOISE = 4
"""The bounds hold on an idle machine. Tests run in parallel, so they fail at this multiple only.
Measured values are printed, and written to reports/panel/measured.json."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    PICTURES.mkdir(parents=True, exist_ok=True)
    with jupyterlab(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture(autouse=True)
def no_kernels_left(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "lab" in request.fixturenames:
        request.getfixturevalue("lab").shut_down()


def services(lab: Lab) -> list[str]:
    """Command lines of what panels in this JupyterLab have started."""
    commands = []
    for process in psutil.process_iter():
        try:
            words = " ".join(process.cmdline())
            ours = process.environ().get("TMPDIR") == str(lab.folder.parent / "tmp")
        except psutil.Error:
            continue
        if ours and re.search(r"inference_service|naive_service|guard.py delete", words):
            commands.append(words)
    return commands


def nothing_left(lab: Lab, seconds: float = 20) -> None:
    wait_until(lambda: not services(lab), seconds)
    wait_until(lambda: not files(lab), seconds)


def files(lab: Lab) -> list[str]:
    return [path.name for path in (lab.folder.parent / "tmp").glob("workshop-*")]


def test_whole_flow(lab: Lab, page: Page, tmp_path: Path) -> None:
    lab.write("flow.ipynb", *CELLS)
    panel = lab.run(page, "flow.ipynb")
    assert panel.get_by_text("Simulate flow to view loaded production artifacts.").is_visible()
    assert panel.get_by_text('> Ready. Click "Simulate Deployment Flow" to run.').is_visible()
    panel.screenshot(path=PICTURES / "en-1-before.png")

    begun = time.monotonic()
    press(panel, BUTTON)
    panel.locator(".code .lit").first.wait_for()
    panel.locator(".screen .step").first.wait_for()
    panel.screenshot(path=PICTURES / "en-2-running.png")
    panel.locator(".dot").first.wait_for()
    first_s = time.monotonic() - begun
    lit = panel.locator(".code .lit").filter(has_text="model.runner.classify")
    page.wait_for_timeout(600)  # the pane scrolls there smoothly
    pane, line = panel.locator(".code").bounding_box(), lit.bounding_box()
    assert pane is not None
    assert line is not None
    assert pane["y"] <= line["y"] <= pane["y"] + pane["height"] - line["height"]
    say(panel, VERDICT)
    late = milliseconds_until_shown(panel)
    assert len(late) >= 6
    note(
        click_to_first_prediction_s=round(first_s, 2),
        line_on_screen_ms_median=sorted(late)[len(late) // 2],
        line_on_screen_ms_most=max(late),
    )
    assert first_s <= FIRST_PREDICTION_S * NOISE
    assert sorted(late)[len(late) // 2] <= ON_SCREEN_MS * NOISE

    press(panel, "Sample photo: cat")
    panel.get_by_text("Egyptian cat").wait_for()
    photo = tmp_path / "coffee.png"
    photo.write_bytes(SAMPLE_PHOTOS[0].read())
    panel.locator("input[type=file]").set_input_files(photo)
    panel.get_by_text("espresso").wait_for()
    panel.locator(".headline").get_by_text("efficientnet-lite0 1.0.0").wait_for()
    panel.screenshot(path=PICTURES / "en-3-ready.png")
    check(page, DARK, LIGHT)
    text = tmp_path / "notes.txt"
    text.write_text("hello")
    panel.locator("input[type=file]").set_input_files(text)
    panel.get_by_text("are not an image; send JPEG, PNG or WebP").wait_for()
    check_what_is_spoken(page, panel)

    press(panel, "Kill the process")
    say(panel, re.compile("^Back: "))
    page.set_viewport_size({"width": 1440, "height": 900})  # the button is far below the verdict
    panel.get_by_role("button", name="Flip a bit").scroll_into_view_if_needed()
    page.mouse.wheel(0, 400)
    before = height(panel)
    press(panel, "Flip a bit")
    panel.locator(".screen").get_by_text("The service that runs is asked to stop first").wait_for()
    panel.locator(".headline").get_by_text("Simulate flow to view").wait_for()
    assert height(panel) == before  # nothing on the page jumps when the inspector has nothing
    say(panel, re.compile("^Refused, as it must be"))
    verdict = panel.locator(".inspector .sentence").filter(has_text="Refused, as it must be")
    assert is_in_sight(page, verdict)
    page.screenshot(path=PICTURES / "en-4-in-sight.png")
    panel.locator(".screen").get_by_text("No service runs now").wait_for()
    assert height(panel) == before
    panel.screenshot(path=PICTURES / "en-4-refused.png")
    nothing_left(lab)


def is_in_sight(page: Page, part: Locator) -> bool:
    """Return whether the middle of a part is on the screen, and nothing lies over it."""
    box = part.bounding_box()
    assert box is not None
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    at = "([node, x, y]) => node.contains(document.elementFromPoint(x, y))"
    return bool(page.evaluate(at, [part.element_handle(), *middle]))


def check_what_is_spoken(page: Page, panel: Locator) -> None:
    nodes = read_spoken(page, panel)
    controls = [one for one in nodes if one["role"] in ("button", "DisclosureTriangle", "img")]
    assert len(controls) > 15
    assert [one for one in controls if not one["name"]] == []
    names = [one["name"] for one in controls if one["role"] == "button"]
    assert len(names) == len(set(names))
    regions = [one for one in nodes if one["role"] in ("region", "log", "group", "list")]
    assert {"Source code", "Try it", "Progress", "When are the weights loaded?"} <= {
        one["name"] for one in regions
    }
    (log,) = [one for one in nodes if one["role"] == "log"]
    assert log.get("live") in (None, "off")  # a hundred requests a run are not read out
    voice = panel.locator(".terminal [aria-live=polite] p")
    spoken = voice.all_inner_texts()
    assert 5 < len(spoken) <= 12
    assert not any("POST" in line or re.match(r"\d\d:", line) for line in spoken)
    assert voice.first.get_attribute("lang") == "en"


def test_many_presses_and_a_restarted_kernel_leave_nothing(lab: Lab, page: Page) -> None:
    lab.write("restart.ipynb", *CELLS, "import time\ntime.sleep(8)")
    panel = lab.run(page, "restart.ipynb")
    box = panel.get_by_role("button", name=BUTTON).bounding_box()
    assert box is not None
    for _press in range(20):  # with the mouse: Playwright's own click waits for the button
        page.mouse.click(box["x"] + 20, box["y"] + 10)
    panel.locator(".dot").first.wait_for()
    assert sum("guard.py" in one for one in services(lab)) == 1
    press(panel, "Stop")
    say(panel, "The service has stopped")
    nothing_left(lab)

    lab.execute(page, 1)
    press(panel, BUTTON)
    # JupyterLab may hand the message to a thread of its own in the kernel. If not, the panel
    # says that the kernel is busy, and goes on when the cell is done.
    say(panel, re.compile("^(The service is ready|Target)"))
    press(panel, "Stop")
    say(panel, "The service has stopped")

    press(panel, "Flip a bit")
    wait_until(lambda: bool(services(lab)))
    kernel = next(
        one["kernel"]["id"] for one in lab.get("api/sessions") if one["path"] == "restart.ipynb"
    )
    lab.ask("POST", f"api/kernels/{kernel}/restart")
    nothing_left(lab)
    press(panel, BUTTON)
    say(panel, "The kernel does not answer")


def test_two_panels_and_a_second_view(lab: Lab, page: Page) -> None:
    lab.write("two.ipynb", CELLS[0] + "\npanel()", "one = panel(); one", "one")
    lab.run(page, "two.ipynb")
    for _cell in range(2):
        page.keyboard.press("Shift+Enter")
    panels = page.locator(".workshop-panel[data-home=lab]")
    panels.nth(2).wait_for()
    press(panels.nth(0), BUTTON)
    press(panels.nth(1), BUTTON)
    say(panels.nth(0), VERDICT)
    say(panels.nth(2), VERDICT)
    urls = [
        panels.nth(n).locator(".screen .step").get_by_text("ready    http").inner_text()
        for n in range(3)
    ]
    assert urls[0] != urls[1] == urls[2]
    page.locator(".lm-TabBar-tabCloseIcon").last.click()  # the notebook; its kernel goes on
    page.get_by_role("button", name="Discard").click()
    nothing_left(lab, 30)


def test_whole_flow_by_keyboard(lab: Lab, page: Page) -> None:
    lab.write("keyboard.ipynb", *CELLS)
    panel = lab.run(page, "keyboard.ipynb")

    def focus(name: str) -> None:
        for _tab in range(60):
            focused = page.evaluate(
                "document.activeElement.getAttribute('aria-label')"
                " ?? document.activeElement.textContent"
            )
            inside = page.evaluate("Boolean(document.activeElement.closest('.workshop-panel'))")
            if inside and name in focused:
                return
            page.keyboard.press("Tab")
        raise AssertionError(f"Tab does not come to {name}")

    panel.get_by_role("button", name=BUTTON).focus()
    page.keyboard.press("Enter")
    say(panel, VERDICT)
    focus("Kill the process")
    page.keyboard.press("Space")
    say(panel, re.compile("^Back: "))
    focus("Sample photo: coffee")
    page.keyboard.press("Enter")
    panel.get_by_text("espresso").wait_for()
    panel.get_by_role("button", name=BUTTON).focus()
    focus("Stop")
    page.keyboard.press("Enter")
    say(panel, "The service has stopped")
    for focused in (panel.get_by_role("button", name="Stop"), panel.locator(".code")):
        focused.focus()
        for key in "abx":  # JupyterLab's keys for a cell above, a cell below, cut this one
            page.keyboard.press(key)
    assert page.locator(".jp-CodeCell").count() == 2  # no key has reached the notebook
    page.keyboard.press("Control+s")  # but this one
    wait_until(lambda: "workshop-recording" in (lab.folder / "keyboard.ipynb").read_text())
    nothing_left(lab)


@pytest.mark.parametrize("code", [code for code in LANGUAGES if code != "en"])
def test_languages(lab: Lab, page: Page, code: str) -> None:
    """One of them in Notebook 7, where that is installed."""
    notebook_7 = code == "id" and importlib.util.find_spec("notebook")
    set_language = f"import os\nos.environ['WORKSHOP_LANGUAGE'] = '{code}'\n"
    lab.write(f"{code}.ipynb", set_language + CELLS[0])
    page.set_viewport_size({"width": 1400, "height": 1600})
    panel = lab.run(page, f"{code}.ipynb", "notebooks" if notebook_7 else "lab/tree")
    assert panel.get_attribute("lang") == code
    panel.screenshot(path=PICTURES / f"{code}-1-before.png")
    press(panel, BUTTON)
    panel.locator(".screen .step").first.wait_for()
    panel.screenshot(path=PICTURES / f"{code}-2-running.png")
    panel.locator(
        ".controls > .sentence[data-kind=good], .controls > .sentence[data-kind=bad]"
    ).wait_for()
    panel.locator(".sample").nth(1).click()
    panel.locator(".bars li").first.wait_for()
    panel.screenshot(path=PICTURES / f"{code}-3-ready.png")
    assert serious(page) == []
    panel.locator("[data-do=tamper]").click()
    panel.locator(".steps .failed").wait_for()
    panel.locator(".controls > .sentence[data-kind=good]").wait_for()
    panel.screenshot(path=PICTURES / f"{code}-4-refused.png")
    page.evaluate(DARK)
    panel.screenshot(path=PICTURES / f"{code}-5-dark.png")


def test_saved_notebook_that_is_reopened(lab: Lab, page: Page) -> None:
    """Its widget ended with its kernel: the recording appears instead of an error."""
    lab.write("saved.ipynb", *CELLS)
    panel = lab.run(page, "saved.ipynb")
    assert page.locator(".workshop-panel:visible").count() == 1
    page.keyboard.press("Control+s")
    saved = lab.folder / "saved.ipynb"
    wait_until(lambda: "workshop-recording" in saved.read_text())
    page.goto("about:blank")
    lab.shut_down()
    page.goto(f"{lab.url}/lab/tree/saved.ipynb?reset")
    panel = page.locator(".workshop-panel[data-home=recording]")
    panel.wait_for()
    assert panel.locator(".banner").is_visible()
    page.wait_for_timeout(500)
    assert not page.get_by_text("model not found").first.is_visible()
    panel.screenshot(path=PICTURES / "en-7-reopened.png")
