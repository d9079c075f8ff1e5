"""The Open Inference Protocol, version 2, over HTTP: `/v2/…`, as Triton and KServe serve it.

https://github.com/kserve/open-inference-protocol and Triton's extensions for binary tensors and
classifications. An image is one element of a BYTES tensor, as in OpenVINO Model Server: an image
file, not pixels, because the service alone decides how an image becomes pixels. Everything from
admission to the answer is that of `/predict`: the same route class, memory, deadlines and runner.
"""

import asyncio
import base64
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from fastapi import APIRouter, FastAPI, Request, Response
from pydantic import BaseModel, Field, ValidationError
from pydantic_core import to_json

from service.artifact.manifest import Manifest
from service.errors import RequestError, shorten
from service.inference_runner import InferenceRunner
from service.loaded_model import LoadedModel
from service.preprocessing import ACCEPTED, ImageError
from service.runner.jobs import Inference
from service.settings import Settings
from service.web.edge import HEADER_LENGTH
from service.web.health import readyz
from service.web.predict_route import DEFAULT_K, MOST_DEADLINE_MS, PredictRequest, PredictRoute
from service.web.responses import top_predictions

PREFIX = "/v2"
INPUT = "image"
MOST_IMAGES = 64
"""Largest number of images in one request."""
_PROBABILITIES, _CLASSES, _LABELS = "probabilities", "classes", "labels"
_EXTENSIONS = ["binary_tensor_data", "classification", "model_configuration"]
_ZLIB_OR_GZIP = zlib.MAX_WBITS | 32
_Value = TypeVar("_Value", int, bool)


class Input(BaseModel):
    """A tensor of the request."""

    name: str
    shape: list[int] = Field(max_length=8)
    datatype: str
    parameters: dict[str, Any] = {}
    data: list[Any] | None = None


class Output(BaseModel):
    """A tensor that the client asks for."""

    name: str
    parameters: dict[str, Any] = {}


class Call(BaseModel):
    """The JSON of a request."""

    id: str = Field("", max_length=1024)
    parameters: dict[str, Any] = {}
    inputs: list[Input] = Field(min_length=1, max_length=1)
    outputs: list[Output] = Field([], max_length=3)


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of the answer."""

    name: str
    datatype: str
    values: npt.NDArray[Any]
    """images × N; of type object, with strings, where `datatype` is BYTES."""

    def to_bytes(self) -> bytes:
        """Return the binary form: little-endian, and each string after its length."""
        if self.datatype != "BYTES":
            return self.values.astype(self.values.dtype.newbyteorder("<")).tobytes()
        texts = [text.encode() for text in self.values.ravel()]
        return b"".join(len(text).to_bytes(4, "little") + text for text in texts)


def add_routes(app: FastAPI) -> None:
    """Add the protocol's routes to the application, whose model is loaded."""
    model: LoadedModel = app.state.model
    settings: Settings = app.state.settings
    manifest, runner = model.manifest, model.runner
    predict = next(route for route in app.router.routes if isinstance(route, PredictRoute))

    async def infer(request: PredictRequest) -> Response:
        _check_model(request.http, manifest)
        body = await _read_body(request, settings.max_body_bytes)
        call, images = parse_request(body, request.http.headers.get(HEADER_LENGTH))
        request.hold(len(body) + sum(map(len, images)))
        del body
        outputs = _list_outputs(call, len(manifest.labels))
        answers = await _classify(images, runner, _deadline_of(call, request))
        tensors = [make(answers, manifest) for make in outputs]
        return _answer(call, tensors, manifest)

    for path in ("/models/{model}/infer", "/models/{model}/versions/{version}/infer"):
        classes = len(manifest.labels)
        route = PredictRoute(PREFIX + path, infer, runner, classes, settings)
        route.memory, route.include_in_schema = predict.memory, False
        app.router.routes.append(route)
    app.include_router(_make_router(model))


