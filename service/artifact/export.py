"""Serialise a model to bytes, by the exporters of torch; used by the build only.

To bytes, because torch's own writers abort the whole process when the disk is full.
"""

import io
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from safetensors.torch import save

from service.artifact.manifest import Architecture
from service.model_definition import ServingModel
from service.preprocessing import Pixels

INPUT, OUTPUT = "pixels", "probabilities"


def export_weights(model: ServingModel, architecture: Architecture, classes: int) -> bytes:
    """Serialise the weights as safetensors, without code; the header names the architecture."""
    header = {
        "architecture": architecture.name,
        "num_classes": classes,
        **architecture.model_dump(exclude={"name", "source", "licence"}),
    }
    weights = {name: tensor.contiguous() for name, tensor in model.model.state_dict().items()}
    # One key: safetensors does not keep the order of several keys, and the bytes must not vary.
    return save(weights, metadata={"serving_model": json.dumps(header)})


def export_onnx(model: ServingModel, example: Pixels) -> bytes:
    """Export ONNX for any batch size, from `example`, uint8, at least 2 × H × W × 3.

    With a batch of one the exporter would treat the 1 as a constant.
    """
    with _quiet():
        program = torch.onnx.export(
            model,
            (torch.from_numpy(example),),
            dynamo=True,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
            external_data=False,
            verbose=False,
        )
        assert program is not None  # None only from the exporter before dynamo
    graph = program.model_proto
    for node in graph.graph.node:
        # Stack traces with the paths and line numbers of this checkout: the bytes must not depend
        # on where the model is built, nor on comments in its source.
        del node.metadata_props[:]
    return bytes(graph.SerializeToString(deterministic=True))


def export_torchscript(model: ServingModel, example: Pixels) -> bytes:
    """Trace the model with `example`, uint8 N × H × W × 3; return TorchScript."""
    file = io.BytesIO()
    with _quiet(), torch.inference_mode():
        traced = torch.jit.trace(model, torch.from_numpy(example))  # type: ignore[no-untyped-call]
        torch.jit.save(traced, file)
    return file.getvalue()


def export_program(model: ServingModel, example: Pixels) -> bytes:
    """Export the program for any batch size, from `example`, uint8, at least 2 × H × W × 3."""
    file = io.BytesIO()
    with _quiet():
        shapes = ({0: torch.export.Dim("batch", min=1)},)
        program = torch.export.export(model, (torch.from_numpy(example),), dynamic_shapes=shapes)
        torch.export.save(program, file)
    return file.getvalue()


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide the exporters' warnings: about their internals and TorchScript's end, not actionable."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
