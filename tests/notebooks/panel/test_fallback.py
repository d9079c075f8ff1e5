"""The recording on a page without a kernel, in a real browser."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from learner.language import LANGUAGES, speaking
from notebooks.panel.fallback import RECORDING, fallback_page
from service.settings import ROOT
from tests.notebooks.panel.looking import (
    BUTTON,
    DARK,
    PICTURES,
    check,
    press,
)


@pytest.fixture(autouse=True, scope="module")
def pictures() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)


@pytest.mark.parametrize("code", LANGUAGES)
def test_recording(page: Page, tmp_path: Path, code: str) -> None:
    with speaking(code):
        html = f"<!doctype html><html lang={code}><title>x</title><body>{fallback_page()}"
    (tmp_path / "page.html").write_text(html)
    page.goto((tmp_path / "page.html").as_uri())
    panel = page.locator(".workshop-panel")
    assert panel.get_attribute("data-home") == "recording"
    assert panel.locator(".banner").is_visible()
    check(page, DARK)
    press(panel, BUTTON)
    panel.locator(".dot.every-request").first.wait_for()
    panel.screenshot(path=PICTURES / f"{code}-6-recording.png")
    panel.locator(".sample").first.click()
    panel.get_by_text("espresso").wait_for()


def test_recording_without_script(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(f"<!doctype html><title>x</title>{fallback_page()}")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    assert "This is a recording" in page.inner_text("body")
    assert "all hashes as recorded" in page.inner_text("body")
    context.close()


def test_recording_is_small_and_names_no_machine() -> None:
    page = fallback_page()
    assert len(page) < 250_000
    assert "This is a recording of a real run" in page
    recorded = RECORDING.read_text()
    assert RECORDING.stat().st_size < 60_000
    for text in (page, recorded):
        assert str(ROOT) not in text
        assert str(Path.home()) + "/" not in text
    assert "model not found" not in re.sub(r"<script>.*</script>", "", page, flags=re.DOTALL)