def _make_router(model: LoadedModel) -> APIRouter:
    """Return the routes that describe the server and its model."""
    router = APIRouter(prefix=PREFIX, include_in_schema=False)
    manifest = model.manifest
    inputs = [{"name": INPUT, "datatype": "BYTES", "shape": [-1]}]
    outputs = [
        {"name": _PROBABILITIES, "datatype": "FP32", "shape": [-1, len(manifest.labels)]},
        {"name": _CLASSES, "datatype": "INT64", "shape": [-1, -1]},
        {"name": _LABELS, "datatype": "BYTES", "shape": [-1, -1]},
    ]

    @router.get("")
    @router.get("/")
    async def server() -> dict[str, Any]:
        # The protocol's name and version: answers do not name the server's software.
        return {"name": "open-inference-protocol", "version": "2", "extensions": _EXTENSIONS}

    @router.get("/health/live")
    async def live() -> dict[str, bool]:
        return {"live": True}

    @router.get("/health/ready")
    async def ready(request: Request) -> dict[str, bool]:
        await readyz(request)
        return {"ready": True}

    @router.get("/models/{model}/ready")
    @router.get("/models/{model}/versions/{version}/ready")
    async def model_ready(request: Request) -> dict[str, Any]:
        _check_model(request, manifest)
        await readyz(request)
        return {"name": manifest.name, "ready": True}

    @router.get("/models/{model}")
    @router.get("/models/{model}/versions/{version}")
    async def metadata(request: Request) -> dict[str, Any]:
        _check_model(request, manifest)
        return {
            "name": manifest.name, "versions": [manifest.version], "platform": model.form.name,
            "inputs": inputs, "outputs": outputs,
        }  # fmt: skip

    @router.get("/models/{model}/config")
    @router.get("/models/{model}/versions/{version}/config")
    async def config(request: Request) -> dict[str, Any]:
        """Answer what Triton's tools ask for before they send; 0: the shapes have no batch."""
        _check_model(request, manifest)
        return {
            "name": manifest.name, "max_batch_size": 0,
            "input": [_describe(tensor, "TYPE_STRING") for tensor in inputs],
            "output": [
                _describe(tensor, data_type)
                for tensor, data_type in zip(
                    outputs, ("TYPE_FP32", "TYPE_INT64", "TYPE_STRING"), strict=True
                )
            ],
        }  # fmt: skip

    return router


def _describe(tensor: dict[str, Any], data_type: str) -> dict[str, Any]:
    return {"name": tensor["name"], "data_type": data_type, "dims": tensor["shape"]}


def _check_model(request: Request, manifest: Manifest) -> None:
    model = request.path_params["model"]
    version = request.path_params.get("version", manifest.version)
    if (model, version) != (manifest.name, manifest.version):
        found = shorten(repr(model) + (f", version {version!r}" if model == manifest.name else ""))
        raise RequestError(
            404,
            f"there is no model {found}: this server has {manifest.name!r}, "
            f"version {manifest.version!r}",
        )


async def _read_body(request: PredictRequest, limit: int) -> bytes:
    """Read the body; decompresses it if it is said to be compressed (gzip, or deflate).

    Raises:
        RequestError: 400 if it is damaged, 413 if it is larger than `limit` bytes at any time, 415
            for another encoding; and those of `PredictRequest.read_body`.
    """
    coding = request.http.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", "", "gzip", "deflate"):
        raise RequestError(
            415,
            f"the content encoding {shorten(repr(coding))} is not accepted; "
            "send the body as it is, or with gzip or deflate",
        )
    body = await request.read_body()
    if coding in ("identity", ""):
        return body
    request.hold(len(body) + limit)
    # In a thread, because 10 MiB take longer than the event loop may stand still.
    return await asyncio.to_thread(_decompress, body, limit)


def _decompress(data: bytes, limit: int) -> bytes:
    decompressor = zlib.decompressobj(_ZLIB_OR_GZIP)
    try:
        body = decompressor.decompress(data, limit + 1)
    except zlib.error as error:
        raise RequestError(400, f"the compressed body is damaged: {error}; send it again") from None
    if len(body) > limit:
        raise RequestError(
            413, f"the decompressed body is larger than {limit:,} bytes; send fewer images"
        )
    if not decompressor.eof or decompressor.unused_data:
        wrong = "more follows it" if decompressor.eof else "its end is missing"
        raise RequestError(
            400, f"the compressed body is damaged: {wrong}; send one whole gzip or zlib stream"
        )
    return body


def parse_request(body: bytes, header_length: str | None) -> tuple[Call, list[bytes]]:
    """Read the body of an inference request.

    Args:
        body: JSON, and after it tensors in binary form.
        header_length: the value of `HEADER_LENGTH`, or None if all is JSON. "0": the whole body is
            one image.

    Returns:
        The JSON, and the image files.

    Raises:
        RequestError: 400, what is wrong.
    """
    if header_length is None:
        size = len(body)
    elif header_length.isdecimal() and int(header_length) <= len(body):
        size = int(header_length)
    else:
        raise RequestError(
            400,
            f"{HEADER_LENGTH} is {shorten(repr(header_length))}, and the body has {len(body):,} "
            "bytes; send the number of bytes of the JSON before the tensors",
        )
    if header_length is not None and size == 0:
        call = Call(inputs=[Input(name=INPUT, shape=[1], datatype="BYTES")])
    else:
        try:
            call = Call.model_validate_json(body[:size], strict=True)
        except ValidationError as error:
            fault = error.errors()[0]
            place = ".".join(map(str, fault["loc"])) or "the body"
            raise RequestError(
                400, f"the request is not as the protocol says: {place}: {fault['msg']}"
            ) from None
    tensor = call.inputs[0]
    count = _count_images(tensor)
    if tensor.data is not None:
        if size < len(body):
            raise _refuse("has data in the JSON, and bytes follow the JSON; send one of the two")
        images = _decode_data(tensor.data)
    elif header_length is None:
        raise _refuse(f'has no "data"; send it, or its bytes after the JSON with {HEADER_LENGTH}')
    else:
        images = _split(tensor, body[size:], count)
    if len(images) != count:
        raise _refuse(f"has shape {tensor.shape} and {len(images)} elements")
    for number, image in enumerate(images, 1):
        if not image:
            raise RequestError(
                400, f"{_place(number, count)}the image is empty; send a {ACCEPTED} file"
            )
    return call, images


