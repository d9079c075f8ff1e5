"""Task classifier: all classes are searched roughly, the best ranked again, the sum is over all."""

from pathlib import Path
from typing import Any

import numpy as np

from challenges.catalogue.rows import catalogue_rows
from challenges.tasks.checking import Wrong
from challenges.tasks.graphs import (
    Floats,
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

LOOK = "classifier.py, Classifier"
FORWARD = "classifier.py, Classifier.forward"
EDITIONS = 6
"""Variants of each of the 1,000 real classes: a catalogue small enough for a check."""
TOP = 5
PHOTOS = 14
MOST = 0.06
"""Largest difference of a probability. Measured: 0.002; for the rough scores alone 0.1 to 0.5."""
CLOSE = 1e-3
MOST_BYTES = 1.5
"""A weight. Measured: 1.3, of which 1 is for the second look."""


def check(folder: Path) -> None:
    """Write a classifier of some thousand classes, and hold it against the exact one.

    Raises:
        Wrong: it reads all weights for each photo, or its answers are not those of fp32.
    """
    import torch

    module = module_of(folder, "classifier")
    network = real_network(folder)
    rows = catalogue_rows(
        network.classifier.weight.detach().numpy(),
        network.classifier.bias.detach().numpy(),
        EDITIONS,
    )
    parts = list(rows)
    weight = np.concatenate([part[0] for part in parts])
    bias = np.concatenate([part[1] for part in parts])
    path = folder / "checked.onnx"
    tensors = torch.from_numpy(weight), torch.from_numpy(bias)
    run_own(folder, "write_classifier", module.write_classifier, *tensors, path)
    session = open_graph(path, LOOK)
    demand_names(session, ["features"], ["ids", "probabilities"], LOOK)
    features = true_features(network, crops(PHOTOS, recognised=True))
    truth = probabilities(features @ weight.T + bias)
    _check_shapes(session, features)
    _check_sum(session, bias)
    _check_answers(session, features, truth)
    _check_second_look(path, len(weight))


def _check_shapes(session: Any, features: Floats) -> None:
    for count in (1, len(features)):
        ids, found = run_graph(session, "features", features[:count], FORWARD)
        if ids.shape != (count, TOP) or found.shape != (count, TOP):
            raise Wrong(
                expected=_("For {n} photos, ids and probabilities of the shape {n} × 5.").format(
                    n=count
                ),
                found=f"{ids.shape}, {found.shape}",
                look=FORWARD,
            )


def _check_answers(session: Any, features: Floats, truth: Floats) -> None:
    ids, found = run_graph(session, "features", features, FORWARD)
    for own_ids, own, right in zip(ids, found, truth, strict=True):
        best = np.argsort(-right)[:TOP]
        difference = float(max(np.abs(own - right[own_ids]).max(), np.abs(own - right[best]).max()))
        if not difference <= MOST:
            raise Wrong(
                expected=_("The classes {ids} with the probabilities {right}.").format(
                    ids=best.tolist(), right=_rounded(right[best])
                ),
                found=_("The classes {ids} with {found}: they differ by {difference:.2f}.").format(
                    ids=own_ids.tolist(), found=_rounded(own), difference=difference
                ),
                look=FORWARD,
            )


def _rounded(numbers: Floats) -> list[float]:
    return [round(float(one), 3) for one in numbers]


def _check_sum(session: Any, bias: Floats) -> None:
    """Features of zero: every score is its bias, roughly and exactly, so the sum is known."""
    right = float(np.sort(probabilities(bias))[-1])
    _ids, found = run_graph(session, "features", np.zeros((1, 1280), np.float32), FORWARD)
    if not abs(float(found[0][0]) - right) <= CLOSE * right:
        raise Wrong(
            expected=_("The softmax divides by the sum over all classes, each counted once."),
            found=_(
                "For features of zero the first probability is {right:.6f}; it was {found:.6f}."
            ).format(right=right, found=float(found[0][0])),
            look=FORWARD,
        )


def _check_second_look(path: Path, classes: int) -> None:
    import onnx

    size = path.stat().st_size / (classes * 1280)
    if size > MOST_BYTES:
        raise Wrong(
            expected=_("All rows are kept in 8 bits; along the directions, in 4."),
            found=_("The file has {size:.1f} bytes for each weight.").format(size=size),
            look=LOOK,
        )
    graph = onnx.load(path).graph
    rows = {one.name for one in graph.initializer if set(one.dims) == {classes, 1280}}
    for node in graph.node:
        attributes = {one.name: one.i for one in node.attribute}
        all_weights = attributes.get("K") == 1280 and attributes.get("N") == classes
        if all_weights or (rows & set(node.input) and not node.op_type.startswith("Gather")):
            raise Wrong(
                expected=_("All 1,280 weights are read of the best classes only."),
                found=_("A {operation} reads all weights of all {classes:,} classes.").format(
                    operation=node.op_type, classes=classes
                ),
                look=FORWARD,
            )
    if not any(node.op_type == "MatMulNBits" for node in graph.node):
        raise Wrong(
            expected=_(
                "The rough search over all classes is the second matrix product, in 4 bits."
            ),
            found=_("Nothing in the graph is in 4 bits. In which order are the products?"),
            look=FORWARD,
        )
