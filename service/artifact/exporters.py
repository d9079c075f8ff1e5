"""How each form is written, and what a build demands of it: the counterpart of the adapters.

A form is defined in two places: in `service.engines` what it is and what runs it, here how it is
made.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from service.artifact import export
from service.artifact.bfloat16 import export_bfloat16
from service.artifact.manifest import Architecture
from service.artifact.parity import BF16, FP32, INT8, Bound
from service.artifact.quantisation import quantise_apart
from service.artifact.screened import write_screened
from service.engines import FORMS
from service.engines.base import PixelBatch
from service.model_definition import ServingModel


@dataclass(frozen=True, slots=True)
class Source:
    """What forms are written from."""

    model: ServingModel
    architecture: Architecture
    classes: int
    example: PixelBatch
    """Two images: of a batch of one, exporters take the 1 for a constant."""
    cut_calibration_crops: Callable[[], PixelBatch]
    """Returns crops of other photos than parity is measured over."""


def _write_weights(source: Source, path: Path) -> None:
    path.write_bytes(export.export_weights(source.model, source.architecture, source.classes))


def _write_torchscript(source: Source, path: Path) -> None:
    path.write_bytes(export.export_torchscript(source.model, source.example))


def _write_program(source: Source, path: Path) -> None:
    path.write_bytes(export.export_program(source.model, source.example))


def _write_bfloat16(source: Source, path: Path) -> None:
    path.write_bytes(export_bfloat16(source.model, source.example))


def _write_onnx(source: Source, path: Path) -> None:
    path.write_bytes(export.export_onnx(source.model, source.example))


def _write_int8(source: Source, path: Path) -> None:
    fp32 = path.with_name(FORMS["onnx-fp32"].file)
    with tempfile.TemporaryDirectory() as scratch:
        if not fp32.exists():  # int8 was asked for without it
            fp32 = Path(scratch) / fp32.name
            _write_onnx(source, fp32)
        int8 = Path(scratch) / "int8.onnx"
        quantise_apart(fp32, int8, source.cut_calibration_crops())
        path.write_bytes(int8.read_bytes())


def _write_screened(source: Source, path: Path) -> None:
    write_screened(source.model, path, source.cut_calibration_crops())


@dataclass(frozen=True, slots=True)
class Exporter:
    """How one form is made."""

    write: Callable[[Source, Path], None]
    """Writes the form's file, and other files in a folder of its own."""
    bound: Bound
    for_gpu: bool = False
    """Whether parity is measured on a GPU, where there is one."""


EXPORTERS = {
    "eager": Exporter(_write_weights, FP32),
    "torchscript": Exporter(_write_torchscript, FP32),
    "exported-program": Exporter(_write_program, FP32),
    "onnx-fp32": Exporter(_write_onnx, FP32),
    "onnx-int8": Exporter(_write_int8, INT8),
    "onnx-int8-screened": Exporter(_write_screened, INT8),
    "bf16": Exporter(_write_bfloat16, BF16, for_gpu=True),
}
"""The exporter of each of `service.engines.FORMS`."""
