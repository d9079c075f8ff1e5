"""The console's routes, without a browser."""

import logging
import re
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from service.artifact.verify import Bundle
from service.console.component import COMPONENT, FRONT, script
from service.console.routes import Line, add_console, replay_start
from service.inference_service import create_app
from service.loaded_model import Step
from service.settings import Settings


@pytest.fixture(scope="module")
def console(bundle: Bundle) -> Iterator[TestClient]:
    handlers = list(logging.getLogger().handlers)
    level = logging.getLogger("service").level
    logging.getLogger("service").setLevel(logging.INFO)
    app = add_console(create_app, Settings(artifact=bundle.path, device="cpu", console=True))
    with TestClient(app) as client:
        yield client
    logging.getLogger().handlers[:] = handlers
    logging.getLogger("service").setLevel(level)


def test_page_runs_nothing_from_elsewhere(console: TestClient) -> None:
    page = console.get("/console")
    assert page.status_code == 200
    assert "default-src 'self'" in page.headers["content-security-policy"]
    for file, kind in (("panel.js", "text/javascript"), ("panel.css", "text/css")):
        assert f"console/{file}" in page.text
        answer = console.get(f"/console/{file}")
        assert answer.headers["content-type"].startswith(kind)


def test_page_knows_start_source_and_photos(console: TestClient) -> None:
    known = console.get("/console/page.json").json()
    assert known["sources"]["start-up"]["file"] == "inference_service.py"
    shown = [
        line["text"] for _at, name, value in known["start"] if name == "lines" for line in value
    ]
    steps = ("verify", "match", "load", "warm-up", "replay")
    assert [step for step in steps if any(step in text for text in shown)] == list(steps)
    assert len(known["samples"]) == 7
    for sample in known["samples"]:
        assert sample["licence"] != "–"
        assert console.get(f"/{sample['picture']}").content[:4] in (b"\x89PNG", b"\xff\xd8\xff\xe0")


@pytest.mark.parametrize("name", ["nothing.png", "..%2fmanifest.json", "%2e%2e%2fmanifest.json"])
def test_no_file_but_golden_photos_is_given_out(console: TestClient, name: str) -> None:
    assert console.get(f"/console/photos/{name}").status_code == 404


def test_language_is_the_one_asked_for_or_the_browsers(console: TestClient) -> None:
    def language(query: str = "", accepted: str = "") -> str:
        answer = console.get(f"/console/page.json{query}", headers={"accept-language": accepted})
        return str(answer.json()["language"])

    assert language() == "en"
    assert language("?lang=ja") == "ja"
    assert language("", "de-DE,id;q=0.8,en;q=0.5") == "id"
    assert language("?lang=xx", "ja-JP") == "ja"


def test_state_follows_the_log(console: TestClient) -> None:
    first = console.get("/console/state?after=0").json()
    assert first["metrics"]["answered"] == 0
    last = first["lines"][-1]["n"]
    logging.getLogger("service").info("something new")
    news = console.get(f"/console/state?after={last}").json()["lines"]
    assert ["something new" in line["text"] for line in news] == [True]


def test_console_is_off_by_default(client: TestClient) -> None:
    assert client.get("/console").status_code == 404
    assert client.get("/console/state").status_code == 404
    assert not Settings().console


def test_start_is_told_in_order() -> None:
    steps = [Step("verify", "artifact", 100), Step("ready", "", 900, "http://127.0.0.1:1")]
    lines = [
        Line({"n": number, "at": number / 2, "kind": "step", "text": "any words"}, step)
        for number, step in enumerate(steps, 1)
    ]
    events = replay_start(lines, {"name": "m"})
    assert [at for at, *_ in events] == sorted(at for at, *_ in events)
    assert events[-1][2]["phase"] == "serving"
    assert ["artifact", {"name": "m"}] in [event[1:] for event in events]


def test_front_end_is_one_script_without_imports() -> None:
    names = [path.stem for path in FRONT.glob("*.js")]
    assert {*COMPONENT, "console_home"} == set(names)
    source = script()
    assert not re.search(r"^(import|export) ", source, re.MULTILINE)
    declared = re.findall(r"^(?:async )?(?:function|const|let|class) (\w+)", source, re.MULTILINE)
    assert len(declared) == len(set(declared))
    assert "://" not in source.replace("http://www.w3.org/2000/svg", "")
