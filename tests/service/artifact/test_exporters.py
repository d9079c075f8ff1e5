"""Each form has an adapter and an exporter; what they write is what is served."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from service.artifact import export
from service.artifact.exporters import EXPORTERS, Source
from service.artifact.manifest import Architecture
from service.engines import FORMS, load_engine
from service.engines.base import PixelBatch
from service.model_definition import ServingModel

SIDE, CLASSES = 16, 8


@pytest.fixture(scope="module")
def source() -> Source:
    """A network that is small enough to be exported in each form in a second."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, CLASSES),
    )  # fmt: skip
    architecture = Architecture(
        name="small", source="", licence="", mean=(127, 127, 127), std=(128, 128, 128)
    )
    crops = images(20)
    return Source(
        ServingModel(network, architecture.mean, architecture.std),
        architecture,
        CLASSES,
        crops[:2],
        lambda: crops,
    )


def images(count: int) -> PixelBatch:
    return np.random.default_rng(0).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)


def test_every_form_has_an_exporter() -> None:
    assert list(EXPORTERS) == list(FORMS)
    for name, exporter in EXPORTERS.items():
        assert exporter.for_gpu == (FORMS[name].precision == "bf16")


@pytest.mark.parametrize("name", [name for name in FORMS if name != "eager"])
def test_what_is_written_answers_as_the_model_does(
    source: Source, name: str, tmp_path: Path
) -> None:
    path = tmp_path / FORMS[name].file
    EXPORTERS[name].write(source, path)
    pixels = images(5)
    with torch.inference_mode():
        expected = source.model(torch.from_numpy(pixels)).numpy()
    answers = load_engine(FORMS[name], path, "cpu", threads=1)(pixels)
    np.testing.assert_allclose(answers, expected, atol=EXPORTERS[name].bound.golden_tolerance)
    assert [file.name for file in tmp_path.iterdir()] == [FORMS[name].file.split("/")[0]]


def test_int8_is_made_from_the_fp32_graph_of_the_bundle(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    EXPORTERS["onnx-fp32"].write(source, tmp_path / FORMS["onnx-fp32"].file)
    monkeypatch.delattr(export, "export_onnx")
    EXPORTERS["onnx-int8"].write(source, tmp_path / FORMS["onnx-int8"].file)
    assert len(list(tmp_path.iterdir())) == 2
