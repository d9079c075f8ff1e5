"""Task off-the-loop: three handlers that do the same work, and /livez beside each."""

import inspect
import json
import threading
import time
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from challenges.load.client import Answer, ask
from challenges.minimal_service.grading.submission.running import free_port
from challenges.tasks.checking import Wrong, own_module, place_of, said
from learner.language import _

LOOK = "blocking.py, add_handlers"
WORK_S = 0.5
ROUTES = ("/async-def", "/def", "/to-thread")


class _Work:
    """Half a second of work that leaves other threads alone, as a forward pass does."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.threads: list[threading.Thread] = []
        self.result = 0

    def __call__(self) -> int:
        self.threads.append(threading.current_thread())
        self.begun.set()
        time.sleep(WORK_S)
        self.result += 1
        return self.result


def check(folder: Path) -> None:
    """Run the application, and ask /livez while each route works.

    Raises:
        Wrong: a route is missing, answers something else, or works in another place.
    """
    work = _Work()
    try:
        app: FastAPI = own_module(folder, "blocking").create_app(work)
    except (TypeError, AttributeError) as error:
        raise Wrong(
            expected=_("`create_app(work)` makes the application."),
            found=said(error),
            look=place_of(error, folder),
        ) from error
    server = uvicorn.Server(uvicorn.Config(app, port=free_port(), log_level="critical"))
    loop = threading.Thread(target=server.run, daemon=True)
    loop.start()
    while not server.started and loop.is_alive():
        time.sleep(0.01)
    try:
        waits = {route: _measure(server.config.port, route, work, loop) for route in ROUTES}
    finally:
        server.should_exit = True
        loop.join(5)
    for route, seconds in waits.items():
        print(f"GET {route:11} beside it /livez waited {seconds * 1000:4.0f} ms")
    _check_kinds(app)


def _measure(port: int, route: str, work: _Work, loop: threading.Thread) -> float:
    """Seconds that /livez took while the route worked."""
    work.begun.clear()
    before = len(work.threads)
    answers: list[Answer] = []

    def get() -> None:
        answers.append(ask(port, route, 10.0))

    user = threading.Thread(target=get, daemon=True)
    user.start()
    while user.is_alive() and not work.begun.wait(0.05):
        pass
    started = time.monotonic()
    ask(port, "/livez", 10.0)
    waited = time.monotonic() - started
    user.join(15)
    _check_answer(route, answers, work)
    calls = work.threads[before:]
    on_loop = [thread is loop for thread in calls]
    if on_loop != [route == "/async-def"]:
        expected = (
            _("{route} calls `work` once, on the event loop.")
            if route == "/async-def"
            else _("{route} calls `work` once, in another thread than the event loop's.")
        )
        raise Wrong(
            expected=expected.format(route=route),
            found=_(
                "It called it {n} times, {loop} of them on the event loop; /livez waited {ms:.0f} "
                "ms beside it."
            ).format(n=len(calls), loop=sum(on_loop), ms=waited * 1000),
            look=LOOK,
        )
    return waited


def _check_answer(route: str, answers: list[Answer], work: _Work) -> None:
    expected = _('`GET {route}` answers {{"result": …}} with what `work` returned.')
    if not answers:
        found = _("no answer")
    else:
        try:
            if answers[0].status == 200 and json.loads(answers[0].body) == {"result": work.result}:
                return
        except ValueError:
            pass
        found = _("The status was {status}, the body {body}").format(
            status=answers[0].status, body=answers[0].body[:100].decode(errors="replace")
        )
    raise Wrong(expected=expected.format(route=route), found=found, look=LOOK)


def _check_kinds(app: FastAPI) -> None:
    kinds = {
        route.path: inspect.iscoroutinefunction(route.endpoint)
        for route in app.routes
        if hasattr(route, "path") and hasattr(route, "endpoint")
    }
    for route in ROUTES:
        if kinds.get(route) is not (route != "/def"):
            kind = "def" if route == "/def" else "async def"
            raise Wrong(
                expected=_("The handler of {route} is defined with `{kind}`.").format(
                    route=route, kind=kind
                ),
                found=_("It is defined in the other way."),
                look=LOOK,
            )
