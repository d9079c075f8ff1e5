"""Task quantise: the features in 8 bits, calibrated on photos, and still right."""

from pathlib import Path
from typing import Any

import numpy as np

from challenges.tasks.checking import Wrong
from challenges.tasks.graphs import (
    SURE,
    Floats,
    Pixels,
    crops,
    demand_names,
    module_of,
    open_graph,
    probabilities,
    real_network,
    run_graph,
    run_own,
    true_features,
)
from learner.language import _

LOOK = "quantise.py, quantise"
CALIBRATED_ON, MEASURED_ON = 22, 70
MOST_OF_FP32 = 0.5
"""Size of the int8 file, as a share of the fp32 file's."""
MOST_LOST = 3
"""How many of the sure photos may change their first class (measured for the solution: 1)."""
MOST_MEDIAN = 0.025
"""Median change of the first class's probability. Measured: 0.012 for the solution, 0.031 with the
first layers in 8 bits, 0.040 with one scale for all channels."""


def check(folder: Path) -> None:
    """Quantise the real features, and compare what they say with fp32.

    Raises:
        Wrong: they are not in 8 bits, or say something else.
    """
    module = module_of(folder, "quantise")
    network = real_network(folder)
    fp32, int8 = folder / "fp32.onnx", folder / "int8.onnx"
    _export(network, fp32)
    pixels = crops(CALIBRATED_ON, recognised=False)
    run_own(folder, "quantise", module.quantise, fp32, int8, pixels)
    session = open_graph(int8, LOOK)
    demand_names(session, ["pixels"], ["features"], LOOK)
    _check_size(fp32, int8)
    _check_static(int8)
    _check_answers(session, network, crops(MEASURED_ON, recognised=True))


def _export(network: Any, path: Path) -> None:
    """Write the features as the task export-onnx asks for."""
    import torch

    class PixelsToFeatures(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = network.features((pixels.permute(0, 3, 1, 2).float() - 127) / 128)
            return found

    torch.onnx.export(
        PixelsToFeatures().eval(),
        (torch.zeros(2, 224, 224, 3, dtype=torch.uint8),),
        path,
        dynamo=True,
        input_names=["pixels"],
        output_names=["features"],
        dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
        external_data=False,
        verbose=False,
    )


def _check_size(fp32: Path, int8: Path) -> None:
    before, after = fp32.stat().st_size, int8.stat().st_size
    if after > MOST_OF_FP32 * before:
        raise Wrong(
            expected=_("The int8 file is about a quarter of the fp32 file."),
            found=_("It has {after:.1f} MB of {before:.1f} MB.").format(
                after=after / 1e6, before=before / 1e6
            ),
            look=LOOK,
        )


def _check_static(int8: Path) -> None:
    import onnx

    kinds = {node.op_type for node in onnx.load(int8).graph.node}
    if "DynamicQuantizeLinear" in kinds or "QuantizeLinear" not in kinds:
        raise Wrong(
            expected=_(
                "The outputs of the layers are int8, too, in ranges that photos have shown."
            ),
            found=_("The weights alone are int8, or the ranges are found anew for each photo."),
            look=LOOK,
        )


def _check_answers(session: Any, network: Any, pixels: Pixels) -> None:
    found = np.concatenate(
        [run_graph(session, "pixels", pixels[i : i + 7], LOOK)[0] for i in range(0, len(pixels), 7)]
    )
    if found.shape != (len(pixels), 1280):
        raise Wrong(
            expected=_("For {n} photos, features of the shape {n} × 1280.").format(n=len(pixels)),
            found=_("They have the shape {shape}.").format(shape=" × ".join(map(str, found.shape))),
            look=LOOK,
        )
    weight = network.classifier.weight.detach().numpy()
    bias = network.classifier.bias.detach().numpy()

    def answers(features: Floats) -> Floats:
        return probabilities(features @ weight.T + bias)

    truth, here = answers(true_features(network, pixels)), answers(found)
    first = truth.argmax(axis=1)
    of_first = np.arange(len(first)), first
    sure = truth[of_first] > SURE
    lost = int((here.argmax(axis=1) != first)[sure].sum())
    median = float(np.median(np.abs(here[of_first] - truth[of_first])))
    if lost > MOST_LOST or median > MOST_MEDIAN:
        raise Wrong(
            expected=_(
                "At most {most_lost} of {sure} photos that fp32 is sure of change their first "
                "class, and probabilities change by at most {most:.3f} (median)."
            ).format(most_lost=MOST_LOST, sure=int(sure.sum()), most=MOST_MEDIAN),
            found=_(
                "{lost} changed, and probabilities by {median:.3f}. Likely causes: one scale for "
                "all channels, the first layers in 8 bits, or ranges that are not of photos."
            ).format(lost=lost, median=median),
            look=LOOK,
        )
