"""HTTP before the application: what a connection may cost, and how an answer reaches its client.

uvicorn's protocol parses requests and sends answers. It trusts its clients, so this subclass adds
limits of bytes, seconds and connections, and serves clients that ask for an upgrade, close one
half of the connection, or still send when they are refused.
"""

import asyncio
import fcntl
import json
import logging
import socket
import struct
import termios
from collections.abc import Callable
from typing import Any

import httptools
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send
from typing_extensions import override
from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from service.settings import Settings
from service.web.edge import PROBES, Edge

log = logging.getLogger("service")

SPARE = 16
"""Connections beyond the limit, which get health answers only."""
REST = 16
"""A client that is refused may send this multiple of the largest body before it is cut off."""
PIPELINED_S = 0.02
"""Seconds that a request sent before the last answer came gives way to other connections."""
GRACE_S = 1.0
"""Seconds that a client without a request has left when the service stops."""
_HEALTH = PROBES | {"/metrics"}
_MOST_HELD = 2**20
_ASK_S = 0.1  # a half-closed connection may be one that its client left: ask after this time


class Connections(ServerState):
    """What the connections of a server share."""

    def __init__(self, app: Edge, settings: Settings, most: int) -> None:
        """Begin without connections.

        Args:
            app: answers health questions when all connections are busy; counts refusals.
            settings: the limits of one connection.
            most: largest number of connections; `SPARE` more get health answers.
        """
        super().__init__()
        self.settings = settings
        self.most = most
        self.waiting: dict[Protocol, None] = {}
        """Connections without a request; the longest-waiting first."""
        self.draining = False
        self.stopping = False
        self.app = app
        self._closed_for_others = 0

    def drain(self) -> None:
        """From now on, end each connection with its next answer."""
        self.draining = True
        for connection in self.connections:
            cycle = connection.cycle  # type: ignore[union-attr]
            if cycle is not None and not cycle.response_started:
                cycle.keep_alive = False

    def make_room(self, newest: "Protocol") -> None:
        """Close the connection that has waited longest for a request, so that others get in."""
        oldest = next(iter(self.waiting))
        if oldest is not newest or len(self.connections) > self.most + SPARE:
            self._closed_for_others += 1
            oldest.give_way()

    @property
    def are_busy(self) -> bool:
        """Whether more connections than allowed have a request."""
        return len(self.connections) - len(self.waiting) > self.most

    async def answer_health(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer health questions; refuse the rest."""
        if scope["path"].removeprefix(scope["root_path"]) in _HEALTH:
            await self.app(scope, receive, send)
            return
        message = f"{self.most:,} connections are busy, the most; try again in 1 s"
        refusal = JSONResponse({"error": message}, 503, {"retry-after": "1"})
        await refusal(scope, receive, send)
        self.app.count(503, "connections")

    def report(self) -> None:
        """Log in one line what the limit of connections did since the last call."""
        if self._closed_for_others:
            log.warning(
                "limit    %d connections of at most %d; closed %d without a request for new ones",
                len(self.connections), self.most, self._closed_for_others,
            )  # fmt: skip
            self._closed_for_others = 0


class _Ending:
    """The transport of an answer. Its `close` leaves the client time to read the answer."""

    __slots__ = ("close", "is_closing", "write")

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.write, self.is_closing, self.close = transport.write, transport.is_closing, close


class Protocol(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self,
        config: Config,
        server_state: Connections,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._shared = server_state
        self._settings = server_state.settings
        self._prefix = self._settings.root_path.encode()
        self._in_head = False
        self._in_body = False
        self._body_came = False
        self._held = b""
        """What came behind requests that wait for the answer to an earlier one."""
        self._most_head = self._head_left = self._settings.max_header_bytes
        self._rest_left = REST * self._settings.max_body_bytes
        self._keep_alive = True
        """Whether the request allows others after it."""
        self._ended = False
        """Whether the last answer is decided; what still comes is thrown away."""
        self._gives_way = False
        """Whether the next request starts a moment later: it was pipelined."""
        self._running: RequestResponseCycle | None = None
        """The request that the application answers; `cycle` is the last one that has come."""
        self._timer: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._ending = _Ending(transport, self._end_answer)
        self._shared.waiting[self] = None
        seconds = GRACE_S if self._shared.stopping else self._settings.header_seconds
        self._arm(seconds, self._end_late_head)
        if len(self.connections) > self._shared.most:
            self._shared.make_room(self)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._shared.waiting.pop(self, None)
        self._disarm()
        if self._stalled is not None:
            self._stalled.cancel()
        for cycle in (self.cycle, self._running):
            if cycle is not None:
                cycle.transport = self.transport  # no circle of references is left
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True  # uvicorn tells the last request only
            self._running.message_event.set()
        del self._ending

    @override
    def data_received(self, data: bytes) -> None:
        while data:
            if self._ended:
                self._skip(len(data))
                return
            if self.pipeline:  # its answers come before more work
                self._hold(data)
                return
            # httptools joins the parts of a header again and again; it must not get a long one.
            room = len(data) if self._in_body else self._head_left
            part, data = data[:room], data[room:]
            data = self._feed(part) + data

    def _hold(self, data: bytes) -> None:
        self._held += data
        self.flow.pause_reading()
        if len(self._held) > _MOST_HELD:
            self.transport.abort()

    def _feed(self, part: bytes) -> bytes:
        """Parse; returns bytes that must be parsed before all others."""
        cycle, self._body_came = self.cycle, False
        try:
            self.parser.feed_data(part)
        except httptools.HttpParserUpgrade as upgrade:
            return self._ignore_upgrade() + part[upgrade.args[0] :]
        except httptools.HttpParserError:
            self._refuse(400, "this is not a valid HTTP/1.1 request")
            return b""
        if self.cycle is cycle and not self._body_came:
            self._count_head(len(part))  # or trailers, which httptools joins too
        if self._in_head and self._timer is None:
            self._arm(self._settings.header_seconds, self._end_late_head)
        return b""

    def _count_head(self, received: int) -> None:
        self._head_left -= received
        if self._head_left <= 0:
            limit = f"{self._most_head:,} bytes"
            self._refuse(431, f"the headers are larger than {limit}; send fewer or shorter ones")

    def _ignore_upgrade(self) -> bytes:
        """Return the head of the request without its wish for another protocol.

        A server may ignore the wish (RFC 9110, 7.8), but httptools would skip the body.
        """
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        if method == b"CONNECT":
            self._refuse(400, "this is not a proxy")
            return b""
        lines = [b"%b %b HTTP/%b" % (method, self.url, version)]
        for name, value in self.headers:
            if name not in (b"upgrade", b"http2-settings", b"connection"):
                lines.append(name + b": " + value)
            elif name == b"connection" and b"close" in value.lower().replace(b",", b" ").split():
                lines.append(b"connection: close")
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self._head_left = self._most_head
        return b"\r\n".join((*lines, b"", b""))

    @override
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._unset_keepalive_if_required()
        self._in_head = True

    @override
    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            return  # `_ignore_upgrade` begins again
        shared = self._shared
        self._in_head, self._in_body = False, True
        self._head_left = self._most_head
        self._disarm()
        shared.waiting.pop(self, None)
        self._keep_alive = not shared.draining
        if shared.are_busy:
            self.app, self._keep_alive = shared.answer_health, False
        if self._prefix and self.url.startswith(self._prefix + b"/"):
            self.url = self.url[len(self._prefix) :]  # a proxy may leave it; uvicorn adds it again
        super().on_headers_complete()
        cycle = self.cycle
        cycle.transport = self._ending  # type: ignore[assignment]
        self._keep_alive &= cycle.keep_alive
        # A client that waits for "100 Continue" in vain may send the body, or another request.
        cycle.keep_alive = self._keep_alive and not self.expect_100_continue

    @override
    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        if self._gives_way:
            self.loop.call_later(PIPELINED_S, super()._start_asgi_task, cycle, app)
        else:
            super()._start_asgi_task(cycle, app)

    @override
    def on_body(self, body: bytes) -> None:
        self._body_came, self._head_left = True, self._most_head
        if self.cycle.response_complete:
            self._skip(len(body))
        else:
            super().on_body(body)

    @override
    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._in_body, self._head_left = False, self._most_head
        super().on_message_complete()
        cycle = self.cycle
        if cycle.response_complete:  # it was refused early, and now the rest has come
            cycle.more_body = False
        elif self.expect_100_continue:
            cycle.keep_alive = self._keep_alive and not self._shared.draining

    @override
    def on_response_complete(self) -> None:
        self._gives_way = True
        super().on_response_complete()
        self._gives_way = False
        if self.transport.is_closing():
            return
        if self.cycle.response_complete:
            self._shared.waiting[self] = None
            if self._ended:
                self._expect_rest()
        if self.pipeline:
            self.flow.pause_reading()
        elif self._held:
            held, self._held = self._held, b""
            self.data_received(held)

    def _end_answer(self) -> None:
        """End the connection after an answer."""
        cycle = self.cycle
        if cycle.response_complete and (self._ended or cycle.more_body):
            self._ended = True
            self.transport.write_eof()
        else:
            self._close()

    def _refuse(self, status: int, message: str) -> None:
        """Answer what the application does not see, and end the connection."""
        self._ended = True
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if self.pipeline or not cycle.more_body:
                cycle.keep_alive = False  # an answer to an earlier request is on its way
                return
            cycle.disconnected = True
            cycle.message_event.set()
        self.logger.warning(
            "%s:%d refused with %d: %s", *(self.client or ("?", 0)), status, message,
            extra={"request": None},  # this may run in the task of an earlier request
        )  # fmt: skip
        self._shared.app.count(status, "bad_http")
        body = json.dumps({"error": message}).encode()
        headers = [
            *self.server_state.default_headers,
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        lines = [name + b": " + value + b"\r\n" for name, value in headers]
        self.transport.write(b"".join((STATUS_LINE[status], *lines, b"\r\n", body)))
        self.transport.write_eof()
        self._shared.waiting[self] = None
        self._expect_rest()

    def _expect_rest(self) -> None:
        """Read on for a while: closed at once, the connection would be reset, the answer lost."""
        self._unset_keepalive_if_required()
        self.flow.resume_reading()
        self._arm(self._settings.body_seconds, self.transport.abort)

    def _skip(self, received: int) -> None:
        self._rest_left -= received
        if self._rest_left < 0:
            self.transport.abort()

    def _end_late_head(self) -> None:
        if not self._in_head:
            self._close()
            return
        seconds = self._settings.header_seconds
        self._refuse(408, f"the headers were not complete after {seconds:g} s; send them again")

    def give_way(self) -> None:
        """Close this connection, which has no request, for another one."""
        self._shared.waiting.pop(self, None)
        self.connections.discard(self)
        self.transport.abort()

    def _close(self) -> None:
        if self.transport.get_write_buffer_size():
            self._arm(self._settings.body_seconds, self.transport.abort)
        self.transport.close()

    @override
    def shutdown(self) -> None:
        cycle = self.cycle
        if cycle is not None and not (cycle.response_complete or cycle.disconnected):
            cycle.keep_alive = False
        elif self._ended or (cycle is not None and cycle.more_body):
            self._arm(GRACE_S, self.transport.abort)
        elif cycle is None:  # its first request may be on its way
            self._arm(GRACE_S, self._end_late_head)
        elif not self._in_head and not self._has_unread():
            self._close()

    def _has_unread(self) -> bool:
        """Whether the client's next request has arrived at the socket."""
        descriptor = self.transport.get_extra_info("socket").fileno()
        unread: int
        (unread,) = struct.unpack("i", fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)))
        return unread > 0

    def eof_received(self) -> bool:  # type: ignore[override]
        """Return whether the connection stays open: the client may still read its answer."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete or cycle.more_body:
            return False
        cycle.keep_alive = False
        self._arm(_ASK_S, self._ask_client)
        return True

    def _ask_client(self) -> None:
        """Find out whether the client has closed the other half too: then it resets what we send.

        Otherwise it ignores an interim answer (RFC 9110, 15.2).
        """
        cycle = self.cycle
        if not (self.pipeline or cycle.response_started) and cycle.scope["http_version"] == "1.1":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._arm(_ASK_S, self._leave_if_reset)

    def _leave_if_reset(self) -> None:
        peer = self.transport.get_extra_info("socket")
        if peer.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.transport.abort()
        else:
            self._arm(_ASK_S, self._leave_if_reset)

    @override
    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(self._settings.body_seconds, self.transport.abort)

    @override
    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()

    def _arm(self, seconds: float, act: Callable[[], None]) -> None:
        self._disarm()
        self._timer = self.loop.call_later(seconds, act)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
