"""The service's modules give the same answers as the research notebook."""

from io import BytesIO

import numpy as np
from PIL import Image

from learner.language import _
from quizzes.evidence import Evidence
from quizzes.evidence.exhibit import AUTHOR, run_cells
from service.engines.base import Engine, Probabilities
from service.preprocessing import preprocess

BOUND = 1e-3
"""Differences of probabilities below this count as the same answer."""


def as_file(photo: Image.Image) -> bytes:
    """Return a photo as the bytes of an image file, without loss (PNG)."""
    file = BytesIO()
    photo.save(file, "PNG", compress_level=1)
    return file.getvalue()


def torch_engine() -> Engine:
    """Return the model definition with the published weights, run by torch."""
    from service.engines.torch_module import TorchEngine
    from service.model_definition import (
        LITE0,
        ServingModel,
        create_model,
        load_weights,
        published_lite0_weights,
    )

    model = create_model(LITE0, 1000)
    load_weights(model, published_lite0_weights())
    return TorchEngine(ServingModel(model, mean=(127.0,) * 3, std=(128.0,) * 3), "cpu")


def answers(engine: Engine, files: list[bytes]) -> Probabilities:
    """Preprocess and classify the files one by one; return float32, files × classes."""
    return np.concatenate([engine(preprocess(data)[np.newaxis]) for data in files])


def run() -> Evidence:
    """Compare the answers of notebook and modules for the same photos."""
    kernel = run_cells(AUTHOR)
    notebook = np.array(kernel.names["probabilities"])
    modules = answers(torch_engine(), [as_file(photo) for photo in kernel.names["photos"]])
    moved = int((modules.argmax(1) != notebook.argmax(1)).sum())
    largest = float(np.abs(modules - notebook).max())
    assert moved == 0, "a first class moved"
    assert largest < BOUND, "a probability moved"
    return Evidence(
        shows=_(
            "On {all} of {all} pictures (cuts of 7 photos) the first class is the same. "
            "The largest difference of any probability is {largest:.0e}."
        ).format(all=len(modules), largest=largest),
        values={_("pictures"): len(modules), _("with a different first class"): moved},
        varies=_("the code, notebook or modules; weights and pictures are the same."),
    )
