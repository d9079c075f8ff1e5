"""Lesson 4: the same work three times, on the event loop and off it.

The event loop is one thread that serves everybody in turn. A handler with `async def` runs on it:
while that handler computes, nobody else is served, not even /livez. `await` gives the loop back.
"""

import asyncio
from collections.abc import Callable

from fastapi import FastAPI


def create_app(work: Callable[[], int]) -> FastAPI:
    """An application with /livez, and three routes that work."""
    app = FastAPI()

    @app.get("/livez")
    async def livez() -> dict:  # an example: it needs no time, so the loop may run it
        return {"status": "alive"}

    add_handlers(app, work)
    return app


def add_handlers(app: FastAPI, work: Callable[[], int]) -> None:
    """Three routes that do the same: call `work()`, which computes for half a second.

    Each answers {"result": what work() returned}:

    - GET /async-def, a handler with `async def` that calls `work()` itself;
    - GET /def, a handler with `def`: FastAPI calls it in another thread;
    - GET /to-thread, a handler with `async def` that awaits `asyncio.to_thread(work)`.

    The check measures how long /livez waits beside each. Guess before you look.
    """
    ...  # write here
