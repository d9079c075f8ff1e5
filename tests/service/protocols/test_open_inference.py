"""The Open Inference Protocol without a foreign client: every form of a request, and bad ones."""

import base64
import gzip
import json
import re
import socket
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2 as httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.artifact.verify import Bundle
from service.errors import RequestError
from service.inference_service import create_app
from service.protocols.open_inference import MOST_IMAGES, add_routes, parse_request
from service.settings import Settings
from service.web.edge import HEADER_LENGTH
from service.web.keys import add_key
from service.web.predict_route import PredictRoute
from tests.conftest import ServiceProcess, wait_until
from tests.service.web.test_protocol import connect, post

PHOTOS = [photo.read() for photo in SAMPLE_PHOTOS[:3]]
MODEL = "/v2/models/efficientnet-lite0"
INFER = f"{MODEL}/infer"


@pytest.fixture(scope="module")
def v2(bundle: Bundle) -> Iterator[TestClient]:
    app = create_app(Settings(artifact=bundle.path, engine="onnx-fp32", device="cpu"))
    add_routes(app)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def tensor(*count: int, **changes: Any) -> dict[str, Any]:
    return {"name": "image", "datatype": "BYTES", "shape": count or [1], **changes}


def encode(photo: bytes) -> str:
    return base64.b64encode(photo).decode()


def prefix(photo: bytes) -> bytes:
    return len(photo).to_bytes(4, "little") + photo


def pack(call: dict[str, Any], data: bytes) -> tuple[bytes, dict[str, str]]:
    head = json.dumps(call).encode()
    return head + data, {HEADER_LENGTH: str(len(head))}


