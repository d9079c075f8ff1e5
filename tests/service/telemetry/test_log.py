"""The log: a date, the request's id, and each line of the kind that was asked for."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime

import httpx2 as httpx

from service.artifact.sample_photos import SAMPLE_PHOTOS
from tests.conftest import ServiceProcess

PHOTO = SAMPLE_PHOTOS[0].read()
Start = Callable[..., ServiceProcess]


def ask(url: str) -> None:
    for path in ("/livez", "/readyz", "/metrics"):
        assert httpx.get(f"{url}{path}").status_code == 200
    answer = httpx.post(f"{url}/predict?k=2", content=PHOTO, headers={"X-Request-Id": "abc-1"})
    assert answer.status_code == 200
    assert httpx.post(f"{url}/predict", content=b"x\n").status_code == 422


def test_lines_for_people_have_date_and_request(start_service: Start) -> None:
    service = start_service()
    ask(service.url)
    service.wait_for(" 422 ")
    lines = service.log.read_text().splitlines()
    for line in lines:
        when = re.match(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (INFO|WARNING) ", line)
        assert when, line
        age = datetime.now(UTC) - datetime.fromisoformat(when[1])
        assert 0 <= age.total_seconds() < 60
    requests = [line for line in lines if "HTTP/1.1" in line]
    assert len(requests) == 2  # probes and scrapes are left out
    taken = r'"POST /predict\?k=2 HTTP/1\.1" 200 · \d+\.\d ms · request abc-1$'
    assert re.search(taken, requests[0])
    assert re.search(r"422 · .* · request [0-9a-f]{32}$", requests[1])


def test_lines_for_programs_are_json(start_service: Start) -> None:
    service = start_service("--log-format", "json")
    service.wait_for('"step": "ready"')
    lines = [json.loads(line) for line in service.log.read_text().splitlines()]
    url = next(line["message"].split()[1] for line in lines if line.get("step") == "ready")
    ask(url)
    service.wait_for('"status": 422')
    lines = [json.loads(line) for line in service.log.read_text().splitlines()]
    assert all({"time", "level", "message"} <= line.keys() for line in lines)
    steps = [line["step"] for line in lines if "step" in line]
    assert steps == ["verify", "match", "load", "warm-up", "replay", "ready"]
    answered, refused = [line for line in lines if "status" in line]
    assert (answered["request_id"], answered["status"], answered["path"]) == (
        "abc-1",
        200,
        "/predict?k=2",
    )
    assert answered["ms"] > 0
    assert (refused["method"], refused["status"]) == ("POST", 422)
