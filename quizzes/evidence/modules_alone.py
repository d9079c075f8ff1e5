"""Isolated modules can be timed alone: where the time of one photo goes."""

import time
from collections.abc import Callable
from io import BytesIO
from statistics import median

import numpy as np
from PIL import Image

from learner.artifact import bundle
from learner.language import _
from quizzes.evidence.base import Evidence
from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.engines import FORMS, load_engine
from service.machine import available_cores
from service.preprocessing import PreprocessingSettings, preprocess


def run() -> Evidence:
    """Time preprocessing and forward pass, each alone; then preprocessing again, changed."""
    photo = Image.open(BytesIO(SAMPLE_PHOTOS[0].read())).convert("RGB")
    file = BytesIO()
    photo.resize((4000, 3000)).save(file, "JPEG", quality=90)
    form = FORMS["onnx-fp32"]
    engine = load_engine(form, bundle().path / form.file, "cpu", available_cores())
    pixels = preprocess(file.getvalue())[np.newaxis]
    full = PreprocessingSettings(reducing_gap=1e6)
    whole = _median_ms(lambda: preprocess(file.getvalue(), full))
    shrunk = _median_ms(lambda: preprocess(file.getvalue()))
    forward = _median_ms(lambda: engine(pixels))
    assert shrunk < whole, f"{shrunk:.0f} ms, {whole:.0f} ms"
    return Evidence(
        shows=_(
            "Timed alone, preprocessing takes {whole:.0f} ms for a photo of 12 megapixels and the "
            "forward pass {forward:.0f} ms. A change to one line of preprocessing saves "
            "{saved:.0f} ms and leaves the model as it is."
        ).format(whole=whole, forward=forward, saved=whole - shrunk),
        values={
            _("preprocessing"): whole,
            _("preprocessing, changed"): shrunk,
            _("forward pass"): forward,
        },
        unit="ms",
    )


def _median_ms(call: Callable[[], object]) -> float:
    call()
    times = []
    for _repeat in range(5):
        started = time.perf_counter()
        call()
        times.append((time.perf_counter() - started) * 1000)
    return median(times)
