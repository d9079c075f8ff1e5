"""What the checks of exported graphs share: a real network, real pixels, and what is right."""

from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from challenges.tasks.checking import Wrong, own_module, place_of, said
from learner.language import _
from service.artifact.parity import random_crops
from service.artifact.sample_photos import OTHER_PICTURES, SAMPLE_PHOTOS
from service.preprocessing import PreprocessingSettings

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]
SURE = 0.3
"""Where the model gives its first class more than this, fewer bits must not change it."""


def real_network(folder: Path) -> Any:
    """The published network of 1,000 classes, in the architecture of the learner's folder."""
    from service.model_definition import published_lite0_weights

    network = own_module(folder, "model_definition").EfficientNetLite0(1000)
    network.load_state_dict(published_lite0_weights())
    return network.eval()


@cache
def crops(count: int, *, recognised: bool) -> Pixels:
    """Cuts of photos, N × 224 × 224 × 3: of those that the model recognises, or of others."""
    pictures = SAMPLE_PHOTOS if recognised else OTHER_PICTURES
    paths = [picture.path for picture in pictures]
    return random_crops(paths, count, 11, PreprocessingSettings())


def true_features(network: Any, pixels: Pixels) -> Floats:
    """Compute in torch and fp32 what an exported graph should."""
    import torch

    with torch.inference_mode():
        images = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() - 127) / 128
        found: Floats = network.features(images).numpy()
    return found


def probabilities(logits: Floats) -> Floats:
    """Softmax over the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def run_own(folder: Path, what: str, function: Any, *arguments: Any) -> Any:
    """Call the learner's function.

    Raises:
        Wrong: it raises an error.
    """
    try:
        return function(*arguments)
    except NotImplementedError:
        raise
    except Exception as error:
        raise Wrong(
            expected=_("`{what}` runs without an error.").format(what=what),
            found=said(error),
            look=place_of(error, folder),
        ) from error


def open_graph(path: Path, look: str) -> Any:
    """A session of ONNX Runtime on one thread.

    Raises:
        Wrong: there is no such file, or it is no graph.
    """
    import onnxruntime

    expected = _("An ONNX file is written that ONNX Runtime can load.")
    if not path.is_file():
        raise Wrong(expected=expected, found=_("There is no file."), look=look)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise Wrong(expected=expected, found=said(error), look=look) from error


def run_graph(session: Any, name: str, value: Any, look: str) -> list[Any]:
    """All outputs for one input.

    Raises:
        Wrong: it cannot be computed, as where the batch size is not free.
    """
    try:
        found: list[Any] = session.run(None, {name: value})
    except Exception as error:
        raise Wrong(
            expected=_("The graph computes inputs of the shape {shape}.").format(
                shape=" × ".join(map(str, value.shape))
            ),
            found=said(error),
            look=look,
        ) from error
    return found


def demand_names(session: Any, inputs: list[str], outputs: list[str], look: str) -> None:
    """The graph's inputs and outputs must have the names of the docstring.

    Raises:
        Wrong: they have others.
    """
    found = [one.name for one in session.get_inputs()], [one.name for one in session.get_outputs()]
    if found != (inputs, outputs):
        raise Wrong(
            expected=_("Input {inputs}, output {outputs}.").format(
                inputs=", ".join(inputs), outputs=", ".join(outputs)
            ),
            found=_("Input {inputs}, output {outputs}.").format(
                inputs=", ".join(found[0]), outputs=", ".join(found[1])
            ),
            look=look,
        )


def module_of(folder: Path, name: str) -> ModuleType:
    """The learner's module, with the chatter of exporter and quantiser left out."""
    import logging

    logging.disable(logging.WARNING)
    return own_module(folder, name)
