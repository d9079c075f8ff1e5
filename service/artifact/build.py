"""Build an artifact bundle: every form exported, measured, bounded, recorded; then put in place."""

import json
import platform
import shutil
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import torch

from service.artifact import export, parity
from service.artifact.bfloat16 import export_bfloat16
from service.artifact.crops import random_crops
from service.artifact.manifest import (
    GOLDEN_FOLDER,
    MANIFEST,
    MANIFEST_DIGEST,
    Environment,
    File,
    FormRecord,
    Manifest,
    Parity,
    TensorSpecification,
    code_files,
    digest_line,
)
from service.artifact.placement import (
    DISK_FAULTS,
    as_disk_fault,
    check_destination,
    folder_beside,
    put_in_place,
    sync,
)
from service.artifact.quantisation import quantise
from service.artifact.recipe import Recipe
from service.artifact.sparse import write_sparse
from service.artifact.verify import installed_version, running_python, sha256, verify
from service.engines import BF16, FORMS, SPARSE, load_engine
from service.engines.base import Engine, Form, PixelBatch, Probabilities
from service.engines.torch_module import TorchEngine, configure_torch
from service.machine import available_cores
from service.model_definition import ServingModel
from service.preprocessing import preprocess

PARITY_CROPS, CALIBRATION_CROPS = 700, 110
GOLDEN_CLASSES = 5
# Golden replays may run on another processor, which adds in another order: ten times the parity
# bound for fp32. int8 rounds such differences up to a whole step of its scale.
GOLDEN_TOLERANCE = {"fp32": 1e-3, "int8": 2e-2, "bf16": 3e-2}

Say = Callable[[str], None]


def build(recipe: Recipe, destination: Path, say: Say = print) -> Manifest:
    """Build the bundle of `recipe` at `destination`, replacing an older one.

    Args:
        recipe: what to build.
        destination: the bundle's folder.
        say: is told of each step, a line at a time.

    Raises:
        OperatorError: a form falls under its bound, the folder cannot be written, the disk is full.
    """
    check_destination(destination)
    with folder_beside(destination) as folder:
        try:
            manifest = _fill(folder, recipe, say)
            sync(folder)
        except OSError as error:
            if error.errno not in DISK_FAULTS:
                raise
            raise as_disk_fault(error, destination) from error
        verify(folder)
        put_in_place(folder, destination)
    say(f"artifact {manifest.name} {manifest.version} built: {destination}")
    return manifest


