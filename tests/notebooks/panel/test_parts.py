"""The parts of the panel that need neither a browser nor a process."""

import re
import sys
import time
from pathlib import Path

import pytest

from learner.language import LANGUAGES
from learner.processes import Program
from notebooks.panel import conductor, state, supervisor, widget
from notebooks.panel.fallback import RECORDING, fallback_page
from notebooks.panel.others import Others
from notebooks.panel.services import EVERY, FIRST, SERVICES, START_UP, view_sources
from notebooks.panel.state import State, quantile
from service.console import routes
from service.console.component import COMPONENT, FRONT, script
from service.console.reference import FILE, view_reference
from service.console.source import highlight, locate
from service.console.summary import bucket_quantile
from service.console.texts import english, texts, texts_in
from service.settings import ROOT

FRONT_ENDS = [*FRONT.glob("*.js"), *(ROOT / "notebooks/panel/front").glob("*.js")]


def test_code_pane_shows_the_file_that_runs_to_the_letter() -> None:
    import html

    shown = [html.unescape(re.sub(r"<[^>]+>", "", line)) for line in view_reference()["lines"]]
    assert "\n".join(shown) + "\n" == FILE.read_text()


@pytest.mark.parametrize("mode", [EVERY, FIRST, START_UP])
def test_each_step_of_a_flow_has_its_lines(mode: str) -> None:
    """Also after the service was edited: a piece of code that is not there any more fails here."""
    view = view_sources()[mode]
    for step in SERVICES[mode].steps:
        if mode == START_UP or step != "stop":
            assert view["steps"][step], step


def test_a_statement_is_lit_to_its_end() -> None:
    text = "def f(x):\n    return g(\n        x,\n    )\n"
    assert list(locate(text, "return g(")) == [2, 3, 4]
    assert list(locate(text, "def f")) == [1]
    with pytest.raises(ValueError, match="no line holds 'h'"):
        locate(text, "h")


def test_highlighted_code_is_escaped() -> None:
    assert highlight('x = "<b>"  # <i>\n') == [
        'x = <span class="string">&quot;&lt;b&gt;&quot;</span>  '
        '<span class="comment"># &lt;i&gt;</span>'
    ]


def test_every_text_that_is_said_exists() -> None:
    """Both sides name texts by strings; a slip would show a bare name."""
    names = set(texts(english))
    modules = (conductor, state, supervisor, widget, routes)
    sources = "".join(Path(str(module.__file__)).read_text() for module in modules)
    said = set(re.findall(r'(?:say|remark|_end_with|_shown|stop)\(\s*(?:flow, )?"(\w+)"', sources))
    front = "".join(path.read_text() for path in FRONT_ENDS)
    said |= set(re.findall(r'\bsay\("([\w-]+)"', front))
    said |= set(re.findall(r'\bkey: "(\w+)"', front)) | set(re.findall(r'tell\("(try\w+)"', front))
    assert len(said) > 50
    assert said <= names


@pytest.mark.parametrize("code", LANGUAGES)
def test_translations_keep_the_placeholders(code: str) -> None:
    def holes(text: str) -> set[str]:
        return set(re.findall(r"\{(\w+)\}", text))

    originals = texts(english)
    for name, text in texts_in(code).items():
        assert holes(text) == holes(originals[name]), name


def test_front_end_is_one_script_without_imports() -> None:
    names = [path.stem for path in FRONT.glob("*.js")]
    assert {*COMPONENT, "console_home"} == set(names)
    source = script()
    assert not re.search(r"^(import|export) ", source, re.MULTILINE)
    declared = re.findall(r"^(?:async )?(?:function|const|let|class) (\w+)", source, re.MULTILINE)
    assert len(declared) == len(set(declared))
    assert "://" not in source.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize(
    "path",
    [p for p in (ROOT / "service/console").rglob("*") if p.is_file()]
    + [p for p in (ROOT / "notebooks/panel").rglob("*") if p.is_file()],
    ids=lambda path: path.name,
)
def test_a_file_fits_in_a_head(path: Path) -> None:
    if path.suffix in (".py", ".js", ".css", ".html"):
        assert len(path.read_text().splitlines()) <= 300


def test_memory_is_bounded() -> None:
    shown: dict[str, object] = {}
    kept = State(shown.__setitem__)
    for number in range(5000):
        kept.line(f"line {number}")
        kept.latency(float(number))
    kept._when.clear()
    kept.flush()
    assert len(shown["log"]) == state.MOST_LINES  # type: ignore[arg-type]
    assert len(shown["lines"]) <= state.MOST_LINES  # type: ignore[arg-type]
    assert len(shown["latencies"][START_UP]) == state.MOST_LATENCIES  # type: ignore[index]


@pytest.mark.parametrize(
    ("mode", "latencies", "verdict"),
    [
        (START_UP, [10.0] * 100, "met"),
        (START_UP, [10.0] * 98 + [80.0] * 2, "missed"),
        (EVERY, [300.0] * 10, "missed_every"),
        (FIRST, [900.0] + [20.0] * 10, "missed_first"),
    ],
)
@pytest.mark.parametrize("others", [None, 0.1, 0.8])
def test_verdicts(mode: str, latencies: list[float], verdict: str, others: float | None) -> None:
    shown: dict[str, object] = {}
    kept = State(shown.__setitem__)
    kept.mode = mode
    for ms in latencies:
        kept.latency(ms)
    kept.verdict(others)
    assert kept._sentence is not None
    if verdict == "missed" and others == 0.8:  # that others were busy is said where it is known
        verdict = "missed_busy"
        assert kept._sentence["values"]["share"] == 80
    assert kept._sentence["key"] == verdict
    filled = texts(english)[verdict].format(**kept._sentence["values"])
    assert "{" not in filled


def test_what_other_programs_had_of_the_processors() -> None:
    """A busy child counts as other when it is not the service, and not when it is."""
    busy = [sys.executable, "-c", "print(1)\nwhile True: pass"]
    idle = [sys.executable, "-c", "print(1)\nimport time; time.sleep(60)"]
    with Program(busy) as one, Program(idle) as another:
        one.wait_for("1", 10)
        another.wait_for("1", 10)
        its_own, foreign = Others(one.group), Others(another.group)
        time.sleep(0.7)
        shares = its_own.share(), foreign.share()
    assert shares[0] is not None
    assert shares[1] is not None
    assert 0 <= shares[0] < shares[1] <= 1
    assert Others(2**22 + 1).share() is None  # no such process


def test_quantiles() -> None:
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([float(n) for n in range(1, 101)], 0.99) == 99.0
    assert bucket_quantile([(0.01, 50.0), (0.05, 99.0), (float("inf"), 100.0)], 0.99) == 50.0
    assert bucket_quantile([(0.01, 1.0), (float("inf"), 100.0)], 0.99) is None
    assert bucket_quantile([], 0.5) is None


def test_recording_is_small_says_what_it_is_and_names_no_machine() -> None:
    page = fallback_page()
    assert len(page) < 250_000
    assert "This is a recording of a real run" in page
    recorded = RECORDING.read_text()
    assert RECORDING.stat().st_size < 60_000
    for text in (page, recorded):
        assert str(ROOT) not in text
        assert str(Path.home()) + "/" not in text
    assert "model not found" not in re.sub(r"<script>.*</script>", "", page, flags=re.DOTALL)
