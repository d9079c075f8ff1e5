"""A small router: sends each request to one of two instances, and compares their answers.

It does what the router of a service mesh does for a release.
"""

import hashlib
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

import httpx2 as httpx
import uvicorn
from fastapi import FastAPI, Request, Response

from challenges.load.client import HOST

Verdict = Literal["on", "wait", "back"]
FEWEST_COMPARED = 30
"""Answers that are compared before a release goes on."""
MOST_DIFFERENT, MOST_FAILED = 0.1, 1
"""Share of the compared answers that may differ, 0–1, and requests that may fail."""
DEADLINE_MS = 60_000
"""Time that an instance may take: a release is judged by answers, not by times."""
SHARES = (0.2, 0.5, 1.0)
"""Parts of the traffic that a release goes through."""


@dataclass(frozen=True, slots=True)
class Routed:
    """One request that passed the router."""

    id: str
    version: str
    """"released" or "candidate": the instance whose answer was given."""
    status: int
    ms: float
    same: bool | None = None
    """Whether both instances gave the same first class; None where only one was asked."""


@dataclass(slots=True)
class Router:
    """Knows two instances by their URLs, and which share of the requests the candidate gets."""

    released: str
    candidate: str
    share: float = 0.0
    """From 0 to 1. It can be changed at any moment."""
    log: list[Routed] = field(default_factory=list)
    failed: int = 0
    """Requests that the candidate failed; the released instance answered them."""

    def app(self) -> FastAPI:
        """Return the application: `POST /predict`, answered by one of the two instances."""
        numbers = count()

        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[None]:
            async with httpx.AsyncClient(timeout=DEADLINE_MS / 1000) as app.state.client:
                yield

        app = FastAPI(lifespan=lifespan)

        @app.post("/predict")
        async def predict(request: Request) -> Response:
            started = time.perf_counter()
            name = request.headers.get("X-Request-Id") or f"request-{next(numbers):05}"
            photo, client, same = await request.body(), app.state.client, None
            version = "candidate" if goes_to_candidate(name, self.share) else "released"
            answer = await ask(client, getattr(self, version), name, photo)
            if version == "candidate" and not answer.is_success:
                self.failed += 1
                version, answer = "released", await ask(client, self.released, name, photo)
            elif version == "candidate" and self.share < 1:
                other = await ask(client, self.released, name, photo)
                if other.is_success:
                    same = first_class(answer.content) == first_class(other.content)
            ms = (time.perf_counter() - started) * 1000
            self.log.append(Routed(name, version, answer.status_code, ms, same))
            headers = {"X-Request-Id": name, "X-Version": version}
            return Response(answer.content, answer.status_code, headers, "application/json")

        return app


async def ask(client: httpx.AsyncClient, url: str, name: str, photo: bytes) -> httpx.Response:
    """Send a photo to an instance, with the request's id; 502 if it does not answer."""
    headers = {"X-Request-Id": name, "X-Deadline-Ms": str(DEADLINE_MS)}
    try:
        return await client.post(f"{url}/predict?request={name}", content=photo, headers=headers)
    except httpx.TransportError:
        return httpx.Response(502, content=b"{}")


def first_class(answer: bytes) -> int:
    """Return the class id of an answer's first prediction."""
    return int(json.loads(answer)["predictions"][0]["class_id"])


def goes_to_candidate(name: str, share: float) -> bool:
    """Return whether the request `name` belongs to the candidate's share (0 to 1).

    The same name always gives the same number from 0 to 1. So a user who was moved at 20 % is not
    moved back at 50 %.
    """
    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64 < share


def decide(compared: int, different: int, failed: int) -> Verdict:
    """Return how a release goes on: "back" at once on failures, "wait" for too few answers.

    Args:
        compared: requests that both instances answered.
        different: those of them with another first class.
        failed: requests that the candidate did not answer.
    """
    if failed > MOST_FAILED:
        return "back"
    if compared < FEWEST_COMPARED:
        return "wait"
    return "back" if different / compared > MOST_DIFFERENT else "on"


def release(router: Router, over: threading.Event) -> list[tuple[float, Verdict]]:
    """Give the candidate one share of the traffic after the other, while requests come.

    Args:
        router: under load.
        over: set when no more requests come.

    Returns:
        Each share that was tried, with the verdict on it. The last share stays, or becomes 0.
    """
    found: list[tuple[float, Verdict]] = []
    for share in SHARES:
        begin, router.share = len(router.log), share
        verdict: Verdict = "wait" if share < 1 else "on"
        while verdict == "wait" and not over.wait(0.05):
            seen = [one.same for one in router.log[begin:] if one.same is not None]
            verdict = decide(len(seen), seen.count(False), router.failed)
        found.append((share, verdict))
        if verdict != "on":
            router.share = 0.0
            break
    return found


@contextmanager
def running(router: Router) -> Iterator[int]:
    """Run a router in a thread of this process; yields its port on 127.0.0.1."""
    with socket.create_server((HOST, 0)) as listener:
        config = uvicorn.Config(router.app(), log_level="warning", access_log=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(10)