def read_outputs(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return {output["name"]: output for output in answer.json()["outputs"]}


def predict(client: TestClient, photo: bytes, k: int = 5) -> list[dict[str, Any]]:
    predictions: list[dict[str, Any]] = client.post(f"/predict?k={k}", content=photo).json()[
        "predictions"
    ]
    return predictions


def test_health_and_description(v2: TestClient) -> None:
    assert v2.get("/v2").json()["extensions"][0] == "binary_tensor_data"
    assert v2.get("/v2/health/live").json() == {"live": True}
    assert v2.get("/v2/health/ready").json() == {"ready": True}
    assert v2.get(f"{MODEL}/versions/1.0.0/ready").json()["ready"] is True
    described = v2.get(MODEL).json()
    assert described["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [-1]}]
    names = [output["name"] for output in described["outputs"]]
    config = v2.get(f"{MODEL}/config").json()
    assert names == [output["name"] for output in config["output"]]
    answered = read_outputs(v2.post(INFER, json={"inputs": [tensor(data=[encode(PHOTOS[0])])]}))
    assert list(answered) == names


def test_not_ready_while_it_drains(v2: TestClient) -> None:
    v2.app.state.draining = True  # type: ignore[attr-defined]
    try:
        answers = [v2.get(path) for path in ("/v2/health/ready", f"{MODEL}/ready")]
    finally:
        v2.app.state.draining = False  # type: ignore[attr-defined]
    assert [answer.status_code for answer in answers] == [503, 503]
    assert "draining" in answers[0].json()["error"]
    assert v2.get("/v2/health/live").status_code == 200


@pytest.mark.parametrize(
    "path", ["/v2/models/other", f"{MODEL}/versions/2", f"{MODEL}/versions/2/ready"]
)
def test_other_models_are_not_there(v2: TestClient, path: str) -> None:
    answer = v2.get(path)
    assert answer.status_code == 404
    assert "this server has 'efficientnet-lite0', version '1.0.0'" in answer.json()["error"]


FORMS: dict[str, tuple[bytes, dict[str, str]]] = {
    "binary": pack({"inputs": [tensor()]}, prefix(PHOTOS[0])),
    "binary with its size": pack(
        {"inputs": [tensor(parameters={"binary_data_size": len(PHOTOS[0]) + 4})]},
        prefix(PHOTOS[0]),
    ),
    "image without its length": pack({"inputs": [tensor()]}, PHOTOS[0]),
    "nothing but the image": (PHOTOS[0], {HEADER_LENGTH: "0"}),
    "base64": (json.dumps({"inputs": [tensor(data=[encode(PHOTOS[0])])]}).encode(), {}),
    "base64 in an object": (
        json.dumps({"inputs": [tensor(data=[{"b64": encode(PHOTOS[0])}])]}).encode(),
        {},
    ),
    "two dimensions": (
        json.dumps({"inputs": [tensor(shape=[1, 1], data=[[encode(PHOTOS[0])]])]}).encode(),
        {},
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("coding", ["", "gzip", "deflate"])
def test_every_form_answers_as_predict(v2: TestClient, form: str, coding: str) -> None:
    body, headers = FORMS[form]
    if coding:
        body = gzip.compress(body) if coding == "gzip" else zlib.compress(body)
        headers = {**headers, "content-encoding": coding}
    outputs = read_outputs(v2.post(f"{MODEL}/versions/1.0.0/infer", content=body, headers=headers))
    expected = predict(v2, PHOTOS[0])
    assert outputs["classes"]["data"] == [one["class_id"] for one in expected]
    assert outputs["labels"]["data"] == [one["label"] for one in expected]
    probabilities = outputs["probabilities"]
    assert probabilities["shape"] == [1, 1000]
    for one in expected:
        assert probabilities["data"][one["class_id"]] == one["probability"]


def test_several_images_are_answered_in_order(v2: TestClient) -> None:
    call: dict[str, Any] = {"id": "42", "inputs": [tensor(3)], "outputs": [{"name": "classes"}]}
    call["parameters"] = {"k": 1}
    body, headers = pack(call, b"".join(map(prefix, PHOTOS)))
    answer = v2.post(INFER, content=body, headers=headers)
    assert answer.json()["id"] == "42"
    assert read_outputs(answer)["classes"] == {
        "name": "classes", "datatype": "INT64", "shape": [3, 1],
        "data": [predict(v2, photo, 1)[0]["class_id"] for photo in PHOTOS],
    }  # fmt: skip


def test_outputs_in_binary_form(v2: TestClient) -> None:
    outputs = [
        {"name": "probabilities", "parameters": {"binary_data": True}},
        {"name": "labels", "parameters": {"binary_data": True}},
        {"name": "classes", "parameters": {"binary_data": False}},
    ]
    call = {"inputs": [tensor(data=[encode(PHOTOS[0])])], "outputs": outputs}
    answer = v2.post(INFER, json=call)
    size = int(answer.headers[HEADER_LENGTH])
    probabilities, labels, classes = json.loads(answer.content[:size])["outputs"]
    data = answer.content[size:]
    sizes = [one["parameters"]["binary_data_size"] for one in (probabilities, labels)]
    assert sum(sizes) == len(data)
    values = np.frombuffer(data[: sizes[0]], "<f4")
    expected = predict(v2, PHOTOS[0])
    assert classes["data"] == [one["class_id"] for one in expected]
    assert [float(values[one["class_id"]]) for one in expected] == [
        one["probability"] for one in expected
    ]
    assert data[sizes[0] :] == b"".join(prefix(one["label"].encode()) for one in expected)


def test_classification_as_triton_writes_it(v2: TestClient) -> None:
    output = {"name": "probabilities", "parameters": {"classification": 2}}
    call = {"inputs": [tensor(data=[encode(PHOTOS[0])])], "outputs": [output]}
    answered = read_outputs(v2.post(INFER, json=call))["probabilities"]
    assert (answered["datatype"], answered["shape"]) == ("BYTES", [1, 2])
    assert answered["data"] == [
        f"{one['probability']:f}:{one['class_id']}:{one['label']}"
        for one in predict(v2, PHOTOS[0], 2)
    ]


GOOD: dict[str, Any] = {"data": [encode(PHOTOS[0])]}
WRONG: list[tuple[Any, str]] = [
    ([], "the body: Input should be an object"),
    ({}, "inputs: Field required"),
    ({"inputs": [tensor(**GOOD), tensor(**GOOD)]}, "at most 1 item"),
    ({"inputs": [{"name": "image"}]}, "inputs.0.shape: Field required"),
    ({"inputs": [tensor(name="pixels", **GOOD)]}, "no input 'pixels': the model has 'image'"),
    ({"inputs": [tensor(datatype="FP32", data=[1.0])]}, "expected BYTES, an image file"),
    ({"inputs": [tensor(shape=[], **GOOD)]}, "has shape []: expected [N]"),
    ({"inputs": [tensor(shape=[-1], **GOOD)]}, "has shape [-1]: expected [N]"),
    ({"inputs": [tensor(shape=[10**40, 0], **GOOD)]}, "expected [N]"),
    ({"inputs": [tensor(shape=[2, 2], **GOOD)]}, "has shape [2, 2]: expected [N]"),
    ({"inputs": [tensor(MOST_IMAGES + 1, **GOOD)]}, f"1 to {MOST_IMAGES}"),
    ({"inputs": [tensor(2, **GOOD)]}, "has shape [2] and 1 elements"),
    ({"inputs": [tensor()]}, 'has no "data"'),
    ({"inputs": [tensor(data=["@@"])]}, "element 1 is not base64"),
    ({"inputs": [tensor(data=[5])]}, "element 1 is not base64"),
    ({"inputs": [tensor(data=["\u00e9"])]}, "element 1 is not base64"),
    ({"inputs": [tensor(data=[""])]}, "the image is empty"),
    ({"inputs": [tensor(**GOOD)], "outputs": [{"name": "x"}]}, "no output 'x'"),
    ({"inputs": [tensor(**GOOD)], "parameters": {"k": 0}}, "'k' is 0: expected 1 to 1000"),
    ({"inputs": [tensor(**GOOD)], "parameters": {"k": True}}, "'k' is True: expected int"),
    ({"inputs": [tensor(**GOOD)], "parameters": {"timeout": -1}}, "expected microseconds"),
    ({"inputs": [tensor(**GOOD)], "parameters": {"timeout": 10**400}}, "expected microseconds"),
    (
        {"inputs": [tensor(**GOOD)], "parameters": {"binary_data_output": 1}},
        "'binary_data_output' is 1: expected bool",
    ),
    (
        {
            "inputs": [tensor(**GOOD)],
            "outputs": [{"name": "labels", "parameters": {"classification": 1}}],
        },
        "output 'labels' takes no parameter 'classification'",
    ),
]


@pytest.mark.parametrize(("call", "words"), WRONG, ids=[words for _, words in WRONG])
def test_wrong_request_is_explained(v2: TestClient, call: Any, words: str) -> None:
    answer = v2.post(INFER, json=call)
    assert answer.status_code == 400
    assert words in answer.json()["error"]
    assert list(answer.json()) == ["error"]
    assert len(answer.json()["error"]) < 400


@pytest.mark.parametrize(
    ("body", "headers", "status", "words"),
    [
        (b"{", {}, 400, "the body: Invalid JSON"),
        (b"[" * 5000, {}, 400, "the body: Invalid JSON"),
        (b"x", {HEADER_LENGTH: "2"}, 400, "'2', and the body has 1 bytes"),
        (b"x", {HEADER_LENGTH: "-1"}, 400, "send the number of bytes of the JSON"),
        (b"", {HEADER_LENGTH: "0"}, 400, "has shape [1] and 0 elements"),
        (b"hello", {HEADER_LENGTH: "0"}, 422, "the 5 bytes are not an image"),
        (b"x", {"content-encoding": "br"}, 415, "send the body as it is, or with gzip or deflate"),
        (b"x", {"content-encoding": "gzip"}, 400, "the compressed body is damaged"),
        (gzip.compress(b"{}")[:-4], {"content-encoding": "gzip"}, 400, "its end is missing"),
        (gzip.compress(b"{}") + b"x", {"content-encoding": "gzip"}, 400, "more follows it"),
        (
            gzip.compress(bytes(11 * 2**20)),
            {"content-encoding": "gzip"},
            413,
            "the decompressed body is larger than 10,485,760 bytes",
        ),
        (bytes(10 * 2**20 + 1), {}, 413, "larger than 10,485,760 bytes"),
    ],
)
def test_wrong_body_is_explained(
    v2: TestClient, body: bytes, headers: dict[str, str], status: int, words: str
) -> None:
    answer = v2.post(INFER, content=body, headers=headers)
    assert answer.status_code == status
    assert words in answer.json()["error"]


@pytest.mark.parametrize(
    ("size", "data", "words"),
    [
        (None, prefix(b"abc") + b"\5\0\0\0ab", "element 2 does not end in its 13 bytes"),
        (7, prefix(b"abc") + prefix(b""), "says binary_data_size 7, and 11 bytes follow"),
        (True, b"x", "says binary_data_size True"),
        (None, prefix(b"abc") * 3, "has shape [2] and 3 elements"),
        (None, prefix(b"abc") + prefix(b""), "image 2 of 2: the image is empty"),
    ],
)
def test_wrong_binary_tensor_is_explained(size: int | None, data: bytes, words: str) -> None:
    parameters = {} if size is None else {"binary_data_size": size}
    body, headers = pack({"inputs": [tensor(2, parameters=parameters)]}, data)
    with pytest.raises(RequestError) as raised:
        parse_request(body, headers[HEADER_LENGTH])
    assert raised.value.status == 400
    assert words in str(raised.value)


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=60), st.integers(0, 70), st.integers(1, 3))
def test_random_bytes_never_raise_anything_else(data: bytes, length: int, count: int) -> None:
    head = json.dumps({"inputs": [tensor(count)]}).encode()
    for body, size in ((data, length), (head + data, len(head))):
        with suppress(RequestError):
            _, images = parse_request(body, str(size))
            assert 0 < sum(map(len, images)) <= len(body)


def test_bad_image_among_good_ones_is_named(v2: TestClient) -> None:
    call = {"inputs": [tensor(3, data=[encode(PHOTOS[0]), encode(b"GIF89a" + bytes(99)), "AAAA"])]}
    answer = v2.post(INFER, json=call)
    assert answer.status_code in (415, 422)
    assert answer.json()["error"].startswith(("image 2 of 3: ", "image 3 of 3: "))


def test_deadline_of_either_kind_is_kept(v2: TestClient) -> None:
    call = {"inputs": [tensor(data=[encode(PHOTOS[0])])], "parameters": {"timeout": 1}}
    assert v2.post(INFER, json=call).status_code == 503
    refused = v2.post(INFER, content=b"x", headers={"X-Deadline-Ms": "0.0001"})
    assert refused.status_code == 503  # before its body is looked at
    assert int(refused.headers["retry-after"]) >= 1
    call["parameters"] = {"timeout": 60_000_000}
    assert v2.post(INFER, json=call).status_code == 200


def test_memory_is_that_of_predict_and_given_back(v2: TestClient) -> None:
    routes = [
        one
        for one in v2.app.router.routes  # type: ignore[attr-defined]
        if isinstance(one, PredictRoute)
    ]
    assert len(routes) == 3
    assert len({id(route.memory) for route in routes}) == 1
    before = routes[0].memory.left
    body, headers = FORMS["base64"]
    packed = gzip.compress(body)
    for content, more in ((body, {}), (packed, {"content-encoding": "gzip"}), (b"x", {})):
        v2.post(INFER, content=content, headers={**headers, **more})
    assert routes[0].memory.left == before
    routes[0].memory.left = len(body)
    try:  # room for the body, but not for the image that is decoded from it
        refused = v2.post(INFER, content=body)
    finally:
        routes[0].memory.left = before
    assert refused.status_code == 503
    assert "no memory is free" in refused.json()["error"]


def test_keys_are_asked_for_and_probes_need_none(
    start_service: Callable[..., ServiceProcess], tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    key = add_key("someone", keys)
    service = start_service("--open-inference", "--api-keys", str(keys))
    without = [httpx.get(f"{service.url}{path}") for path in ("/v2", MODEL)]
    without.append(httpx.post(f"{service.url}{INFER}", content=b"x"))
    assert [answer.status_code for answer in without] == [401, 401, 401]
    header = {"Authorization": f"Bearer {key}"}
    assert httpx.get(f"{service.url}{MODEL}", headers=header).status_code == 200
    assert httpx.get(f"{service.url}/v2/health/ready").status_code == 200


def test_setting_opens_the_routes(start_service: Callable[..., ServiceProcess]) -> None:
    """A request of many images is answered, and ended when its client leaves."""
    service = start_service("--open-inference")
    closed = start_service()
    assert httpx.get(f"{closed.url}/v2").status_code == 404
    body, headers = pack({"inputs": [tensor(20)]}, prefix(PHOTOS[0]) * 20)
    answer = httpx.post(f"{service.url}{INFER}", content=body, headers=headers, timeout=30)
    assert read_outputs(answer)["classes"]["shape"] == [20, 5]

    head = post(*(f"{name}: {value}" for name, value in headers.items()), body=body)
    head = head.replace(b"/predict", INFER.encode())

    def left() -> bool:
        """Leave while images are on their way; ask whether those in the queue were dropped."""
        before = count("total")
        with connect(service.url) as client:
            client.sendall(head)
            wait_until(lambda: count("total") > before)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wait_until(lambda: count("inside") == 0)
        return count("total") < before + 20

    def count(what: str) -> float:
        """Images that are inside, or that came to the runner so far."""
        pattern = rf"^inference_requests_(?:inside|{what}{{.*}}) (.*)"
        text = httpx.get(f"{service.url}/metrics").text
        return sum(map(float, re.findall(pattern, text, re.MULTILINE)))

    wait_until(left)
    assert httpx.get(f"{service.url}/v2/health/ready").json() == {"ready": True}
    assert "Traceback" not in service.log.read_text()
    assert "/v2/health" not in service.log.read_text()