def _fill(folder: Path, recipe: Recipe, say: Say) -> Manifest:
    builder = _FormBuilder(folder, recipe)
    for number, form in enumerate((FORMS[name] for name in FORMS if name in recipe.forms), 1):
        started = time.perf_counter()
        say(f"[build {number}/{len(recipe.forms)}] {form.name}: export and compare")
        measured = builder.add(form)
        size = sum(file.stat().st_size for file in form.files(folder)) / 1e6
        say(
            f"[build {number}/{len(recipe.forms)}] {form.name}: {size:.1f} MB, same first class "
            f"as eager fp32 on {measured.top1_agreement:.2%} of {measured.crops} crops "
            f"({measured.top1_agreement_sure:.2%} of the sure ones) "
            f"· {time.perf_counter() - started:.0f} s"
        )
    records = builder.records()
    for name, path in code_files().items():
        target = folder / name
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, target)

    default, reason = _choose_default(records)
    say(f"default form: {default}, {reason}")
    classes, side = len(recipe.labels), recipe.preprocessing.crop
    manifest = Manifest(
        name=recipe.name,
        version=recipe.version,
        built_at=datetime.now(UTC),
        architecture=recipe.architecture,
        input=TensorSpecification(
            name=export.INPUT,
            dtype="uint8",
            shape=("batch", side, side, 3),
            meaning="RGB pixels 0–255 of preprocessing.preprocess; normalised inside the graph",
        ),
        output=TensorSpecification(
            name=export.OUTPUT,
            dtype="float32",
            shape=("batch", classes),
            meaning="probability of each class; a row sums to 1",
        ),
        preprocessing=recipe.preprocessing,
        labels=tuple(recipe.labels),
        environment=_environment(),
        default_form=default,
        default_form_reason=reason,
        forms=records,
        files=_record_files(folder),
    )
    text = json.dumps(manifest.model_dump(mode="json"), indent=1, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", "utf-8")
    (folder / MANIFEST_DIGEST).write_bytes(digest_line(sha256(folder / MANIFEST)))
    return manifest


class _FormBuilder:
    """Adds forms to a bundle, one after another; eager fp32 is what each is compared with."""

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        self._folder = folder
        self._recipe = recipe
        architecture = recipe.architecture
        self._model = ServingModel(recipe.model, architecture.mean, architecture.std)
        photos, settings = recipe.photos, recipe.preprocessing
        self._crops = random_crops(photos.parity, PARITY_CROPS, 0, settings)
        self._golden = self._copy_golden_photos()
        self._engines: dict[str, Engine] = {}
        self._parities: dict[str, Parity] = {}
        self._eager = self._reference_engine()
        self._reference = parity.probabilities_of(self._eager, self._crops)

    def add(self, form: Form) -> Parity:
        """Write a form, load it as the service will, compare it.

        Raises:
            OperatorError: it falls under its bound.
        """
        if form.name == "eager":  # the reference is what it is compared with
            engine, found = self._eager, self._reference
        else:
            engine = self._write_and_load(form)
            found = parity.probabilities_of(engine, self._crops)
        self._engines[form.name] = engine
        measured = parity.measure_parity(form, self._reference, found, engine.device)
        self._parities[form.name] = measured
        return measured

    def records(self) -> dict[str, FormRecord]:
        """What the manifest says of the forms that were added."""
        times = parity.milliseconds_per_image(self._engines, self._crops)
        return {
            name: FormRecord(
                file=FORMS[name].file,
                precision=FORMS[name].precision,
                parity=self._parities[name],
                milliseconds_per_image=times[name],
                golden={photo: self._answer(engine, path) for photo, path in self._golden.items()},
                golden_tolerance=GOLDEN_TOLERANCE[FORMS[name].precision],
            )
            for name, engine in self._engines.items()
        }

    def _reference_engine(self) -> Engine:
        if self._recipe.keeps_weights:
            return self._write_and_load(FORMS["eager"])
        configure_torch(available_cores())
        return TorchEngine(self._model, "cpu")

    def _write_and_load(self, form: Form) -> Engine:
        path = self._folder / form.file
        if not path.exists():
            self._write(form, path)
        # bf16 is for a GPU, so it is measured on one where there is one.
        device = "cuda" if form.name == BF16 and torch.cuda.is_available() else "cpu"
        return load_engine(form, path, device, available_cores())

    def _write(self, form: Form, path: Path) -> None:
        recipe, example = self._recipe, self._crops[:2]
        if form.name == SPARSE:
            write_sparse(self._model, path, self._calibration_crops())
            return
        match form.name:
            case "eager":
                classes = len(recipe.labels)
                data = export.export_weights(self._model, recipe.architecture, classes)
            case "torchscript":
                data = export.export_torchscript(self._model, example)
            case "exported-program":
                data = export.export_program(self._model, example)
            case "bf16":
                data = export_bfloat16(self._model, example)
            case "onnx-fp32":
                data = export.export_onnx(self._model, example)
            case "onnx-int8":
                data = self._quantise()
            case other:
                raise NotImplementedError(other)
        path.write_bytes(data)

    def _quantise(self) -> bytes:
        fp32 = self._folder / FORMS["onnx-fp32"].file
        with tempfile.TemporaryDirectory() as scratch:
            if not fp32.exists():  # int8 was asked for without it
                fp32 = Path(scratch) / fp32.name
                fp32.write_bytes(export.export_onnx(self._model, self._crops[:2]))
            int8 = Path(scratch) / "int8.onnx"
            quantise(fp32, int8, self._calibration_crops())
            return int8.read_bytes()

    def _calibration_crops(self) -> PixelBatch:
        photos, settings = self._recipe.photos.calibration, self._recipe.preprocessing
        return random_crops(photos, CALIBRATION_CROPS, 1, settings)

    def _copy_golden_photos(self) -> dict[str, Path]:
        (self._folder / GOLDEN_FOLDER).mkdir()
        copies = {}
        for path in self._recipe.photos.golden:
            name = f"{GOLDEN_FOLDER}/{path.name}"
            copies[name] = Path(shutil.copyfile(path, self._folder / name))
        return copies

    def _answer(self, engine: Engine, photo: Path) -> dict[int, float]:
        pixels = preprocess(photo.read_bytes(), self._recipe.preprocessing)
        probabilities: Probabilities = engine(pixels[None])[0]
        best = (-probabilities).argsort(kind="stable")[:GOLDEN_CLASSES]
        return {int(class_id): float(probabilities[class_id]) for class_id in best}


def _choose_default(records: dict[str, FormRecord]) -> tuple[str, str]:
    """The fastest form on this machine's CPU that keeps the accuracy floor and needs no torch.

    Where there is none, torch is put up with, and where there is still none, any form.
    """
    worthy = [name for name, record in records.items() if parity.may_be_default(record.parity)]
    without_torch = [name for name in worthy if not FORMS[name].needs_torch]
    candidates = without_torch or worthy or list(records)
    ranking = sorted(candidates, key=lambda name: records[name].milliseconds_per_image)
    times = ", ".join(f"{name} {records[name].milliseconds_per_image:.1f}" for name in ranking)
    floor = (
        f"the forms that agree with eager fp32 on at least {parity.DEFAULT_SURE_AGREEMENT:.0%} of "
        f"the sure and {parity.DEFAULT_AGREEMENT:.0%} of all crops"
        if worthy
        else "all forms, none of which keeps the accuracy floor"
    )
    return ranking[0], (
        f"fastest on the building machine ({available_cores()} cores, ms an image: {times}) of "
        f"{floor}{', and need no torch' if without_torch else ''}"
    )


def _environment() -> Environment:
    packages = sorted({package for form in FORMS.values() for package in form.packages})
    versions = {package: installed_version(package) for package in packages}
    return Environment(
        python=running_python(),
        system=platform.system(),
        machine=platform.machine(),
        packages={package: version for package, version in versions.items() if version},
    )


def _record_files(folder: Path) -> dict[str, File]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): File(sha256=sha256(path), bytes=path.stat().st_size)
        for path in paths
    }
