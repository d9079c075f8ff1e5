"""Concurrent callers of the inference runner get their own answers."""

import asyncio
from collections.abc import Sequence

import numpy as np

from learner.language import _
from quizzes.evidence import Evidence
from quizzes.evidence.parity import torch_engine
from quizzes.evidence.shared_state import meet_after
from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.engines.base import Engine, Probabilities
from service.inference_runner import InferenceRunner
from service.preprocessing import preprocess
from service.runner.admission import Admission
from service.runner.plan import Layout

SECONDS = 60.0
"""Deadline of each caller."""


LAYOUT = Layout(workers=2, lanes=2, max_batch=1)


def runner_that_meets(engine: Engine) -> InferenceRunner:
    """Make a runner of two threads that wait for each other after each image is preprocessed.

    At every answer, then, two images have been read before either of them goes on.
    """
    return InferenceRunner(engine, meet_after(preprocess), LAYOUT, admit_all())


def admit_all() -> Admission:
    """Return an admission with a target of a minute, which refuses no request here."""
    return Admission(SECONDS, service_s=0.01, interval_s=0.01, lanes=LAYOUT.lanes)


async def all_at_once(runner: InferenceRunner, files: Sequence[bytes]) -> Probabilities:
    """Classify an even number of files at the same time; return float32, files × classes."""
    answered = await asyncio.gather(*(runner.classify(data, SECONDS) for data in files))
    return np.stack([inference.probabilities for inference in answered])


async def one_by_one(runner: InferenceRunner, files: Sequence[bytes]) -> Probabilities:
    """Classify the files one after the other; return float32, files × classes."""
    return np.stack([(await runner.classify(data, SECONDS)).probabilities for data in files])


def run() -> Evidence:
    """Let a runner classify each photo alone, then all at the same time."""
    files = [photo.read() for photo in SAMPLE_PHOTOS] * 2
    engine = torch_engine()
    runner = InferenceRunner(engine, preprocess, LAYOUT, admit_all())
    try:
        alone = asyncio.run(one_by_one(runner, files))
    finally:
        runner.close()
    runner = runner_that_meets(engine)
    try:
        together = asyncio.run(all_at_once(runner, files))
    finally:
        runner.close()
    right = int((together.argmax(1) == alone.argmax(1)).sum())
    assert right == len(files), "a caller got the answer to a different photo"
    return Evidence(
        shows=_("Of {all} callers at once, {right} got the answer for their own photo.").format(
            all=len(files), right=right
        ),
        values={_("callers"): len(files), _("with their own answer"): right},
        varies=_("the number of callers at a time; model and photos are the same."),
    )
