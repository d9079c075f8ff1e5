"""How the answers of two services are compared."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from service.artifact.verify import Bundle
from service.errors import OperatorError
from service.upgrade.comparison import Address, Comparison, collect_photos, compare

Answers = dict[bytes, tuple[int, list[tuple[str, float]]]]


@pytest.fixture
def serve() -> Iterator[Callable[[Answers], Address]]:
    """Start services that answer photos as a table says."""
    servers: list[HTTPServer] = []

    def start(answers: Answers) -> Address:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                photo = self.rfile.read(int(self.headers["Content-Length"]))
                status, predictions = answers[photo]
                if photo == b"locked" and self.headers["X-Api-Key"] != "key":
                    status = 401
                self.send_response(status)
                self.end_headers()
                named = [{"label": label, "probability": p} for label, p in predictions]
                self.wfile.write(json.dumps({"predictions": named}).encode())

            def log_message(self, *_: object) -> None: ...

        server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        servers.append(server)
        return "127.0.0.1", server.server_port

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_first_classes_and_largest_difference(serve: Callable[[Answers], Address]) -> None:
    photos = {name: name.encode() for name in ("same", "other", "refused", "text")}
    old = serve(
        {
            b"same": (200, [("cat", 0.6), ("dog", 0.3)]),
            b"other": (200, [("cat", 0.5), ("dog", 0.4)]),
            b"refused": (200, [("cat", 0.5)]),
            b"text": (415, []),
        }
    )
    new = serve(
        {
            b"same": (200, [("cat", 0.65), ("fox", 0.3)]),
            b"other": (200, [("dog", 0.6), ("cat", 0.3)]),
            b"refused": (422, []),
            b"text": (415, []),
        }
    )
    found = compare(old, new, photos)
    assert (found.photos, found.agreed) == (3, 1)
    assert found.difference == pytest.approx(0.2)
    assert found.agreement == pytest.approx(1 / 3)
    assert str(found) == (
        "same first class on 1 of 3 photos (33.33%), largest difference of a probability 0.200; "
        "other: cat → dog; refused: cat → refused"
    )


def test_no_photo_is_no_agreement() -> None:
    assert Comparison(0, 0, 0.0, []).agreement == 0
    many = Comparison(9, 0, 0.0, [f"p{number}" for number in range(9)])
    assert str(many).endswith("p3; p4; …")


def test_service_that_does_not_answer(serve: Callable[[Answers], Address]) -> None:
    right, wrong = serve({b"x": (200, [("cat", 1)])}), serve({b"x": (401, [])})
    with pytest.raises(OperatorError, match=f"port {wrong[1]} answered 401: .*--api-key-file"):
        compare(right, wrong, {"x": b"x"})
    with pytest.raises(OperatorError, match="no answer from port 1 to compare"):
        compare(right, ("127.0.0.1", 1), {"x": b"x"})


def test_key_for_a_service_that_asks_for_one(serve: Callable[[Answers], Address]) -> None:
    locked = serve({b"locked": (200, [("cat", 1)])})
    assert compare(locked, locked, {"x": b"locked"}, "key").agreement == 1
    with pytest.raises(OperatorError, match="answered 401"):
        compare(locked, locked, {"x": b"locked"}, "another")


def test_photos_of_the_bundle_and_of_a_folder(bundle: Bundle, tmp_path: Path) -> None:
    golden = collect_photos(bundle.path, bundle.digest, None)
    assert len(golden) == 7
    with pytest.raises(OperatorError, match="the folder is empty"):
        collect_photos(bundle.path, bundle.digest, str(tmp_path))
    (tmp_path / "photo.jpg").write_bytes(b"photo")
    own = collect_photos(bundle.path, bundle.digest, str(tmp_path))
    assert own == {**golden, str(tmp_path / "photo.jpg"): b"photo"}
    with pytest.raises(OperatorError, match="No such file or directory"):
        collect_photos(bundle.path, bundle.digest, str(tmp_path / "no"))
