"""`POST /predict`: what a request says, who is let in before its body is read, what is answered.

The route is an ASGI function of its own, because FastAPI's layers around an endpoint would take
time from the forward passes under full load. Nothing of an image is decoded here.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, NoReturn, TypeVar

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import Field, TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from service.errors import RequestError, shorten
from service.inference_runner import InferenceRunner
from service.preprocessing import ACCEPTED
from service.settings import Settings

FIELD = "file"
"""The field of a form that holds the image."""
DEFAULT_K = 5
DEADLINE_HEADER = "X-Deadline-Ms"
MOST_DEADLINE_MS = 600_000
SMALL_BODY = 2**20  # bytes; a larger body must leave a quarter of the memory free
_FORM = "multipart/form-data"
# What a client says when it does not say what it sends: curl's --data-binary, or nothing at all.
_UNSPECIFIC = {
    "",
    "application/octet-stream",
    "application/x-www-form-urlencoded",
    "binary/octet-stream",  # Amazon S3's default
}
_Number = TypeVar("_Number", int, float)
_DEADLINE: TypeAdapter[float] = TypeAdapter(Annotated[float, Field(gt=0, le=MOST_DEADLINE_MS)])
_COUNT: TypeAdapter[int] = TypeAdapter(Annotated[int, Field(ge=1)])


class Memory:
    """Bytes of memory for all bodies: each takes its size before it is read, or is refused."""

    def __init__(self, settings: Settings, refuse: Callable[[str, int], NoReturn]) -> None:
        self.left = max(settings.body_memory_bytes, 2 * settings.max_body_bytes)
        self._reserve = self.left // 4  # so small photos get in beside large or slow uploads
        self._refuse = refuse

    def take(self, more: int, size: int) -> None:
        """Take `more` bytes for a body of `size` bytes, or raise OverloadedError."""
        if self.left - more < (0 if size <= SMALL_BODY else self._reserve):
            self._refuse(f"no memory is free for a body of {size:,} bytes; try again in 1 s", 1)
        self.left -= more


class PredictRequest:
    """One request for a prediction. Parameters are read at once, the image when it is asked for."""

    def __init__(self, request: Request, classes: int, settings: Settings, memory: Memory) -> None:
        """Read the parameters.

        Raises:
            RequestError: 422, one of them is not valid.
        """
        arrived = time.perf_counter()
        self.http = request
        self._settings = settings
        self._memory = memory
        self._held = 0
        self.k = _read_k(request.query_params.get("k"), classes)
        """Number of classes in the answer."""
        deadline_s = _read_deadline(request.headers.get(DEADLINE_HEADER))
        self._deadline = None if deadline_s is None else arrived + deadline_s

    @property
    def remaining_s(self) -> float | None:
        """Seconds that the answer may still take, or None if the client sets no deadline."""
        return None if self._deadline is None else self._deadline - time.perf_counter()

    async def read_image(self) -> bytes:
        """Read the image file: the raw body, or the part `file` of a form.

        The type that counts is the one that the bytes show (`service.preprocessing`). The header
        only says whether this is a form; it is refused if it names something that is no image.

        Raises:
            RequestError: 400 for an empty body, 408 for one that does not come, 413 over the limit,
                415 for no image, 422 for a form without the one file, 503 without memory for it.
        """
        headers = self.http.headers
        coding = headers.get("content-encoding", "identity")
        if coding.strip().lower() not in ("identity", ""):
            raise RequestError(
                415,
                f"the content encoding {shorten(repr(coding))} is not accepted; send the image "
                "file as it is, without Content-Encoding (it is compressed already)",
            )
        media_type = headers.get("content-type", "").split(";")[0].strip().lower()
        if media_type == _FORM:
            from service.web.forms import read_file

            data = await read_file(headers, await self.read_body())
        elif media_type in _UNSPECIFIC or media_type.startswith("image/"):
            data = await self.read_body()
        else:
            raise RequestError(
                415,
                f"the content type {media_type!r} is not accepted; send the image itself as the "
                f"body (image/jpeg, image/png or image/webp), or a form ({_FORM}) with the file "
                f"in the field {FIELD!r}",
            )
        if not data:
            raise RequestError(400, f"the image is empty; send a {ACCEPTED} file")
        return data

    async def read_body(self) -> bytes:
        """Read the whole body, in one coroutine (it is the hot path), at most up to the limit."""
        limit, seconds = self._settings.max_body_bytes, self._settings.body_seconds
        too_large = f"the body is larger than {limit:,} bytes; send a smaller image"
        declared = self.http.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > limit:
            raise RequestError(413, too_large)
        self.hold(int(declared) if declared.isdecimal() else 0)
        body = bytearray()  # not a list of chunks, which may be as small as a byte
        try:
            async with asyncio.timeout(seconds):
                more = True
                while more:
                    message = await self.http.receive()
                    if message["type"] == "http.disconnect":
                        raise ClientDisconnect
                    body += message.get("body", b"")
                    if len(body) > limit:
                        raise RequestError(413, too_large)
                    self.hold(len(body))
                    more = message.get("more_body", False)
        except TimeoutError:
            raise RequestError(
                408,
                f"the body was not complete after {seconds:g} s ({len(body):,} bytes); "
                "send it again",
            ) from None
        return bytes(body)

    def hold(self, size: int) -> None:
        """Take memory until the request holds `size` bytes, or raise OverloadedError."""
        if size > self._held:
            self._memory.take(size - self._held, size)
            self._held = size

    def release(self) -> None:
        """Give back the memory of the body."""
        self._memory.left += self._held


Endpoint = Callable[[PredictRequest], Awaitable[Response]]


class PredictRoute(APIRoute):
    """The route of an endpoint that takes a `PredictRequest`. To OpenAPI it is like any other."""

    def __init__(
        self,
        path: str,
        endpoint: Endpoint,
        runner: InferenceRunner,
        classes: int,
        settings: Settings,
    ) -> None:
        from service.web.openapi import predict_documentation

        async def described() -> None:
            """Stand for the endpoint, whose parameters FastAPI does not read."""

        described.__name__, described.__doc__ = endpoint.__name__, endpoint.__doc__
        super().__init__(path, described, methods=["POST"], **predict_documentation(classes))
        self.app = self._answer
        self._serve = endpoint
        self._runner = runner
        self._classes = classes
        self._settings = settings
        self.memory = Memory(settings, runner.refuse)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = _Client(receive)
        http = Request(scope, client.receive)
        request = PredictRequest(http, self._classes, self._settings, self.memory)
        try:
            with self._runner.admit(request.remaining_s):
                response = await self._serve(request)
        except ClientDisconnect:
            return  # in the middle of its body
        except asyncio.CancelledError:
            if client.left:
                return
            # `--shutdown-seconds` have passed.
            words = "the service stops; send the request to another one"
            raise RequestError(503, words, "stopping") from None
        finally:
            client.stop_watching()
            request.release()
        await response(scope, receive, send)


class _Client:
    """Cancels the request's task if the client leaves after its body, before its answer."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._request = asyncio.current_task()
        self._watch: asyncio.Task[None] | None = None
        self.left = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            self._watch = asyncio.create_task(self._wait_for_disconnect())
        return message

    async def _wait_for_disconnect(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.left = True
        if self._request is not None:
            self._request.cancel()

    def stop_watching(self) -> None:
        if self._watch is not None:
            self._watch.cancel()


def _read_k(text: str | None, classes: int) -> int:
    if text is None:
        return min(DEFAULT_K, classes)
    k = _parse(_COUNT, "k", text)
    if k > classes:
        raise RequestError(
            422, f"k={text!r} is not valid: Input should be at most {classes}, the model's classes"
        )
    return k


def _read_deadline(text: str | None) -> float | None:
    return None if text is None else _parse(_DEADLINE, DEADLINE_HEADER, text) / 1000


def _parse(adapter: TypeAdapter[_Number], name: str, text: str) -> _Number:
    try:
        return adapter.validate_python(text)
    except ValidationError as error:
        fault = error.errors()[0]["msg"]
        raise RequestError(422, f"{name}={shorten(repr(text))} is not valid: {fault}") from None
