"""The panel in a page like the one in which VS Code shows a notebook's outputs.

This is not VS Code: the page does what the source code of VS Code and anywidget does. The outputs
of all cells are in one sandboxed frame without JupyterLab's classes; scripts of an HTML output are
removed and run again next to it; the widget is imported from a `blob:` address. With the
experimental setting `notebook.experimental.enableCsp`, widgets of anywidget cannot be imported.
"""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, FrameLocator, Page, Route

from learner.language import speaking
from notebooks.panel import widget
from notebooks.panel.fallback import fallback_page
from notebooks.panel.widget import Panel, panel

ADDRESS = "http://vscode.test/"
STRICT = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src https: http: data:; font-src https:; connect-src https:; child-src https: data:"
)
OUTER = (
    "<!doctype html><html lang=en><title>x</title><body style='margin:0'>"
    "<iframe sandbox='allow-scripts allow-same-origin allow-forms allow-pointer-lock' "
    "style='width:100%;height:1400px;border:0' src='/notebook'></iframe>"
)
INNER = """<!doctype html><html lang=en><head><title>x</title>{policy}</head>
<body data-vscode-theme-kind="vscode-dark" class="vscode-dark">
<div id="container">{cells}</div>
<script type="module">
const {{ html, esm, css, state }} = JSON.parse(document.getElementById("values").textContent);
for (const cell of document.querySelectorAll(".cell_container")) {{
  const [first, second] = cell.querySelectorAll(".output");
  first.innerHTML = html;
  for (const old of first.querySelectorAll("script")) {{
    const script = document.createElement("script");
    script.text = old.innerText;
    first.appendChild(script).parentNode.removeChild(script);
  }}
  if (cell.dataset.dead !== undefined) continue;
  const style = document.createElement("style");
  style.textContent = css;
  document.head.append(style);
  window.sent = [];
  const model = {{
    get: (name) => state[name], on: () => undefined, off: () => undefined,
    send: (message) => window.sent.push(message.do),
  }};
  try {{
    const address = URL.createObjectURL(new Blob([esm], {{ type: "text/javascript" }}));
    (await import(address)).default.render({{ model, el: second }});
  }} catch {{
    second.textContent = "Error displaying widget";
  }}
}}
</script></body></html>"""
CELL = (
    "<div class=cell_container{dead}><div class=output_container><div class=output></div></div>"
    "<div class=output_container><div class=output></div></div></div>"
)


@pytest.fixture
def live() -> Iterator[Panel]:
    with speaking("en"):
        made = panel()
    yield made
    made.close()


def open_page(browser: Browser, live: Panel, policy: str = "", dead: bool = False) -> Page:
    """Open a page with a cell that has a kernel and, if `dead`, one without a kernel before it."""
    with speaking("en"):
        html = fallback_page()
    state = {
        name: getattr(live, name)
        for name in live.trait_names(sync=True)
        if name in vars(widget.Panel)
    }
    esm, css = str(live._esm), str(live._css)
    values = {"html": html, "esm": esm, "css": css, "state": state}
    text = json.dumps(values, default=str).replace("<", "\\u003c")
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">' if policy else ""
    cells = (CELL.format(dead=" data-dead") if dead else "") + CELL.format(dead="")
    inner = INNER.format(policy=meta, cells=cells).replace(
        '<script type="module">',
        f'<script type="application/json" id="values">{text}</script><script type="module">',
    )

    def answer(route: Route) -> None:
        path = route.request.url.removeprefix(ADDRESS)
        route.fulfill(body={"": OUTER, "notebook": inner}.get(path, ""), content_type="text/html")

    page = browser.new_page(viewport={"width": 900, "height": 1400})
    page.route("**/*", answer)
    page.goto(ADDRESS)
    return page


def frame(page: Page) -> FrameLocator:
    return page.frame_locator("iframe")


def test_a_live_panel_hides_only_its_own_recording(browser: Browser, live: Panel) -> None:
    page = open_page(browser, live, dead=True)
    shown = frame(page).locator(".workshop-panel[data-home=lab]")
    shown.wait_for()
    assert shown.get_attribute("data-theme") == "dark"
    shown.get_by_role("button", name="Simulate Deployment Flow").click()
    (inside,) = (one for one in page.frames if one.url.endswith("notebook"))
    assert inside.evaluate("window.sent.includes('simulate')")
    recorded = frame(page).locator(".workshop-panel[data-home=recording]:visible")
    recorded.wait_for()  # of the cell without a kernel
    assert recorded.count() == 1
    assert page.evaluate("document.querySelector('iframe').scrollWidth") <= 900
    page.close()


def test_the_recording_plays_where_widgets_are_forbidden(browser: Browser, live: Panel) -> None:
    page = open_page(browser, live, STRICT)
    recorded = frame(page).locator(".workshop-panel[data-home=recording]")
    recorded.wait_for()
    assert recorded.locator(".banner").is_visible()
    recorded.get_by_role("button", name="Simulate Deployment Flow").click()
    recorded.locator(".screen .panel").first.wait_for()
    recorded.get_by_role("button", name="Sample photo: coffee").click()
    recorded.get_by_text("espresso").wait_for()
    assert recorded.locator(".photo").evaluate("photo => photo.naturalWidth") > 0
    page.close()
