"""Task readyz: 503 until requests are welcome, and 503 again once they are not."""

import asyncio
from pathlib import Path
from types import ModuleType

import httpx2 as httpx

from challenges.tasks.checking import Wrong, own_module
from challenges.tasks.serving import let_stand_in
from learner.language import _

LOOK = "server.py, add_readyz"


def check(folder: Path) -> None:
    """Ask /readyz and /livez before, while and after the application is ready.

    Raises:
        Wrong: an answer says otherwise than the state.
    """
    let_stand_in(folder)
    asyncio.run(_check(own_module(folder, "server")))


async def _check(server: ModuleType) -> None:
    app = server.create_app(None)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        unset = _("Before anybody has set `app.state.ready`, /readyz is answered with 503.")
        await _demand(client, "/readyz", 503, unset)
        alive = _("/livez is answered with 200, ready or not.")
        await _demand(client, "/livez", 200, alive)
        app.state.ready = True
        ready = _("When `app.state.ready` is True, /readyz is answered with 200.")
        await _demand(client, "/readyz", 200, ready)
        app.state.ready = False
        stopping = _("When `app.state.ready` is False again, /readyz is answered with 503.")
        await _demand(client, "/readyz", 503, stopping)
        await _demand(client, "/livez", 200, alive)


async def _demand(client: httpx.AsyncClient, path: str, status: int, expected: str) -> None:
    answer = await client.get(path)
    if answer.status_code != status:
        raise Wrong(
            expected=expected,
            found=_("The status was {status}, the body {body}").format(
                status=answer.status_code, body=answer.text[:150]
            ),
            look=LOOK,
        )
