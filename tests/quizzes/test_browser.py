"""The widget in a real browser: by keyboard alone, for screen readers, and telling nothing early.

A plain page plays JupyterLab's part: it loads widget.js, and its model talks to a real
QuestionWidget in this process.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page, Route

import quizzes.questions as questions
from learner.errors import LearnerError
from learner.language import LANGUAGES, speaking
from quizzes import experiments, notebook
from quizzes.evidence import Evidence
from quizzes.notebook import QuestionWidget
from quizzes.progress import load
from quizzes.questions import Number, One, Order, Several, find
from tests.quizzes.conftest import SAMPLES
from tests.quizzes.test_leaks import all_secrets, assert_silent, misconceptions

QUIZZES = Path(notebook.__file__).parent
ADDRESS = "http://quiz.test"
PAGE = """<!DOCTYPE html>
<html lang="{language}"><head><meta charset="utf-8"><title>Quiz</title>
<link rel="stylesheet" href="/widget.css"></head>
<body><main><h1>Quiz</h1><div id="here"></div></main>
<script type="module">
import widget from "/widget.js";
let view = JSON.parse(await kernel("state"));
let heard = () => undefined;
const model = {{
  get: () => view,
  on: (_name, act) => (heard = act),
  off: () => undefined,
  send: async (message) => {{ await kernel(JSON.stringify(message)); await look(); }},
}};
async function look() {{
  const text = await kernel("state");
  if (text === JSON.stringify(view)) return;
  view = JSON.parse(text);
  heard();
}}
setInterval(look, 50);
widget.render({{ model, el: document.getElementById("here") }});
document.body.dataset.ready = "yes";
</script></body></html>"""


class Shown:
    """A question in a page of the browser."""

    def __init__(self, browser: Browser, name: str, code: str) -> None:
        self.page: Page = browser.new_page()
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.route("**/*", lambda route: self._answer(route, code))
        self.page.expose_function("kernel", self._kernel)
        self.show(name, code)

    def show(self, name: str, code: str) -> None:
        """Load the page, with this question in it."""
        with speaking(code):
            self.widget = QuestionWidget(find(name))
        self.page.goto(ADDRESS)
        self.page.wait_for_selector("body[data-ready=yes]")

    def _answer(self, route: Route, code: str) -> None:
        path = route.request.url.removeprefix(ADDRESS)
        if path == "/":
            route.fulfill(body=PAGE.format(language=code), content_type="text/html")
        elif path in ("/widget.js", "/widget.css"):
            route.fulfill(path=QUIZZES / path[1:])
        elif path == "/favicon.ico":
            route.fulfill(status=404)
        else:
            self.errors.append(f"asked for {route.request.url}")
            route.abort()

    def _kernel(self, message: str) -> str:
        if message != "state":
            self.widget._receive(self.widget, json.loads(message), [])
        return json.dumps(self.widget.view, ensure_ascii=False, separators=(",", ":"))

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def focus_on(self, words: str) -> None:
        """Tab until the element with these words has the focus."""
        for _step in range(30):
            self.page.keyboard.press("Tab")
            focused = self.page.evaluate("document.querySelector('#here :focus')?.textContent")
            if words in (focused or ""):
                return
        raise AssertionError(f"the Tab key does not reach {words!r}")

    def said(self) -> str:
        """Wait for the verdict in the live region, and return it."""
        self.page.wait_for_selector(".wq-verdict p")
        return self.page.inner_text(".wq-verdict")

    def serious_findings(self) -> list[str]:
        found: dict[str, Any] = Axe().run(self.page).response
        return [
            f"{violation['id']}: {violation['nodes'][0]['html']}"
            for violation in found["violations"]
            if violation["impact"] in ("serious", "critical")
        ]


@pytest.fixture
def evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the experiments by a quick one; test_lint.py runs the real ones."""
    found = Evidence("It was measured.", {"here": 12.0, "there": 2000.0}, "ms", 50)
    monkeypatch.setattr(experiments, "run", lambda _entry: found)


def answer_by_keyboard(shown: Shown) -> None:
    """Give a right answer."""
    entry = shown.widget._entry
    question = entry.question
    if isinstance(question, Number):
        shown.press("Tab")
        shown.page.keyboard.type(f"{question.answer:g} {question.unit}")
        shown.press("Enter")
        return
    if isinstance(question, Order):
        wanted = [option.text for option in question.options]
    else:
        wanted = [option.text for option in question.options if option.correct]
    for text in wanted:
        shown.page.evaluate("document.activeElement.blur()")
        shown.focus_on(text)
        shown.press("Space")
    if isinstance(question, Several | Order):
        shown.focus_on(shown.widget.view["labels"]["check"])
        shown.press("Enter")


