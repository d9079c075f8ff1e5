"""Task export-onnx: the features as a graph that needs neither torch nor the class."""

from pathlib import Path

import numpy as np

from challenges.tasks.checking import Wrong
from challenges.tasks.graphs import (
    Floats,
    crops,
    demand_names,
    module_of,
    open_graph,
    real_network,
    run_graph,
    run_own,
    true_features,
)
from learner.language import _

LOOK = "build_artifact.py, export_features"
INSIDE = "build_artifact.py, PixelsToFeatures.forward"
CLOSE = 1e-3
"""Largest difference of a feature (from 0 to 6) that rounding explains."""


def check(folder: Path) -> None:
    """Export the real network, and hold the graph's features against torch's.

    Raises:
        Wrong: names, types or sizes are others, or the features are.
    """
    module = module_of(folder, "build_artifact")
    network = real_network(folder)
    pixels = crops(3, recognised=True)
    right = true_features(network, pixels)
    path = folder / "checked.onnx"
    run_own(folder, "export_features", module.export_features, network, path)
    session = open_graph(path, LOOK)
    demand_names(session, ["pixels"], ["features"], LOOK)
    _check_input(session.get_inputs()[0])
    for count in (1, 3):
        (found,) = run_graph(session, "pixels", pixels[:count], LOOK)
        _check_features(found, right[:count])


def _check_input(found: object) -> None:
    kind, shape = found.type, found.shape  # type: ignore[attr-defined]
    if kind != "tensor(uint8)":
        raise Wrong(
            expected=_("The input is uint8, as pixels are: four times less to send than floats."),
            found=_("It is {kind}.").format(kind=kind),
            look=LOOK,
        )
    if shape[1:] != [224, 224, 3]:
        raise Wrong(
            expected=_("The input has the shape batch × 224 × 224 × 3, as a photo lies in memory."),
            found=_("It has the shape {shape}.").format(shape=" × ".join(map(str, shape))),
            look=LOOK,
        )
    if isinstance(shape[0], int):
        raise Wrong(
            expected=_("The batch size is free: `dynamic_shapes`, with {{0: …}}.").format(),
            found=_("It is fixed: {size}.").format(size=shape[0]),
            look=LOOK,
        )


def _check_features(found: Floats, right: Floats) -> None:
    if found.shape != right.shape:
        raise Wrong(
            expected=_("For {n} photos, features of the shape {n} × 1280.").format(n=len(right)),
            found=_("They have the shape {shape}.").format(shape=" × ".join(map(str, found.shape))),
            look=INSIDE,
        )
    difference = float(np.abs(found - right).max())
    if not difference <= CLOSE:
        raise Wrong(
            expected=_("The features are those of torch, to {close}.").format(close=CLOSE),
            found=_(
                "They differ by up to {difference:.2f}. Likely causes: another normalisation, or "
                "the colours at another place."
            ).format(difference=difference),
            look=INSIDE,
        )
