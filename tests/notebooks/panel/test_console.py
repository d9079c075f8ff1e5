"""The console's page in a real browser."""

from typing import Any

import httpx2 as httpx
from playwright.sync_api import Page

from tests.notebooks.panel.looking import BUTTON, PICTURES, VERDICT, press, say, serious


def test_console(page: Page, start_service: Any) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
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
