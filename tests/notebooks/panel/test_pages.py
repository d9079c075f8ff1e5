"""The panel on pages without a kernel, in a real browser: the recording, and the console."""

from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from playwright.sync_api import Browser, Page

from learner.language import LANGUAGES, speaking
from notebooks.panel.fallback import fallback_page
from tests.notebooks.panel.looking import (
    BUTTON,
    DARK,
    PICTURES,
    VERDICT,
    check,
    press,
    say,
    serious,
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


def test_console(page: Page, start_service: Any) -> None:
    service = start_service("--console")
    page.goto(f"{service.url}/console")
    panel = page.locator(".workshop-panel")
    panel.get_by_text('> Ready. Click "Simulate Deployment Flow" to run.').wait_for()
    press(panel, BUTTON)
    panel.locator(".dot").first.wait_for()
    panel.locator(".screen").get_by_text("all hashes as recorded").wait_for()
    say(panel, VERDICT)
    press(panel, "Sample photo: coffee")
    panel.get_by_text("espresso").wait_for()
    panel.screenshot(path=PICTURES / "en-8-console.png")
    assert serious(page, "body") == []
    page.set_viewport_size({"width": 360, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    panel.screenshot(path=PICTURES / "en-9-narrow.png")
    service.stop()
    say(panel, "The service does not answer")


def test_console_is_off_unless_asked_for(start_service: Any) -> None:
    service = start_service()
    assert httpx.get(f"{service.url}/console").status_code == 404