def _count_images(tensor: Input) -> int:
    if tensor.name != INPUT:
        raise RequestError(
            400, f"there is no input {shorten(repr(tensor.name))}: the model has {INPUT!r}"
        )
    if tensor.datatype != "BYTES":
        raise _refuse(
            f"has datatype {shorten(repr(tensor.datatype))}: expected BYTES, an image file "
            f"({ACCEPTED}) an element. Pixels are not accepted: the service preprocesses itself"
        )
    count, shape = 1, tensor.shape
    for size in shape:
        count *= max(size, 0)
    if not shape or not 1 <= count <= MOST_IMAGES or max(shape) != count:
        raise _refuse(
            f"has shape {shorten(str(shape))}: expected [N], for N images, 1 to {MOST_IMAGES}"
        )
    return count


def _refuse(what: str) -> RequestError:
    return RequestError(400, f"input {INPUT!r} {what}")


def _place(number: int, count: int) -> str:
    return f"image {number} of {count}: " if count > 1 else ""


def _decode_data(data: list[Any]) -> list[bytes]:
    """Decode image files in base64: strings, or objects with a string "b64"."""
    while data and all(isinstance(part, list) for part in data):
        data = [element for part in data for element in part]
    images = []
    for number, element in enumerate(data[: MOST_IMAGES + 1], 1):
        text: Any = element.get("b64") if isinstance(element, dict) else element
        try:
            images.append(base64.b64decode(text, validate=True))
        except (TypeError, ValueError):
            raise _refuse(
                f"element {number} is not base64: send the image file as a base64 string in "
                '"data", or as it is, after the JSON (binary tensor data)'
            ) from None
    return images


def _split(tensor: Input, data: bytes, count: int) -> list[bytes]:
    """Return the elements of a tensor in binary form.

    One image alone can come without its length, as OpenVINO Model Server takes it: the first bytes
    of an image file, read as a length, are larger than any body.
    """
    size = tensor.parameters.get("binary_data_size", len(data))
    if size != len(data) or isinstance(size, bool):
        raise _refuse(
            f"says binary_data_size {shorten(repr(size))}, and {len(data):,} bytes follow the "
            f"JSON; check the parameter and the header {HEADER_LENGTH}"
        )
    images: list[bytes] = []
    place = 0
    while place < len(data) and len(images) <= count:
        end = place + 4 + int.from_bytes(data[place : place + 4], "little")
        if end > len(data):
            if count == 1 and place == 0:
                return [data]
            raise _refuse(
                f"element {len(images) + 1} does not end in its {len(data):,} bytes; send each "
                "element after its length (4 bytes, little-endian)"
            )
        images.append(data[place + 4 : end])
        place = end
    return images


def _read(parameters: dict[str, Any], name: str, kind: type[_Value], default: _Value) -> _Value:
    value = parameters.get(name, default)
    if type(value) is not kind:
        raise RequestError(
            400, f"parameter {name!r} is {shorten(repr(value))}: expected {kind.__name__}"
        )
    return value


def _read_count(parameters: dict[str, Any], name: str, classes: int) -> int:
    count = _read(parameters, name, int, min(DEFAULT_K, classes))
    if not 1 <= count <= classes:
        raise RequestError(
            400,
            f"parameter {name!r} is {shorten(str(count))}: expected 1 to {classes}, "
            "the model's classes",
        )
    return count


def _deadline_of(call: Call, request: PredictRequest) -> Callable[[], float | None]:
    """Return what says how many seconds are left: by X-Deadline-Ms and the parameter "timeout".

    Triton's timeout is in microseconds; 0 is none.
    """
    timeout_us, most_us = _read(call.parameters, "timeout", int, 0), MOST_DEADLINE_MS * 1000
    if not 0 <= timeout_us <= most_us:
        raise RequestError(
            400,
            f"parameter 'timeout' is {shorten(str(timeout_us))}: expected microseconds, "
            f"at most {most_us:,}",
        )
    until = time.perf_counter() + timeout_us / 1e6

    def remaining_s() -> float | None:
        header_s = request.remaining_s
        if not timeout_us:
            return header_s
        left_s = until - time.perf_counter()
        return left_s if header_s is None else min(left_s, header_s)

    return remaining_s


