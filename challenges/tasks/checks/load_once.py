"""Task load-once: the model is loaded before the port opens, and never again."""

import time
from pathlib import Path

from challenges.load.client import ask
from challenges.minimal_service.grading.sandbox.process import ServiceFault
from challenges.minimal_service.grading.submission.running import read_predictions
from challenges.tasks.checking import Wrong
from challenges.tasks.serving import READY_SECONDS, Server, let_stand_in
from learner.language import _

LOOK = "server.py, start"
LOAD_S = 1.0
REQUESTS = 5


def check(folder: Path) -> None:
    """Start the server with a model that takes a second, and look when it is loaded.

    Raises:
        Wrong: too late, too often, or the service does not start.
    """
    let_stand_in(folder)
    with Server(folder, load_s=LOAD_S) as server:
        opened = _wait_for_port(server)
        if not any(word == "loaded" and at <= opened for word, at in server.events()):
            raise Wrong(
                expected=_("The port opens after the model is loaded."),
                found=_("The port was open, and the model was not loaded yet."),
                look=LOOK,
            )
        _check_requests(server)
        loads = [word for word, _at in server.events()].count("loading")
        if loads != 1:
            raise Wrong(
                expected=_("The model is loaded once."),
                found=_("After {requests} requests it had been loaded {loads} times.").format(
                    requests=REQUESTS, loads=loads
                ),
                look=LOOK,
            )


def _wait_for_port(server: Server) -> float:
    """When somebody answered on the port first, by `time.monotonic`."""
    while server.running and server.seconds < READY_SECONDS:
        before = time.monotonic()
        try:
            ask(server.port, "/livez", 1.0)
        except OSError:
            time.sleep(0.02)
            continue
        return before
    server.kill()
    raise Wrong(
        expected=_("The service starts, and listens on its port."),
        found=_("It did not start, or did not listen. Its last output: {last}").format(
            last=server.last_words
        ),
        look=LOOK,
    )


def _check_requests(server: Server) -> None:
    try:
        server.wait_until_ready(READY_SECONDS)
        answers = [ask(server.port, "/predict", 15.0, b"an image") for _n in range(REQUESTS)]
    except (ServiceFault, OSError) as fault:
        raise Wrong(
            expected=_("The service answers /readyz with 200, and photos with predictions."),
            found=str(fault),
            look=LOOK,
        ) from fault
    if any(answer.status != 200 or read_predictions(answer.body) is None for answer in answers):
        raise Wrong(
            expected=_("Photos are answered with the runner's predictions."),
            found=_("The status was {status}, the body {body}").format(
                status=answers[0].status, body=answers[0].body[:150].decode(errors="replace")
            ),
            look=LOOK,
        )
