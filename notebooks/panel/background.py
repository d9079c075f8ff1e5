"""What the panel does outside of its event loop, because it takes time: requests and a copy.

Each public function runs in a thread of its own. `wanted` tells it whether its results still
matter; it returns early when they do not.
"""

import contextlib
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx2 as httpx
import psutil

from learner.cpu_meter import CpuMeter
from service.artifact.manifest import MANIFEST, Manifest
from service.console.summary import summarise_artifact, summarise_metrics

TIMEOUT_S = 30
POLL_S = 1.0
PERIOD_S = 0.03
"""Least time in seconds between two photos, so that showing one does not slow down the next."""
Wanted = Callable[[], bool]


def send_photos(
    url: str,
    group: int,
    photos: Sequence[bytes],
    count: int,
    seconds: float,
    wanted: Wanted,
    on_answer: Callable[[float, httpx.Response], None],
    on_end: Callable[[float, float], None],
) -> None:
    """Send `count` photos one after another, but none later than `seconds` after the first answer.

    Args:
        url: of the service.
        group: process group of the service.
        photos: image files, sent in turn.
        count: of photos to send.
        seconds: for all photos after the first one, whose answer may take longer.
        wanted: whether the results still matter.
        on_answer: called with the time of each answer (monotonic) and the answer.
        on_end: called with the time of the end (monotonic) and the share of the processors, 0 to 1,
            that programs outside of `group` had.
    """
    meter = CpuMeter(_list_processes(group))
    deadline = float("inf")
    # A connection that fails ends this; the event loop notices that the process is gone.
    with _client(url) as client, contextlib.suppress(httpx.RequestError):
        for number in range(count):
            if number == 1:
                deadline = time.monotonic() + seconds
            if number > 1 and time.monotonic() > deadline:
                break
            if not wanted():
                return
            begun = time.monotonic()
            answer = client.post("/predict", content=photos[number % len(photos)])
            on_answer(time.monotonic(), answer)
            time.sleep(max(0.0, begun + PERIOD_S - time.monotonic()))
    on_end(time.monotonic(), meter.others())


def watch(url: str, wanted: Wanted, tell: Callable[[str, dict[str, Any]], None]) -> None:
    """Tell what a service has loaded ("artifact"), then its "metrics" every `POLL_S` seconds."""
    with _client(url) as client, contextlib.suppress(httpx.RequestError):
        tell("artifact", summarise_artifact(client.get("/artifact").json()))
        while wanted():
            tell("metrics", summarise_metrics(client.get("/metrics").text))
            time.sleep(POLL_S)


def classify(url: str, name: str, image: bytes, tell: Callable[[dict[str, Any]], None]) -> None:
    """Classify one image file, and tell what the front end shows of it."""
    try:
        with _client(url) as client:
            answer = client.post("/predict", content=image)
    except httpx.RequestError:
        tell({"key": "try_lost", "values": {}})
        return
    content = _json(answer)
    if answer.status_code != 200:
        reason = str(content.get("error", f"HTTP {answer.status_code}"))
        tell({"key": "try_bad", "values": {"name": name, "reason": reason}})
        return
    tell(
        {
            "name": name,
            "predictions": [
                {"label": one["label"], "probability": round(one["probability"], 4)}
                for one in content["predictions"]
            ],
            "timing_ms": content.get("timing_ms", {}),
            "total_ms": round(milliseconds(answer), 2),
        }
    )


def copy_with_a_flipped_bit(artifact: Path, folder: Path) -> tuple[Path, str]:
    """Copy a bundle into `folder`, and flip one bit of the form that is served by default.

    Returns:
        The copy, and the name of the file that differs.

    Raises:
        OSError: no room, or the bundle cannot be read.
        ValueError: the bundle's manifest is not valid.
    """
    copy = Path(shutil.copytree(artifact, folder / "artifact"))
    manifest = Manifest.model_validate_json((copy / MANIFEST).read_bytes())
    name = manifest.forms[manifest.default_form].file
    with (copy / name).open("r+b") as file:
        middle = file.seek(0, 2) // 2
        file.seek(middle)
        byte = file.read(1)[0]
        file.seek(middle)
        file.write(bytes([byte ^ 1]))
    return copy, name


def milliseconds(answer: httpx.Response) -> float:
    """Return the time from sending the request to the last byte of the answer, in ms."""
    return answer.elapsed.total_seconds() * 1000


def _list_processes(group: int) -> list[int]:
    """Return the ids of a process group's leader and its descendants; none if it has ended."""
    with contextlib.suppress(psutil.Error):
        leader = psutil.Process(group)
        return [group, *(child.pid for child in leader.children(recursive=True))]
    return []


def _client(url: str) -> httpx.Client:
    # This machine only: without the environment's proxy, and without loading certificates, which
    # takes 20 ms of a processor that the service needs.
    return httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False, verify=False)


def _json(answer: httpx.Response) -> dict[str, Any]:
    """Return the object in the body; an empty one if there is none (an error page)."""
    try:
        content = answer.json()
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
