"""The client: what it asks again, what it gives up, and what the command prints."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2 as httpx
import pytest

from service import inference_service
from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.client import serve_or_predict
from service.client.__main__ import KEY, list_images, main
from service.client.client import Client, PredictionError, read_retry_after
from service.settings import ROOT
from service.web.responses import Model, Prediction, PredictResponse
from tests.conftest import ServiceProcess

PHOTO = SAMPLE_PHOTOS[0].read()
ANSWER = PredictResponse(
    model=Model(name="m", version="1"),
    predictions=[Prediction(class_id=3, label="cup", probability=0.75)],
    timing_ms={},
).model_dump_json()
Reply = tuple[int, dict[str, str], str]
GOOD: Reply = (200, {}, ANSWER)


class Scripted(ThreadingHTTPServer):
    """A server that gives its replies in turn, then the last one again and again."""

    def __init__(self, *replies: Reply | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.replies = replies
        self.seen: list[tuple[str, dict[str, str], bytes]] = []
        self.lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Scripted
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.reply(GOOD)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        server = self.server
        with server.lock:
            headers = {name.lower(): value for name, value in self.headers.items()}
            server.seen.append((self.path, headers, body))
            reply = server.replies[min(len(server.seen), len(server.replies)) - 1]
        self.reply(reply)

    def reply(self, reply: Reply | None) -> None:
        self.close_connection = reply is None
        if reply is None:  # the connection is lost
            return
        status, headers, body = reply
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def serve() -> Iterator[Callable[..., Scripted]]:
    servers: list[Scripted] = []

    def start(*replies: Reply | None) -> Scripted:
        servers.append(Scripted(*replies))
        threading.Thread(target=servers[-1].serve_forever, args=(0.02,)).start()
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def busy(retry_after: str) -> Reply:
    return 503, {"retry-after": retry_after}, '{"error": "busy"}'


def test_answer_is_typed_and_request_says_the_deadline(serve: Callable[..., Scripted]) -> None:
    server = serve(GOOD)
    with Client(server.url, key="secret", deadline_s=20) as client:
        answer = client.predict(b"photo", k=2)
    assert answer.predictions[0] == Prediction(class_id=3, label="cup", probability=0.75)
    ((path, headers, body),) = server.seen
    assert (path, body) == ("/predict?k=2", b"photo")
    assert headers["authorization"] == "Bearer secret"
    assert 10_000 < float(headers["x-deadline-ms"]) <= 20_000


@pytest.mark.parametrize(
    "failures",
    [[None], [(502, {}, "<html>")], [busy("0"), busy("0")], [(429, {}, ""), None]],
    ids=["lost connection", "502", "503 twice", "429, then lost"],
)
def test_what_can_pass_is_asked_again(
    serve: Callable[..., Scripted], failures: list[Reply | None]
) -> None:
    server = serve(*failures, GOOD)
    with Client(server.url) as client:
        assert client.predict(b"photo").predictions[0].label == "cup"
    assert len(server.seen) == len(failures) + 1
    assert {body for _, _, body in server.seen} == {b"photo"}


@pytest.mark.parametrize("status", [400, 401, 404, 413, 415, 422, 500])
def test_what_cannot_pass_is_asked_once(serve: Callable[..., Scripted], status: int) -> None:
    server = serve((status, {}, '{"error": "because"}'))
    with Client(server.url) as client, pytest.raises(PredictionError) as raised:
        client.predict(b"photo")
    assert (str(raised.value), raised.value.status) == (f"{status}: because", status)
    assert len(server.seen) == 1


def test_retry_after_is_waited_for(serve: Callable[..., Scripted]) -> None:
    server = serve(busy("1"), GOOD)
    with Client(server.url, deadline_s=30) as client:
        client.predict(b"photo")
    first, second = (float(headers["x-deadline-ms"]) for _, headers, _ in server.seen)
    assert first - second >= 1000


def test_wait_beyond_the_deadline_is_not_begun(serve: Callable[..., Scripted]) -> None:
    server = serve(busy("3600"))
    with Client(server.url, deadline_s=5) as client, pytest.raises(PredictionError) as raised:
        client.predict(b"photo")
    assert str(raised.value) == "503: busy (tried once, deadline 5 s)"
    assert len(server.seen) == 1


def test_retry_after_is_seconds_or_a_date() -> None:
    now = datetime(2026, 11, 28, 12, 0, 0, tzinfo=UTC)

    def read(text: str) -> float | None:
        return read_retry_after(httpx.Headers({"retry-after": text}), now)

    assert read("7") == 7
    assert read("Sat, 28 Nov 2026 12:01:30 GMT") == 90
    assert read("Sat, 28 Nov 2026 11:00:00 GMT") == 0
    assert read("soon") is read("") is read("-3") is None


def test_answer_that_is_none_is_said(serve: Callable[..., Scripted]) -> None:
    server = serve((200, {}, "<html>hello"))
    with Client(server.url) as client, pytest.raises(PredictionError, match="is no prediction"):
        client.predict(b"photo")


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://x", "http://", "http://a:b", ""])
def test_what_is_no_url_is_refused(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="URL"):
        Client(url)
    assert main(["--url", url, "photo.jpg"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_proxy_is_not_asked_for_this_machine(
    serve: Callable[..., Scripted], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with Client(serve(GOOD).url) as client:
        assert client.predict(b"photo").predictions


def test_many_files_keep_their_order(serve: Callable[..., Scripted], tmp_path: Path) -> None:
    server = serve(busy("0"), None, GOOD)
    paths = [tmp_path / f"{number}.jpg" for number in range(30)]
    for path in paths[1:]:
        path.write_bytes(path.name.encode())
    with Client(server.url, at_once=3) as client:
        answers = list(client.predict_many(paths))
    assert [path for path, _ in answers] == paths
    assert str(answers[0][1]) == "cannot be read: No such file or directory"
    assert all(isinstance(answer, PredictResponse) for _, answer in answers[1:])


def test_folders_are_searched_for_images(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    for name in ("b.JPG", "a.png", "notes.txt", "inside/c.webp"):
        (tmp_path / name).touch()
    named = tmp_path / "notes.txt"
    found = [path.name for path in list_images([named, tmp_path])]
    assert found == ["notes.txt", "a.png", "b.JPG", "c.webp"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty has no images"):
        list_images([tmp_path / "empty"])


def test_entry_serves_or_predicts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The installed command: "predict" is the client's word, all others are settings."""
    said: list[str] = []
    monkeypatch.setattr(inference_service, "main", lambda: said.append("serve"))
    monkeypatch.setattr(sys, "argv", ["model-service", "--port", "0"])
    serve_or_predict()
    monkeypatch.setattr(sys, "argv", ["model-service", "predict", "--url", "x", "photo.jpg"])
    with pytest.raises(SystemExit) as ended:
        serve_or_predict()
    assert (said, ended.value.code) == (["serve"], 2)


