"""The router sends each request to one of two instances; a release goes on, waits or goes back."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from challenges.load.client import ask
from challenges.releases import router as routing
from challenges.releases.router import Router, decide, goes_to_candidate, release, running
from tests.conftest import wait_until

NAMES = [f"request-{number:05}" for number in range(2000)]


@contextmanager
def instance(class_id: int, status: int = 200) -> Iterator[str]:
    """A service that gives each photo the same class; yields its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = b'{"predictions": [{"class_id": %d}]}' % class_id
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 1.0])
def test_a_share_of_the_names_is_moved(share: float) -> None:
    moved = sum(goes_to_candidate(name, share) for name in NAMES) / len(NAMES)
    assert abs(moved - share) < (0.04 if 0 < share < 1 else 1e-9)


def test_who_is_moved_stays_moved() -> None:
    first, second = ({n for n in NAMES if goes_to_candidate(n, s)} for s in (0.2, 0.5))
    assert first < second


def test_failures_go_back_at_once_and_few_answers_wait() -> None:
    assert decide(0, 0, 0) == "wait"
    assert decide(0, 0, 2) == "back"
    assert decide(29, 29, 0) == "wait"
    assert decide(30, 3, 1) == "on"
    assert decide(30, 4, 0) == "back"


def test_answers_are_compared_while_the_share_is_small() -> None:
    with ExitStack() as stack:
        released, candidate = (stack.enter_context(instance(number)) for number in (1, 2))
        router = Router(released, candidate, share=0.5)
        port = stack.enter_context(running(router))
        for _ in range(20):
            assert ask(port, "/predict", 5, b"photo").status == 200
        by_version = {one.version: one.same for one in router.log}
        assert by_version == {"released": None, "candidate": False}
        router.share = 1.0
        assert b'"class_id": 2' in ask(port, "/predict", 5, b"photo").body
    assert router.log[-1].same is None


@pytest.mark.parametrize("is_away", [False, True])
def test_what_the_candidate_fails_the_released_one_answers(is_away: bool) -> None:
    with ExitStack() as stack:
        released = stack.enter_context(instance(1))
        candidate = "http://127.0.0.1:9"  # nobody listens there
        if not is_away:
            candidate = stack.enter_context(instance(2, status=500))
        router = Router(released, candidate, share=1.0)
        port = stack.enter_context(running(router))
        answer = ask(port, "/predict", 5, b"photo")
    assert (answer.status, router.failed) == (200, 1)
    assert b'"class_id": 1' in answer.body
    assert router.log[-1].version == "released"


@pytest.mark.parametrize(("class_id", "end"), [(1, "on"), (2, "back")])
def test_a_release_under_requests(class_id: int, end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing, "FEWEST_COMPARED", 5)
    over, found = threading.Event(), []
    with ExitStack() as stack:
        released = stack.enter_context(instance(1))
        candidate = stack.enter_context(instance(class_id))
        router = Router(released, candidate)
        port = stack.enter_context(running(router))
        thread = threading.Thread(target=lambda: found.extend(release(router, over)))
        thread.start()

        def ended() -> bool:
            assert ask(port, "/predict", 5, b"photo").status == 200
            return not thread.is_alive()

        wait_until(ended)
    assert found[-1] == ((1.0, "on") if end == "on" else (0.2, "back"))
    assert router.share == (1.0 if end == "on" else 0.0)


def test_a_release_without_requests_ends_with_them() -> None:
    over = threading.Event()
    over.set()
    router = Router("http://127.0.0.1:9", "http://127.0.0.1:9")
    assert release(router, over) == [(0.2, "wait")]
    assert router.share == 0
