"""`POST /predict` of a real service: refuses early, and works for nobody who has gone."""

import re
import select
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

import httpx2 as httpx
from fastapi.testclient import TestClient

from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.artifact.verify import Bundle
from service.inference_service import create_app
from service.settings import ROOT, Settings
from tests.conftest import ServiceProcess, wait_until

PHOTO = SAMPLE_PHOTOS[0].read()


def metric(url: str, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", httpx.get(f"{url}/metrics").text, re.MULTILINE)
    assert found, name
    return float(found[1])


def request_bytes(body: bytes, declared: int | None = None) -> bytes:
    length = len(body) if declared is None else declared
    return b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % length + body


def connect(url: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=30)


def is_full(url: str) -> bool:
    """Whether the service refuses one more request before its body."""
    with connect(url) as client:
        client.sendall(request_bytes(b"", declared=len(PHOTO)))
        client.settimeout(0.2)
        try:
            return client.recv(65536).startswith(b"HTTP/1.1 503 ")
        except TimeoutError:
            return False


def refuses(client: socket.socket) -> bool:
    """Whether the service answers 503, at once."""
    client.settimeout(5)
    answer = client.recv(65536)
    return answer.startswith(b"HTTP/1.1 503 ") and b"retry-after: 1" in answer


def test_bodies_share_one_memory(start_service: Callable[..., ServiceProcess]) -> None:
    """Large ones are refused before they are read, small photos get in, and it is given back."""
    limits = ("--max-body-bytes", "4000000", "--body-memory-bytes", "8000000")
    url = start_service(*limits).url
    large = request_bytes(b"begun", declared=4_000_000)
    chunked = b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"

    def is_taken() -> bool:
        with connect(url) as client:
            client.sendall(large)
            client.settimeout(0.2)
            try:
                return not client.recv(65536)
            except TimeoutError:
                return True

    with connect(url) as first, connect(url) as second, connect(url) as third:
        first.sendall(large)
        wait_until(lambda: not is_taken())
        second.sendall(large)
        assert refuses(second)
        third.sendall(chunked + b"300000\r\n" + bytes(0x300000))  # it has no end
        assert refuses(third)
        assert httpx.post(f"{url}/predict", content=PHOTO).status_code == 200
        assert metric(url, 'inference_requests_total{outcome="refused"}') >= 3
    wait_until(is_taken)  # the clients have left


def test_many_large_bodies_stay_below_the_documented_memory(
    start_service: Callable[..., ServiceProcess],
) -> None:
    """60 clients send all but the last byte of 10 MiB; docs/service.md names a limit of 1 GiB."""
    service = start_service()
    url = service.url
    with ExitStack() as stack, ThreadPoolExecutor(20) as pool:
        clients = [stack.enter_context(connect(url)) for _ in range(60)]
        data = request_bytes(bytes(10 * 2**20 - 1), declared=10 * 2**20)
        list(pool.map(lambda client: client.sendall(data), clients))
        assert httpx.post(f"{url}/predict", content=PHOTO).status_code == 200
        refused = sum(bool(select.select([client], [], [], 0)[0]) for client in clients)
        assert 40 < refused < 60
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    (peak_kib,) = re.findall(r"VmHWM:\s+(\d+)", status)
    assert int(peak_kib) < 400_000


def test_deadline_counts_from_the_first_byte(start_service: Callable[..., ServiceProcess]) -> None:
    url = start_service().url
    with connect(url) as client:
        head = request_bytes(b"", declared=len(PHOTO))
        client.sendall(head.replace(b"Host: x", b"Host: x\r\nX-Deadline-Ms: 300"))
        time.sleep(0.5)  # a slow upload
        client.sendall(PHOTO)
        assert client.recv(65536).startswith(b"HTTP/1.1 503 ")
    assert metric(url, "inference_images_total") == 0


def test_deadline_that_cannot_be_met(start_service: Callable[..., ServiceProcess]) -> None:
    url = start_service().url
    answer = httpx.post(f"{url}/predict", content=PHOTO, headers={"X-Deadline-Ms": "0.01"})
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert "could not be answered in time; try again in 1 s" in answer.json()["error"]
    for wrong in ("soon", "-1", "0", "nan", "1e9"):
        answer = httpx.post(f"{url}/predict", content=PHOTO, headers={"X-Deadline-Ms": wrong})
        assert answer.status_code == 422
        assert answer.json()["error"].startswith(f"X-Deadline-Ms='{wrong}' is not valid: Input")
    answer = httpx.post(f"{url}/predict", content=PHOTO, headers={"X-Deadline-Ms": "60000"})
    assert answer.status_code == 200


def test_refused_before_the_body_is_sent(start_service: Callable[..., ServiceProcess]) -> None:
    url = start_service("--max-requests", "1").url
    with connect(url) as slow, connect(url) as refused:
        slow.sendall(request_bytes(PHOTO[:100], declared=len(PHOTO)))  # fills the only place
        wait_until(lambda: is_full(url))
        refused.sendall(request_bytes(b"", declared=len(PHOTO)))
        answer = refused.recv(65536).decode()
        assert answer.startswith("HTTP/1.1 503 ")
        assert "retry-after: 1" in answer
        slow.sendall(PHOTO[100:])
        assert slow.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert httpx.post(f"{url}/predict", content=PHOTO).status_code == 200


def test_every_answer_and_every_refusal_is_counted(
    start_service: Callable[..., ServiceProcess],
) -> None:
    url = start_service("--max-requests", "1", "--target-ms", "600000").url
    with httpx.Client(timeout=60) as client, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.post(f"{url}/predict", content=PHOTO), range(40)))
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) == {200, 503}
    assert metric(url, 'inference_requests_total{outcome="answered"}') == statuses.count(200)
    assert metric(url, 'inference_requests_total{outcome="refused"}') == statuses.count(503)


