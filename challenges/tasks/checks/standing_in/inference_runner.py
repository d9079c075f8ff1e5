"""Stands in for the learner's runner while the server around it is looked at. It computes nothing.

What happens to it is noted in the file that RUNNER_EVENTS names: a word and a time each.
"""

import asyncio
import os
import threading
import time
from pathlib import Path

EVENTS = os.environ.get("RUNNER_EVENTS")
LOAD_S = float(os.environ.get("RUNNER_LOAD_S", "0"))
WORK_S = float(os.environ.get("RUNNER_WORK_S", "0"))
PREDICTIONS = [
    {"class_id": 967 - i, "label": f"class {967 - i}", "probability": 0.5 / 2**i} for i in range(5)
]
one_at_a_time = threading.Lock()


def note(word):
    if EVENTS:
        with one_at_a_time, open(EVENTS, "a") as file:
            file.write(f"{word} {time.monotonic():.6f}\n")


class BusyError(Exception):
    """The queue is full."""


class Model:
    """As the learner's: the artifact, loaded."""

    def __init__(self, artifact):
        if not Path(artifact).is_dir():
            raise ValueError(f"there is no artifact {artifact}")
        note("loading")
        time.sleep(LOAD_S)
        note("loaded")

    def classify(self, data):
        if data == b"no image":
            raise ValueError("not an image that can be classified")
        if data == b"busy":
            raise BusyError("too many requests wait")
        if data == b"fault":
            raise RuntimeError("a fault of the service itself")
        time.sleep(WORK_S)
        note("worked")
        return PREDICTIONS


class InferenceRunner:
    """As the learner's: work happens in other threads."""

    def __init__(self, work, *_more, **_options):
        self.work = work

    async def classify(self, data):
        return await asyncio.to_thread(self.work, data)

    def close(self):
        note("closed")
