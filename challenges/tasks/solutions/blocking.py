"""Lesson 4: the same work three times, on the event loop and off it."""

import asyncio
from collections.abc import Callable

from fastapi import FastAPI


def create_app(work: Callable[[], int]) -> FastAPI:
    """An application with /livez, and three routes that work."""
    app = FastAPI()

    @app.get("/livez")
    async def livez() -> dict:
        return {"status": "alive"}

    add_handlers(app, work)
    return app


def add_handlers(app: FastAPI, work: Callable[[], int]) -> None:
    """The same work as `async def`, as `def`, and by `asyncio.to_thread`."""

    @app.get("/async-def")
    async def on_the_loop() -> dict:
        return {"result": work()}

    @app.get("/def")
    def in_the_pool() -> dict:
        return {"result": work()}

    @app.get("/to-thread")
    async def waiting_for_a_thread() -> dict:
        return {"result": await asyncio.to_thread(work)}
