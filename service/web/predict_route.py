"""The door: the short way of a request for a prediction.

Plain ASGI, before FastAPI: what cannot be answered in time is refused before its body is read;
what is let in goes to its endpoint straight, not through FastAPI's layers, whose Python would take
time from the forward passes under full load; and when its client leaves, the work for it stops.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from fastapi import Request, Response
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import OverloadedError, RequestError
from service.inference_runner import InferenceRunner
from service.preprocessing import ImageError
from service.web.error_responses import error_response
from service.web.request_parameters import read_deadline


class Door:
    """Middleware that serves `POST path` by `endpoint`, and passes on all else."""

    def __init__(
        self,
        app: ASGIApp,
        path: str,
        endpoint: Callable[[Request], Awaitable[Response]],
        runner: InferenceRunner,
        max_requests: int,
    ) -> None:
        self._app = app
        self._path = path
        self._endpoint = endpoint
        self._runner = runner
        self._max_requests = max_requests
        self._inside = 0
        """Requests past the door, those included whose bodies are still on their way."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] != self._path or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        scope["arrived"] = time.perf_counter()
        visitor = _Visitor(receive)
        self._inside += 1
        try:
            if self._inside > self._max_requests:
                self._runner.counters.refused += 1
                raise OverloadedError(f"{self._max_requests} requests are inside, the most", 1)
            self._runner.check_admission(read_deadline(scope))
            response = await self._endpoint(Request(scope, visitor.receive))
        except (RequestError, ImageError) as error:
            response = error_response(error)
        except ClientDisconnect:
            return  # in the middle of its body
        except asyncio.CancelledError:
            if visitor.left:
                return
            raise
        finally:
            self._inside -= 1
            visitor.watch_no_more()
        await response(scope, receive, send)


class _Visitor:
    """A client: cancels the request's task if it leaves after its body, before its answer."""

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

    def watch_no_more(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