@pytest.mark.usefixtures("samples", "evidence")
@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.parametrize("kind", ["one", "several", "number", "order"])
def test_by_keyboard_alone_and_without_findings_of_axe(
    browser: Browser, kind: str, code: str
) -> None:
    shown = Shown(browser, f"sample-{kind}", code)
    assert_silent(shown.page.content(), all_secrets() | misconceptions())
    assert shown.serious_findings() == []
    answer_by_keyboard(shown)
    said = shown.said()
    verdict = shown.widget.view["verdict"]
    assert said.startswith(verdict["headline"])
    assert all(text in said for text in verdict["feedback"])
    assert load().attempts[-1].correct
    shown.focus_on(shown.widget.view["labels"]["evidence"])
    shown.press("Enter")
    shown.page.wait_for_selector(".wq-bars")
    assert "It was measured." in shown.page.inner_text(".wq-found")
    assert shown.page.inner_text(".wq-bars tr:nth-child(2)").split() in (
        ["there", "2,000", "ms"],
        ["there", "2.000", "ms"],  # Indonesian
    )
    assert "50 ms" in shown.page.inner_text(".wq-found p:last-child")
    assert shown.serious_findings() == []
    assert shown.errors == []
    shown.page.close()


@pytest.mark.parametrize("code", LANGUAGES)
def test_no_page_tells_an_answer_early(browser: Browser, code: str) -> None:
    hidden = all_secrets() | misconceptions()
    names = list(questions.all_questions())
    shown = Shown(browser, names[0], code)
    for name in names:
        shown.show(name, code)
        html = shown.page.inner_html("#here")
        assert shown.widget._entry.question.text.split("`")[0] in shown.page.inner_text("#here")
        assert_silent(shown.page.content(), hidden)
        assert not re.search(r"(correct|right|wrong)[^<>]*=|=[^<>]*(correct|right|wrong)", html)
    assert shown.errors == []
    shown.page.close()


@pytest.mark.usefixtures("samples")
def test_a_wrong_answer_can_be_mended(browser: Browser) -> None:
    shown = Shown(browser, "sample-one", "en")
    shown.focus_on("The brick")
    shown.press("Enter")
    assert "No, brick feedback." in shown.said()
    assert "feedback</i>" not in shown.page.content()
    shown.page.evaluate("document.activeElement.blur()")
    shown.focus_on("The apple & the “pear”")
    shown.press("Enter")
    shown.page.wait_for_selector(".wq-right")
    assert "Yes, apple <i>feedback</i>." in shown.said()  # text, never HTML
    assert shown.page.evaluate("document.activeElement.dataset.option") == "apple"  # focus stays
    assert [attempt.correct for attempt in load().attempts] == [False, True]
    shown.page.close()


@pytest.mark.usefixtures("samples")
def test_an_answer_that_does_not_fit_is_said_and_not_counted(browser: Browser) -> None:
    for kind in ("several", "order", "number"):
        shown = Shown(browser, f"sample-{kind}", "en")
        shown.focus_on("Check")
        shown.press("Enter")
        assert shown.said() in (
            "no option is chosen",
            "all options must be put in order",
            "That is no number that can be understood. Write it like 1000 or 0.5.",
        )
        shown.page.close()
    assert load().attempts == []


@pytest.mark.usefixtures("samples")
def test_jupyterlabs_keys_rest_but_those_with_control(browser: Browser) -> None:
    shown = Shown(browser, "sample-one", "en")
    # JupyterLab looks at the focused element before its parents: both must say so.
    resting = "document.activeElement.hasAttribute('data-lm-suppress-shortcuts')"
    shown.press("Tab")
    assert shown.page.evaluate(resting)
    shown.page.keyboard.down("Control")
    assert not shown.page.evaluate(resting)
    shown.page.keyboard.up("Control")
    assert shown.page.evaluate(resting)
    shown.page.close()


@pytest.mark.usefixtures("samples")
def test_an_experiment_that_fails_says_so(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_entry: object) -> Evidence:
        raise LearnerError("No artifact yet.")

    monkeypatch.setattr(experiments, "run", fails)
    shown = Shown(browser, "sample-one", "en")
    answer_by_keyboard(shown)
    shown.said()
    shown.focus_on("measure it here")
    shown.press("Space")
    shown.page.wait_for_selector(".wq-found p:has-text('No artifact yet.')")
    shown.page.close()


def test_the_samples_are_of_all_kinds() -> None:
    kinds = {type(entry.question) for entry in questions.all_questions(SAMPLES).values()}
    assert kinds == {One, Several, Number, Order}
