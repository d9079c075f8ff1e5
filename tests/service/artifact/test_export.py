"""What the exporters of torch write: the same bytes each time, for any batch size."""

import json
from collections.abc import Callable
from io import BytesIO

import onnxruntime
import pytest
import torch

from service.artifact.export import (
    INPUT,
    export_onnx,
    export_program,
    export_torchscript,
    export_weights,
)
from service.artifact.exporters import Source
from service.settings import ROOT
from tests.service.artifact.conftest import CLASSES, random_images


def test_weights_name_their_architecture(source: Source) -> None:
    data = export_weights(source.model, source.architecture, source.classes)
    assert data == export_weights(source.model, source.architecture, source.classes)
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    about = json.loads(header.pop("__metadata__")["serving_model"])
    assert about["architecture"] == "small"
    assert about["num_classes"] == CLASSES
    assert header.keys() == source.model.model.state_dict().keys()


def test_onnx_does_not_depend_on_where_it_is_exported(source: Source) -> None:
    data = export_onnx(source.model, source.example)
    assert data == export_onnx(source.model, source.example)
    assert str(ROOT).encode() not in data
    assert b"model_definition" not in data


def load_onnx(data: bytes) -> Callable[[torch.Tensor], torch.Tensor]:
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return lambda pixels: torch.from_numpy(session.run(None, {INPUT: pixels.numpy()})[0])


@pytest.mark.parametrize(
    ("export", "load"),
    [
        (export_onnx, load_onnx),
        (export_program, lambda data: torch.export.load(BytesIO(data)).module()),
        pytest.param(
            export_torchscript,
            lambda data: torch.jit.load(BytesIO(data)),  # type: ignore[no-untyped-call]
            marks=pytest.mark.filterwarnings("ignore"),
        ),
    ],
)
def test_exported_graphs_take_any_batch_size(
    source: Source,
    export: Callable[..., bytes],
    load: Callable[[bytes], Callable[[torch.Tensor], torch.Tensor]],
) -> None:
    run = load(export(source.model, source.example))
    pixels = torch.from_numpy(random_images(7))
    with torch.inference_mode():
        expected = source.model(pixels)
        for count in (1, 2, 7):
            torch.testing.assert_close(run(pixels[:count]), expected[:count], atol=1e-5, rtol=1e-4)