async def _classify(
    images: Sequence[bytes], runner: InferenceRunner, remaining_s: Callable[[], float | None]
) -> list[Inference]:
    """Classify all images, or raise the error of one.

    At most as many are in the queue as are worked on at once: so a request of many images takes
    turns with other requests, and does not refuse itself.
    """
    if len(images) == 1:
        return [await runner.classify(images[0], remaining_s())]
    at_once = asyncio.Semaphore(runner.layout.workers + runner.layout.max_batch - 1)

    async def classify(number: int, image: bytes) -> Inference:
        async with at_once:
            try:
                return await runner.classify(image, remaining_s())
            except ImageError as error:
                raise type(error)(_place(number, len(images)) + str(error)) from None

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(classify(*each)) for each in enumerate(images, 1)]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


Make = Callable[[Sequence[Inference], Manifest], Tensor]


def _list_outputs(call: Call, classes: int) -> list[Make]:
    """Return what makes the tensors that the client asks for; all, if it names none.

    Raises:
        RequestError: 400, an output or a parameter that is not valid.
    """
    k = _read_count(call.parameters, "k", classes)
    wanted = call.outputs or [Output(name=name) for name in (_PROBABILITIES, _CLASSES, _LABELS)]
    return list(_choose_outputs(wanted, k, classes))


def _choose_outputs(wanted: list[Output], k: int, classes: int) -> Iterator[Make]:
    for output in wanted:
        asks = "classification" in output.parameters
        match output.name:
            case "probabilities" if asks:
                count = _read_count(output.parameters, "classification", classes)
                yield _make_classification(count)
            case "probabilities":
                yield _make_probabilities
            case "classes" | "labels" if asks:
                raise RequestError(
                    400,
                    f"output {output.name!r} takes no parameter 'classification'; "
                    f"{_PROBABILITIES!r} does, or choose the number of classes with 'k'",
                )
            case "classes" | "labels":
                yield _make_best(output.name, k)
            case name:
                raise RequestError(
                    400,
                    f"there is no output {shorten(repr(name))}: the model has {_PROBABILITIES!r}, "
                    f"{_CLASSES!r} and {_LABELS!r}",
                )


def _make_probabilities(answers: Sequence[Inference], _: Manifest) -> Tensor:
    return Tensor(_PROBABILITIES, "FP32", np.stack([one.probabilities for one in answers]))


def _make_best(name: str, k: int) -> Make:
    """Make the tensor of the `k` most probable classes of each image, best first."""

    def make(answers: Sequence[Inference], manifest: Manifest) -> Tensor:
        best = [top_predictions(one.probabilities, k, manifest.labels) for one in answers]
        if name == _CLASSES:
            rows = [[prediction.class_id for prediction in row] for row in best]
            return Tensor(name, "INT64", np.array(rows, np.int64))
        texts = [[prediction.label for prediction in row] for row in best]
        return Tensor(name, "BYTES", np.array(texts, object))

    return make


def _make_classification(count: int) -> Make:
    """Make Triton's classification of each image: strings "probability:class:label"."""

    def make(answers: Sequence[Inference], manifest: Manifest) -> Tensor:
        rows = [
            [
                f"{one.probability:f}:{one.class_id}:{one.label}"
                for one in top_predictions(answer.probabilities, count, manifest.labels)
            ]
            for answer in answers
        ]
        return Tensor(_PROBABILITIES, "BYTES", np.array(rows, object))

    return make


def _answer(call: Call, tensors: list[Tensor], manifest: Manifest) -> Response:
    """Return the answer, with each tensor in the form that the client asked for."""
    all_binary = _read(call.parameters, "binary_data_output", bool, False)
    asked = call.outputs or [Output(name=tensor.name) for tensor in tensors]
    outputs, parts = [], []
    for tensor, output in zip(tensors, asked, strict=True):
        described: dict[str, Any] = {
            "name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.values.shape),
        }  # fmt: skip
        if _read(output.parameters, "binary_data", bool, all_binary):
            parts.append(tensor.to_bytes())
            described["parameters"] = {"binary_data_size": len(parts[-1])}
        else:
            described["data"] = tensor.values.ravel().tolist()
        outputs.append(described)
    answer: dict[str, Any] = {
        "model_name": manifest.name, "model_version": manifest.version, "outputs": outputs,
    }  # fmt: skip
    if call.id:
        answer["id"] = call.id
    head = to_json(answer)
    if not parts:
        return Response(head, media_type="application/json")
    return Response(
        b"".join((head, *parts)),
        media_type="application/octet-stream",
        headers={HEADER_LENGTH: str(len(head))},
    )
