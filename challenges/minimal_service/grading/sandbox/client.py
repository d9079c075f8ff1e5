"""One request to a service that may do anything: bounded in time and in memory."""

import contextlib
import json
import math
import socket
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back over HTTP."""

    status: int
    """0: what came back is not HTTP."""
    content_type: str
    body: bytes
    """Its first 64 KiB."""

    @property
    def is_html(self) -> bool:
        """Whether it is a page for people."""
        return self.body.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html"))


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(
    port: int, path: str = "/readyz", seconds: float = 2.0, body: bytes | None = None
) -> Answer:
    """One request to 127.0.0.1, answered or given up within `seconds`, whatever comes back.

    (An HTTP client's timeout starts anew with each byte that trickles in; this one does not.)

    Args:
        port: of 127.0.0.1.
        path: what to ask for.
        seconds: for all of it.
        body: POST this; without it, GET.

    Raises:
        OSError: nobody listens, or the connection broke, or time was up, before any answer.
    """
    deadline = time.monotonic() + seconds
    head = f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
    length = "" if body is None else f"Content-Length: {len(body)}\r\n"
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        connection.sendall(f"{head}{length}Connection: close\r\n\r\n".encode() + (body or b""))
        while len(received) < 1 << 16 and (left := deadline - time.monotonic()) > 0:
            connection.settimeout(left)
            try:
                chunk = connection.recv(1 << 14)
            except OSError:
                if not received:
                    raise
                break
            if not chunk:
                break
            received += chunk
    return _parse(received)


def _parse(received: bytes) -> Answer:
    head, _blank, body = received.partition(b"\r\n\r\n")
    first, *fields = head.decode("latin-1").split("\r\n")
    version, _space, rest = first.partition(" ")
    if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
        return Answer(0, "", received)
    headers = {
        name.strip().lower(): value.strip().lower()
        for name, _colon, value in (field.partition(":") for field in fields)
    }
    if headers.get("transfer-encoding") == "chunked":
        body = _unchunked(body)
    return Answer(int(rest[:3]), headers.get("content-type", ""), body)


def _unchunked(body: bytes) -> bytes:
    parts = []
    with contextlib.suppress(ValueError):  # cut off
        while body:
            size, _end, body = body.partition(b"\r\n")
            length = int(size.partition(b";")[0], 16)
            parts.append(body[:length])
            body = body[length + 2 :]
    return b"".join(parts)


def predictions_of(answer: Answer) -> list[tuple[int, float]] | None:
    """The class ids and probabilities of an answer of /predict; None if it is no right answer."""
    if answer.status != 200:
        return None
    try:
        found = json.loads(answer.body)["predictions"]
        pairs = [(int(one["class_id"]), float(one["probability"])) for one in found]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return pairs if pairs and all(math.isfinite(share) for _id, share in pairs) else None


def same_predictions(one: list[tuple[int, float]], other: list[tuple[int, float]]) -> bool:
    """Whether two answers are the same model's: the first class, and probabilities to 0.01.

    The same file on the same machine differs in the last bits only, but which images share a batch
    is chance, and sums in another order round differently.
    """
    return one[0][0] == other[0][0] and all(
        abs(probability - dict(other).get(class_id, probability)) <= 0.01
        for class_id, probability in one
    )