@pytest.mark.parametrize(
    "entry",
    [
        "from service.client import serve_or_predict; serve_or_predict()",
        "import runpy; runpy.run_module('service.client', run_name='__main__')",
    ],
)
def test_entry_without_httpx2_says_what_to_install(entry: str) -> None:
    script = "import sys; sys.modules['httpx2'] = None; sys.argv[1:] = ['predict', 'photo.jpg']\n"
    script += entry
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1
    assert done.stderr == (
        "error: the client needs httpx2: .venv/bin/python -m pip install httpx2\n"
    )


def test_command_without_a_service(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--url", "http://127.0.0.1:9", "photo.jpg"]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: no service answers at http://127.0.0.1:9: no answer: ")
    assert message.endswith("Start it (make serve), or name another --url\n")


def test_key_comes_from_the_environment(
    serve: Callable[..., Scripted], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = serve(GOOD)
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"photo")
    monkeypatch.setenv(KEY, "secret")
    assert main(["--url", server.url, str(photo)]) == 0
    assert server.seen[0][1]["authorization"] == "Bearer secret"


def test_command_answers_files_of_a_real_service(
    start_service: Callable[..., ServiceProcess], tmp_path: Path
) -> None:
    """Real photos and a damaged one: a line each, and the exit status says that one failed."""
    service = start_service()
    for photo in SAMPLE_PHOTOS[:3]:
        (tmp_path / f"{photo.name}.png").write_bytes(photo.read())
    (tmp_path / "zz.jpg").write_bytes(PHOTO[:2000])
    command = [sys.executable, "-m", "service.client", "--url", service.url, str(tmp_path)]

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *options], capture_output=True, text=True, cwd=ROOT)

    table, lines = run("-k", "1"), run("--json")
    assert table.returncode == lines.returncode == 1
    assert len(table.stdout.splitlines()) == 3
    error, summary = table.stderr.splitlines()
    assert error.startswith(f"error: {tmp_path / 'zz.jpg'}: 422: ")
    assert summary == "3 of 4 images answered"
    answers = {Path(one["file"]).stem: one for one in map(json.loads, lines.stdout.splitlines())}
    assert answers["zz"]["status"] == 422
    for photo in SAMPLE_PHOTOS[:3]:
        assert answers[photo.name]["predictions"][0]["label"] in photo.labels
        assert len(answers[photo.name]["predictions"]) == 3
    (tmp_path / "zz.jpg").unlink()
    assert run().returncode == 0
