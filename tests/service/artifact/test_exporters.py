"""Each form has an adapter and an exporter; what is written is what is served."""

from pathlib import Path

import numpy as np
import pytest
import torch

from service.artifact import export
from service.artifact.exporters import EXPORTERS, Source
from service.engines import FORMS, load_engine
from tests.service.artifact.conftest import random_images


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
    pixels = random_images(5)
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
