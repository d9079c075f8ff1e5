"""What the panel asks of a running service, over HTTP, on one kept connection a thread."""

import http.client
import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

SECONDS = 30


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request."""

    status: int
    body: bytes
    ms: float
    """From sending the request to the last byte of the answer."""

    def json(self) -> dict[str, Any]:
        """The body as an object; one with the key `error`, if it is none."""
        try:
            found = json.loads(self.body)
        except ValueError:
            found = None
        return found if isinstance(found, dict) else {"error": f"HTTP {self.status}"}


class Client:
    """A connection to a service.

    Its methods raise OSError or http.client.HTTPException where nobody answers.
    """

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=SECONDS)

    def predict(self, image: bytes) -> Answer:
        """Send an image file for classification."""
        return self._ask("POST", "/predict", image)

    def get(self, path: str) -> Answer:
        """Ask for a page."""
        return self._ask("GET", path, None)

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def _ask(self, method: str, path: str, body: bytes | None) -> Answer:
        started = time.perf_counter()
        try:
            self._connection.request(method, path, body)
            response = self._connection.getresponse()
            content = response.read()
        except Exception:
            self._connection.close()  # the next request opens a new one
            raise
        return Answer(response.status, content, (time.perf_counter() - started) * 1000)
