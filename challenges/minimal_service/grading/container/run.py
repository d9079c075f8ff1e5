"""A container, tried: it gets ready, answers a photo, says that it is well, and drains."""

import contextlib
import http.client
import json
import time
from http import HTTPStatus

from challenges.minimal_service.grading.container.engine import Engine
from challenges.minimal_service.grading.container.file import ContainerFile
from challenges.minimal_service.grading.context import Report
from learner.language import _
from service.artifact.sample_photos import SAMPLE_PHOTOS

READY_SECONDS = 60.0
ANSWER_SECONDS = 30.0
END_SECONDS = 40.0
"""After SIGTERM."""
POLL_SECONDS = 0.3
NO_ENGINE = 125
"""Exit status of docker and podman where they themselves fail, not the container."""


def check_run(report: Report, engine: Engine, file: ContainerFile, port: int) -> None:
    """Start the image that the engine built, and check it as long as that makes sense."""
    started = time.monotonic()
    done = engine.start(port)
    if done.status in (NO_ENGINE, -1):
        sentence = _("{engine} cannot run a container here: {reason}.")
        report.check("run", None, sentence.format(engine=engine.name, reason=done.reason))
        return
    published = engine.published(port) if done.status == 0 else None
    if published is None or not _wait_until_ready(engine, published):
        report.check("run", False, _not_ready(engine, port, done.reason if done.status else None))
        return
    seconds = time.monotonic() - started
    report.measured["container_ready_s"] = round(seconds, 2)
    report.check(
        "run", True, _("The container was ready after {seconds:.1f} s.").format(seconds=seconds)
    )
    _check_photo(report, published)
    _check_health(report, engine, file)
    _check_drain(report, engine, published)


def _not_ready(engine: Engine, port: int, reason: str | None) -> str:
    if reason is not None:
        return _("The container cannot be started: {reason}.").format(reason=reason)
    last = engine.last_words()
    if engine.running():
        return _(
            "After {seconds:g} s the container did not answer GET /readyz with 200 on port {port}. "
            "In a container a service listens on 0.0.0.0. The last it said: {last}"
        ).format(seconds=READY_SECONDS, port=port, last=last)
    return _("The container ended with status {status} before it was ready: {last}").format(
        status=engine.exit_status(), last=last
    )


def _wait_until_ready(engine: Engine, port: int) -> bool:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            with contextlib.closing(connection):
                connection.request("GET", "/readyz")
                if connection.getresponse().status == HTTPStatus.OK:
                    return True
        if not engine.running():
            return False
        time.sleep(POLL_SECONDS)
    return False


def _check_photo(report: Report, port: int) -> None:
    photo = SAMPLE_PHOTOS[0]
    found = "–"
    with contextlib.suppress(OSError, http.client.HTTPException):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
        with contextlib.closing(connection):
            connection.request("POST", "/predict", photo.read())
            found = _label(connection.getresponse())
    report.check(
        "photo",
        found in photo.labels,
        _("The container took the photo {photo} for: {found}").format(
            photo=photo.name, found=found
        ),
    )


def _label(response: http.client.HTTPResponse) -> str:
    """The first label of an answer, or whatever came instead."""
    body = response.read()
    try:
        return str(json.loads(body)["predictions"][0]["label"])
    except (ValueError, LookupError, TypeError):
        return f"{response.status} {body[:80]!r}"


def _check_health(report: Report, engine: Engine, file: ContainerFile) -> None:
    """Run the health check's command once, as the engine would again and again."""
    health = file.last("HEALTHCHECK")
    if health is None or health.text.strip().upper() == "NONE":
        return  # noted already
    words = health.words if health.is_json else ["/bin/sh", "-c", health.text]
    done = engine.execute(words, ANSWER_SECONDS)
    report.check(
        "healthy",
        done.status == 0,
        _("The HEALTHCHECK of the ready service succeeds.")
        if done.status == 0
        else _("The HEALTHCHECK of the ready service fails with status {status}: {reason}").format(
            status=done.status, reason=done.reason
        ),
    )


def _check_drain(report: Report, engine: Engine, port: int) -> None:
    """SIGTERM while half of a photo is on its way: the answer must come, then a clean end."""
    body = SAMPLE_PHOTOS[0].read()
    answer = "–"
    with contextlib.suppress(OSError, http.client.HTTPException):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
        with contextlib.closing(connection):
            connection.putrequest("POST", "/predict")
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body[: len(body) // 2])
            time.sleep(0.2)  # so that it is accepted before the signal comes
            engine.signal("TERM")
            time.sleep(0.2)
            connection.send(body[len(body) // 2 :])
            answer = _label(connection.getresponse())
    answered = answer in SAMPLE_PHOTOS[0].labels
    deadline = time.monotonic() + END_SECONDS
    while engine.running() and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    status = None if engine.running() else engine.exit_status()
    if status is None:
        sentence = _("The container still ran {seconds:g} s after SIGTERM.")
        text = sentence.format(seconds=END_SECONDS)
    elif not answered:
        text = _("The request that the container had accepted before SIGTERM was not answered.")
    elif status != 0:
        text = _("After SIGTERM the container ended with status {status}, expected 0.")
        text = text.format(status=status)
    else:
        text = _("After SIGTERM the container answered what it had accepted, and ended with 0.")
    report.check(
        "drain",
        answered and status == 0,
        text,
        cause=_("SIGTERM does not reach the service, or the service does not drain."),
    )
