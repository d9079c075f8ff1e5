"""Serialise a model in each of its forms, to bytes. The service itself does not come here.

To bytes, because torch's own writers abort the whole process when they find the disk full.
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
    """safetensors: tensors and nothing that runs. Its header says which architecture they fit."""
    header = {
        "architecture": architecture.name,
        "num_classes": classes,
        "mean": architecture.mean,
        "std": architecture.std,
    }
    weights = {name: tensor.contiguous() for name, tensor in model.model.state_dict().items()}
    # One key only: safetensors does not keep the order of several, and the file must not vary.
    return save(weights, metadata={"serving_model": json.dumps(header)})


def export_onnx(model: ServingModel, example: Pixels) -> bytes:
    """ONNX, by torch's exporter, for any batch size. `example` is uint8, at least 2 × H × W × 3:
    with a batch of one the exporter takes the 1 for a constant.
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
        assert program is not None  # it is None only for the exporter before dynamo
    graph = program.model_proto
    for node in graph.graph.node:
        # Stack traces with the paths and line numbers of this checkout: the bytes must not depend
        # on where the model is built, nor on comments in its source.
        del node.metadata_props[:]
    return bytes(graph.SerializeToString(deterministic=True))


def export_torchscript(model: ServingModel, example: Pixels) -> bytes:
    """TorchScript, by tracing with `example`, uint8 N × H × W × 3."""
    file = io.BytesIO()
    with _quiet(), torch.inference_mode():
        traced = torch.jit.trace(model, torch.from_numpy(example))  # type: ignore[no-untyped-call]
        torch.jit.save(traced, file)
    return file.getvalue()


def export_program(model: ServingModel, example: Pixels) -> bytes:
    """The exported program, for any batch size, from `example`, uint8, at least 2 × H × W × 3."""
    file = io.BytesIO()
    with _quiet():
        shapes = ({0: torch.export.Dim("batch", min=1)},)
        program = torch.export.export(model, (torch.from_numpy(example),), dynamic_shapes=shapes)
        torch.export.save(program, file)
    return file.getvalue()


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporters warn of their own internals and of TorchScript's end; nobody can act on it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
