"""Task endpoint: POST /predict, and the contract's answer to each error."""

import asyncio
from pathlib import Path
from types import ModuleType

import httpx2 as httpx

from challenges.tasks.checking import Wrong, own_module
from challenges.tasks.serving import let_stand_in
from learner.language import _

LOOK = "server.py, add_predict"
REASON = "these bytes are no image"


class _Runner:
    """Answers as it is told, and notes what it was asked."""

    def __init__(self, predictions: object) -> None:
        self.predictions = predictions
        self.error: Exception | None = None
        self.asked: list[object] = []

    async def classify(self, data: object) -> object:
        self.asked.append(data)
        if self.error is not None:
            raise self.error
        return self.predictions


def check(folder: Path) -> None:
    """Send requests to the application, each with another fate.

    Raises:
        Wrong: an answer is not the contract's.
    """
    let_stand_in(folder)
    asyncio.run(_check(own_module(folder, "server"), own_module(folder, "inference_runner")))


async def _check(server: ModuleType, stand_in: ModuleType) -> None:
    runner = _Runner(stand_in.PREDICTIONS)
    app = server.create_app(runner)
    app.state.ready = True
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:

        async def post(error: Exception | None) -> httpx.Response:
            runner.error = error
            return await client.post("/predict", content=b"an image", timeout=10)

        await _check_answer(runner, post)
        answer = await post(ValueError(REASON))
        _demand(
            answer,
            400,
            _("If the runner raises ValueError (the bytes are no image), the status is 400."),
        )
        _demand_error(answer, REASON)
        answer = await post(stand_in.BusyError("too many requests wait"))
        _demand(
            answer, 503, _("If the runner raises BusyError (too many wait), the status is 503.")
        )
        _demand_error(answer, "too many requests wait")
        if "retry-after" not in answer.headers:
            raise Wrong(
                expected=_("With 503 comes the header `Retry-After: 1`: try again in a second."),
                found=_("The answer has no such header."),
                look=LOOK,
            )
        _demand(
            await post(RuntimeError("a bug")),
            500,
            _("A fault of the service itself is not caught: the status is 500."),
        )
        _demand(await post(None), 200, _("After all these errors an image is answered with 200."))


async def _check_answer(runner: _Runner, post: object) -> None:
    assert callable(post)
    answer: httpx.Response = await post(None)
    if answer.status_code == 404:
        raise Wrong(
            expected=_("`POST /predict` is a route of the application."),
            found=_("It was answered with 404: there is no such route."),
            look=LOOK,
        )
    _demand(answer, 200, _("An image is answered with 200."))
    if runner.asked != [b"an image"]:
        raise Wrong(
            expected=_("`runner.classify` is called once, with the bytes of the body."),
            found=_("It was called with {calls}.").format(calls=repr(runner.asked)[:150]),
            look=LOOK,
        )
    found = _json(answer)
    if not isinstance(found, dict) or found.get("predictions") != runner.predictions:
        raise Wrong(
            expected=_('The body is {{"predictions": …}} with what the runner gave.').format(),
            found=answer.text[:200],
            look=LOOK,
        )


def _demand(answer: httpx.Response, status: int, expected: str) -> None:
    if answer.status_code != status:
        raise Wrong(
            expected=expected,
            found=_("The status was {status}, the body {body}").format(
                status=answer.status_code, body=answer.text[:150]
            ),
            look=LOOK,
        )


def _demand_error(answer: httpx.Response, reason: str) -> None:
    found = _json(answer)
    if not isinstance(found, dict) or reason not in str(found.get("error")):
        raise Wrong(
            expected=_('The body says why: {{"error": "{reason}"}}.').format(reason=reason),
            found=answer.text[:200],
            look=LOOK,
        )


def _json(answer: httpx.Response) -> object:
    try:
        content: object = answer.json()
    except ValueError:
        return None
    return content
