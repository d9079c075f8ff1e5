"""What the conductor has done in threads of their own, because it waits for somebody else.

Each takes `tell`, by which it reports, and `wanted`, by which it learns that it may end.
"""

import contextlib
import http.client
import time
from collections.abc import Callable, Sequence
from typing import Any

from notebooks.panel.client import Answer, Client
from notebooks.panel.others import Others
from service.console.summary import summarise_artifact, summarise_metrics

POLL_S = 1.0
PERIOD_S = 0.03
"""Between two photos at least, so that showing the one does not slow down the other."""
FAILED = (OSError, http.client.HTTPException)
"""What is raised when nobody answers. That the process is gone is noticed elsewhere."""
Wanted = Callable[[], bool]


def send_photos(
    url: str,
    group: int,
    photos: Sequence[bytes],
    count: int,
    seconds: float,
    wanted: Wanted,
    answered: Callable[[float, Answer], None],
    done: Callable[[float, float | None], None],
) -> None:
    """Send `count` photos one after another, but no further one after `seconds`
    since the first answer.

    `answered` gets the moment (monotonic) and the answer of each, `done` the moment of the end,
    and the share of the processors that programs outside of the process group `group` had.
    """
    others = Others(group)
    deadline = float("inf")
    with contextlib.closing(Client(url)) as client, contextlib.suppress(*FAILED):
        for number in range(count):
            if number == 1:  # a first answer may take long: that is what some photos are for
                deadline = time.monotonic() + seconds
            if number > 1 and time.monotonic() > deadline:
                break
            if not wanted():
                return
            begun = time.monotonic()
            answer = client.predict(photos[number % len(photos)])
            answered(time.monotonic(), answer)
            time.sleep(max(0.0, begun + PERIOD_S - time.monotonic()))
    done(time.monotonic(), others.share())


def watch(url: str, wanted: Wanted, tell: Callable[[str, dict[str, Any]], None]) -> None:
    """Ask the service what it has loaded; then, again and again, how it does."""
    with contextlib.closing(Client(url)) as client, contextlib.suppress(*FAILED):
        tell("artifact", summarise_artifact(client.get("/artifact").json()))
        while wanted():
            tell("metrics", summarise_metrics(client.get("/metrics").body.decode()))
            time.sleep(POLL_S)


def classify(url: str, name: str, image: bytes, tell: Callable[[dict[str, Any]], None]) -> None:
    """Have one image classified; `tell` gets what the front end shows of it."""
    client = Client(url)
    try:
        answer = client.predict(image)
    except FAILED:
        tell({"key": "try_lost", "values": {}})
        return
    finally:
        client.close()
    found = answer.json()
    if answer.status != 200:
        reason = str(found.get("error", f"HTTP {answer.status}"))
        tell({"key": "try_bad", "values": {"name": name, "reason": reason}})
        return
    tell(
        {
            "name": name,
            "predictions": [
                {"label": one["label"], "probability": round(one["probability"], 4)}
                for one in found["predictions"]
            ],
            "timing_ms": found.get("timing_ms", {}),
            "total_ms": round(answer.ms, 2),
        }
    )