def test_no_forward_for_clients_that_left(start_service: Callable[..., ServiceProcess]) -> None:
    url = start_service("--target-ms", "600000").url
    clients = []
    for _ in range(200):
        client = connect(url)
        client.sendall(request_bytes(PHOTO))
        clients.append(client)
    for client in clients:
        client.close()
    wait_until(lambda: not metric(url, "inference_requests_inside"), seconds=60)
    answered = metric(url, 'inference_requests_total{outcome="answered"}')
    left = metric(url, 'inference_requests_total{outcome="left"}')
    assert metric(url, "inference_images_total") == answered
    assert left == 200 - answered  # and most were still waiting when they left:
    assert left > answered
    assert httpx.post(f"{url}/predict", content=PHOTO).status_code == 200


def test_behind_a_path_prefix_admission_still_refuses(bundle: Bundle) -> None:
    app = create_app(Settings(artifact=bundle.path, engine="onnx-fp32", device="cpu"))
    with TestClient(app, root_path="/models") as client:
        assert client.post("/models/predict", content=PHOTO).status_code == 200
        deadline = {"X-Deadline-Ms": "0.01"}
        answer = client.post("/models/predict", content=PHOTO, headers=deadline)
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
        assert client.get("/models/predict").status_code == 405


def test_parameters_are_refused_before_the_body_is_read(
    start_service: Callable[..., ServiceProcess],
) -> None:
    with connect(start_service().url) as client:
        head = request_bytes(b"", declared=len(PHOTO)).replace(b"/predict", b"/predict?k=0")
        client.sendall(head)  # and never the body
        assert client.recv(65536).startswith(b"HTTP/1.1 422 ")


def test_one_image_visits_nine_files(bundle: Bundle) -> None:
    """From bytes to answer. docs/service.md walks through them."""
    visited: set[str] = set()
    recording = threading.Event()

    def note(frame: FrameType, event: str, _: object) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and recording.is_set() and ROOT / "service" in path.parents:
            visited.add(path.relative_to(ROOT / "service").as_posix())

    threading.setprofile(note)  # for the threads that are started from here on
    try:
        app = create_app(Settings(artifact=bundle.path, engine="onnx-fp32", device="cpu"))
        with TestClient(app) as client:
            client.post("/predict", content=PHOTO)  # what is done once is not of the walk
            recording.set()
            assert client.post("/predict?k=3", content=PHOTO).status_code == 200
            recording.clear()
    finally:
        threading.setprofile(None)
    assert visited == {
        "web/predict_route.py",
        "inference_runner.py",
        "runner/admission.py",
        "inference_service.py",
        "runner/jobs.py",
        "preprocessing.py",
        "engines/onnx_runtime.py",
        "engines/base.py",
        "web/responses.py",
    }


def test_type_of_objects_in_s3_is_accepted(client: TestClient) -> None:
    answer = client.post("/predict", content=PHOTO, headers={"content-type": "binary/octet-stream"})
    assert answer.status_code == 200


def test_compressed_body_is_refused_with_what_to_do(client: TestClient) -> None:
    for coding, status in (("gzip", 415), ("br, gzip", 415), ("identity", 200), ("", 200)):
        answer = client.post("/predict", content=PHOTO, headers={"content-encoding": coding})
        assert answer.status_code == status
        if status == 415:
            assert f"the content encoding '{coding}' is not accepted" in answer.json()["error"]
            assert "send the image file as it is" in answer.json()["error"]
