"""Task counter: every request is counted by its status, also one whose handler fails."""

import asyncio
from pathlib import Path

import httpx2 as httpx
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from prometheus_client.parser import text_string_to_metric_families

from challenges.tasks.checking import Wrong, own_module
from learner.language import _

LOOK = "metrics.py, add_metrics"
METRIC = "service_requests_total"
SENT = {
    "/ok": (200, 7),
    "/empty": (400, 3),
    "/busy": (503, 2),
    "/broken": (500, 4),
    "/no": (404, 1),
}
"""Path → status, and how many requests go there."""


def check(folder: Path) -> None:
    """Send requests to an application that the learner's code watches, and read its counts.

    Raises:
        Wrong: a count is missing or wrong, or the text cannot be read.
    """
    module = own_module(folder, "metrics")
    first = asyncio.run(_counts_after(module.add_metrics, rounds=1))
    _compare(first, 1)
    _compare(asyncio.run(_counts_after(module.add_metrics, rounds=2)), 2)


async def _counts_after(add_metrics: object, rounds: int) -> dict[str, float]:
    app = _application()
    assert callable(add_metrics)
    add_metrics(app)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        counts: dict[str, float] = {}
        for _round in range(rounds):
            for path, (status, number) in SENT.items():
                for _request in range(number):
                    answer = await client.get(path)
                    if answer.status_code != status:
                        raise Wrong(
                            expected=_("The answers of the service stay as they are."),
                            found=_("{path} was answered with {found}, not {status}.").format(
                                path=path, found=answer.status_code, status=status
                            ),
                            look=LOOK,
                        )
            counts = _read(await client.get("/metrics"))
    return counts


def _application() -> FastAPI:
    app = FastAPI()
    for path in ("/ok", "/empty", "/busy"):
        status = SENT[path][0]

        @app.get(path)
        async def answer(status: int = status) -> JSONResponse:
            return JSONResponse({}, status)

    @app.get("/broken")
    async def broken() -> JSONResponse:
        raise RuntimeError("this handler fails on purpose")

    return app


def _read(answer: httpx.Response) -> dict[str, float]:
    if answer.status_code != 200:
        raise Wrong(
            expected=_("GET /metrics is answered with 200."),
            found=_("The status was {status}.").format(status=answer.status_code),
            look=LOOK,
        )
    try:
        families = list(text_string_to_metric_families(answer.text))
    except ValueError as error:
        raise Wrong(
            expected=_("Prometheus can read the text of /metrics."),
            found=f"{error}: {answer.text[:200]!r}",
            look=LOOK,
        ) from error
    family = next((one for one in families if f"{one.name}_total" == METRIC), None)
    if family is None or family.type != "counter":
        raise Wrong(
            expected=_("The line `# TYPE {metric} counter` says that it is a counter.").format(
                metric=METRIC
            ),
            found=answer.text[:200] or _("nothing"),
            look=LOOK,
        )
    return {sample.labels.get("status", ""): sample.value for sample in family.samples}


def _compare(found: dict[str, float], rounds: int) -> None:
    right = {str(status): float(number * rounds) for status, number in SENT.values()}
    for status, number in sorted(right.items(), key=lambda one: one[0] != "500"):
        if found.get(status) != number:
            raise Wrong(
                expected=_("{n:.0f} requests with status {status} are counted.").format(
                    n=number, status=status
                ),
                found=_("The count was {found}.").format(found=found.get(status, _("not there"))),
                look=LOOK,
            )
    if extra := sorted(set(found) - set(right)):
        raise Wrong(
            expected=_("Only the statuses that were answered are counted."),
            found=_("There is a count for {extra}, too.").format(extra=", ".join(extra)),
            look=LOOK,
        )
