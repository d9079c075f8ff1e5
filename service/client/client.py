"""A client of the service: asks again where that can help, within a deadline.

with Client("http://127.0.0.1:8000") as client:
    print(client.predict("photo.jpg").predictions[0].label)
"""

import random
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Self

import httpx2 as httpx
from pydantic import ValidationError

from service.errors import shorten
from service.web.predict_route import DEADLINE_HEADER, DEFAULT_K, MOST_DEADLINE_MS
from service.web.responses import ErrorResponse, PredictResponse

URL = "http://127.0.0.1:8000"
DEADLINE_S = 60.0
AT_ONCE = 4
_AGAIN = frozenset({408, 429, 502, 503, 504})
"""Statuses after which the same request may succeed."""
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 5.0
_CONNECT_S = 5.0
_MOST_BYTES = 2**24
"""Longest answer that is read; 100,000 classes take 8 MB."""


class PredictionError(Exception):
    """An image that was not answered; the message says why in one line."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status
        """The last HTTP status, or 0 if there was no answer."""


class Client:
    """Asks one service. Threads can share it.

    A prediction changes nothing on the server, so it is safe to send it again: after a lost
    connection, and after a status that says "not now". The server's `Retry-After` is honoured;
    without one, the wait doubles each time. Part of it is random: clients do not return together.
    """

    def __init__(
        self,
        url: str = URL,
        *,
        key: str | None = None,
        deadline_s: float = DEADLINE_S,
        at_once: int = AT_ONCE,
    ) -> None:
        """Prepare the connections; nothing is sent.

        Args:
            url: of the service, with its path prefix if it has one.
            key: where the service asks for one.
            deadline_s: seconds that one image may take, all attempts together. The service is told
                the time that is left, and drops the request when it has passed.
            at_once: largest number of requests at the same time in `predict_many`.

        Raises:
            ValueError: the URL is not one of HTTP, or the key cannot be sent.
        """
        if key is not None and not (key.isascii() and key.isprintable()):
            raise ValueError("the key has other characters than printable ASCII")
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise ValueError(f"{shorten(url)!r} is no URL: {error}") from None
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise ValueError(f"{shorten(url)!r} is no URL of a service: expected one like {URL}")
        self.url = url.rstrip("/")
        self._deadline_s = deadline_s
        self._at_once = at_once
        self._closing = threading.Event()
        self._http = httpx.Client(
            headers={} if key is None else {"Authorization": f"Bearer {key}"},
            limits=httpx.Limits(max_connections=at_once),
            trust_env=not _is_loopback(parsed.host),  # a proxy cannot reach this machine
        )

    def predict(self, image: bytes | str | Path, k: int = DEFAULT_K) -> PredictResponse:
        """Return the `k` most probable classes of one image.

        Args:
            image: the bytes of an image file, or its path.
            k: number of classes.

        Raises:
            PredictionError: it was refused, or not answered before the deadline.
        """
        if not isinstance(image, bytes):
            try:
                image = Path(image).read_bytes()
            except OSError as error:
                raise PredictionError(f"cannot be read: {error.strerror or error}") from None
        until = time.monotonic() + self._deadline_s
        attempt = 0
        while True:
            try:
                status, headers, body = self._send(image, k, until)
            except httpx.RequestError as error:
                reason, status, wait_s = _explain(error), 0, None
            else:
                if status == 200:
                    return _read_answer(body)
                reason, wait_s = _read_error(status, body), read_retry_after(headers)
                if status not in _AGAIN:
                    raise PredictionError(reason, status)
            if wait_s is None:
                longest_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2**attempt)
                wait_s = random.uniform(longest_s / 2, longest_s)
            attempt += 1
            if time.monotonic() + wait_s >= until or self._closing.wait(wait_s):
                tries = "once" if attempt == 1 else f"{attempt} times"
                raise PredictionError(
                    f"{reason} (tried {tries}, deadline {self._deadline_s:g} s)", status
                )

    def predict_many(
        self, paths: Iterable[Path], k: int = DEFAULT_K
    ) -> Iterator[tuple[Path, PredictResponse | PredictionError]]:
        """Yield each file with its answer or its error, in order; a few are sent at once.

        At most twice `at_once` files are in memory.
        """
        waiting: deque[tuple[Path, Future[PredictResponse | PredictionError]]] = deque()

        def ask(path: Path) -> PredictResponse | PredictionError:
            try:
                return self.predict(path, k)
            except PredictionError as error:
                return error

        pool = ThreadPoolExecutor(self._at_once)
        try:
            for path in paths:
                waiting.append((path, pool.submit(ask, path)))
                if len(waiting) == 2 * self._at_once:
                    first, future = waiting.popleft()
                    yield first, future.result()
            while waiting:
                first, future = waiting.popleft()
                yield first, future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def check_reachable(self) -> None:
        """Ask whether something answers at the URL at all.

        Raises:
            PredictionError: nothing does.
        """
        try:
            self._http.get(f"{self.url}/readyz", timeout=_CONNECT_S)
        except httpx.RequestError as error:
            raise PredictionError(f"no service answers at {self.url}: {_explain(error)}") from None

    def _send(self, image: bytes, k: int, until: float) -> tuple[int, httpx.Headers, bytes]:
        left_s = max(0.001, until - time.monotonic())
        headers = {
            "Content-Type": "application/octet-stream",
            DEADLINE_HEADER: f"{min(left_s * 1000, MOST_DEADLINE_MS):.3f}",
        }
        timeout = httpx.Timeout(left_s, connect=min(left_s, _CONNECT_S))
        body = bytearray()
        with self._http.stream(
            "POST",
            f"{self.url}/predict",
            params={"k": k},
            content=image,
            headers=headers,
            timeout=timeout,
        ) as response:
            for chunk in response.iter_bytes():
                body += chunk
                if time.monotonic() > until:  # the timeout is one of each read
                    raise httpx.ReadTimeout("the answer did not end")
                if len(body) > _MOST_BYTES:
                    raise PredictionError(
                        f"the answer is longer than {_MOST_BYTES:,} bytes", response.status_code
                    )
        return response.status_code, response.headers, bytes(body)

    def close(self) -> None:
        """Close the connections. What waits for another attempt ends with an error."""
        self._closing.set()
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_retry_after(headers: httpx.Headers, now: datetime | None = None) -> float | None:
    """Return the seconds to wait that `Retry-After` asks for, a number or a date; None without one.

    `now` is the current time, if it is not that of the clock (RFC 9110, 10.2.3).
    """
    text = headers.get("retry-after", "").strip()
    if text.isdecimal():
        return float(text)
    with suppress(ValueError):
        date = parsedate_to_datetime(text)
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        return max(0.0, (date - (now or datetime.now(UTC))).total_seconds())
    return None


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost" or host.endswith(".localhost")


def _read_answer(body: bytes) -> PredictResponse:
    try:
        return PredictResponse.model_validate_json(body)
    except ValidationError:
        found = shorten(body.decode(errors="replace"))
        raise PredictionError(
            f"the answer is no prediction: {found!r}; is this URL the service's?", 200
        ) from None


def _read_error(status: int, body: bytes) -> str:
    try:
        return f"{status}: {ErrorResponse.model_validate_json(body).error}"
    except ValidationError:
        return f"{status}: {shorten(body.decode(errors='replace').strip()) or 'no reason given'!r}"


def _explain(error: httpx.RequestError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    return f"no answer: {' '.join(str(error).split()) or type(error).__name__}"
