"""What the browser tests of the panel share: press buttons, read texts, check accessibility."""

import json
import re
import time
from typing import Any

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Locator, Page

from service.settings import ROOT

PICTURES = ROOT / "reports" / "panel"
BUTTON = "Simulate Deployment Flow"
VERDICT = re.compile("^(Target (met|missed))")
DARK = "document.body.dataset.jpThemeLight = 'false'"
LIGHT = "document.body.dataset.jpThemeLight = 'true'"


def press(panel: Locator, name: str) -> None:
    panel.get_by_role("button", name=name).first.click()


def say(panel: Locator, words: str | re.Pattern[str]) -> None:
    """Wait for a sentence under the button."""
    panel.locator(".controls > .sentence").get_by_text(words).or_(
        panel.locator(".controls > .sentence").filter(has_text=words)
    ).first.wait_for()


def serious(page: Page, selector: str = ".workshop-panel") -> list[str]:
    """Return the serious and critical findings of axe within the panel."""
    violations = Axe().run(page, context=selector).response["violations"]
    return [
        f"{one['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:200]}"
        for one in violations
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


def check(page: Page, *themes: str) -> None:
    for theme in themes:
        page.evaluate(theme)
        assert serious(page) == []


def height(panel: Locator) -> float:
    box = panel.bounding_box()
    assert box is not None
    return round(box["height"])


def read_spoken(page: Page, panel: Locator) -> list[dict[str, Any]]:
    """Return what a screen reader gets: role, name and properties of each node."""
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    by_id = {node["nodeId"]: node for node in nodes}
    label = panel.get_attribute("aria-label")
    tops = [one for one in nodes if one.get("name", {}).get("value") == label]
    spoken: list[dict[str, Any]] = []
    queue = tops[:1]
    while queue:
        node = queue.pop(0)
        queue += [by_id[child] for child in node.get("childIds", []) if child in by_id]
        if not node["ignored"]:
            spoken.append(
                {one["name"]: one["value"].get("value") for one in node.get("properties", [])}
                | {key: node.get(key, {}).get("value") for key in ("role", "name")}
            )
    return spoken


def note(**measured: Any) -> None:
    path = PICTURES / "measured.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**known, **measured}, indent=1) + "\n")
    print(measured)


def milliseconds_until_shown(panel: Locator) -> list[float]:
    """Return for each line of the start the ms from its writing to its display in the browser."""
    delays = []
    for line in panel.locator(".screen .step").all():
        stamp = re.search(r"T(\d+):(\d+):(\d+)\.(\d+)Z", line.inner_text())
        shown = int(line.get_attribute("data-shown") or 0)
        if stamp:
            hours, minutes, seconds, ms = map(int, stamp.groups())
            written = ((hours * 60 + minutes) * 60 + seconds) * 1000 + ms
            utc = time.gmtime(shown / 1000)
            day = ((utc.tm_hour * 60 + utc.tm_min) * 60 + utc.tm_sec) * 1000 + shown % 1000
            delays.append(float(day - written))
    return delays
