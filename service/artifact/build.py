"""Build an artifact bundle: export every form, compare it with eager fp32, record it all."""

import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import torch

from service.artifact import export, parity
from service.artifact.exporters import EXPORTERS, Source
from service.artifact.manifest import (
    GOLDEN_FOLDER,
    File,
    FormRecord,
    Manifest,
    Parity,
    TensorSpecification,
    code_files,
)
from service.artifact.parity import random_crops
from service.artifact.placement import (
    DISK_FAULTS,
    check_destination,
    explain_disk_fault,
    put_in_place,
    sync,
    temporary_sibling,
    write_manifest,
)
from service.artifact.recipe import Recipe
from service.artifact.validate import choose_default, describe_environment
from service.artifact.verify import sha256, verify
from service.engines import FORMS, load_engine
from service.engines.base import Engine, Form, Probabilities
from service.engines.torch_module import TorchEngine, configure_torch
from service.machine import available_cores
from service.model_definition import ServingModel
from service.preprocessing import preprocess

PARITY_CROPS, CALIBRATION_CROPS = 700, 110
GOLDEN_CLASSES = 5

Say = Callable[[str], None]


def build(recipe: Recipe, destination: Path, say: Say = print) -> Manifest:
    """Build the bundle of `recipe` at `destination`, replacing an older one.

    Args:
        recipe: what to build.
        destination: the bundle's folder.
        say: called with a line of text for each step.

    Raises:
        OperatorError: a form falls under its bound, the folder cannot be written, the disk is full.
    """
    check_destination(destination)
    with temporary_sibling(destination) as folder:
        try:
            manifest = _fill(folder, recipe, say)
            sync(folder)
        except OSError as error:
            if error.errno not in DISK_FAULTS:
                raise
            raise explain_disk_fault(error, destination) from error
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
    records = builder.make_records()
    for name, path in code_files().items():
        target = folder / name
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, target)

    default, reason = choose_default(records)
    say(f"default form: {default}, {reason}")
    classes, side = len(recipe.labels), recipe.preprocessing.crop
    manifest = Manifest(
        schema_version=1,
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
        environment=describe_environment(),
        default_form=default,
        default_form_reason=reason,
        forms=records,
        files=_record_files(folder),
    )
    write_manifest(folder, manifest)
    return manifest


class _FormBuilder:
    """Adds forms to a bundle, and compares each with eager fp32."""

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        self._folder = folder
        self._recipe = recipe
        architecture = recipe.architecture
        photos, settings = recipe.photos, recipe.preprocessing
        self._crops = random_crops(photos.parity, PARITY_CROPS, 0, settings)
        self._source = Source(
            model=ServingModel(recipe.model, architecture.mean, architecture.std),
            architecture=architecture,
            classes=len(recipe.labels),
            example=self._crops[:2],
            cut_calibration_crops=lambda: random_crops(
                photos.calibration, CALIBRATION_CROPS, 1, settings
            ),
        )
        self._golden = self._copy_golden_photos()
        self._engines: dict[str, Engine] = {}
        self._parities: dict[str, Parity] = {}
        self._eager = self._load_reference()
        self._reference = parity.probabilities_of(self._eager, self._crops)

    def add(self, form: Form) -> Parity:
        """Write a form, load it as the service does, and compare it.

        Raises:
            OperatorError: the form falls under its bound.
        """
        if form.name == "eager":  # the reference itself
            engine, found = self._eager, self._reference
        else:
            engine = self._write_and_load(form)
            found = parity.probabilities_of(engine, self._crops)
        self._engines[form.name] = engine
        measured = parity.measure_parity(
            form.name, EXPORTERS[form.name].bound, self._reference, found, engine.device
        )
        self._parities[form.name] = measured
        return measured

    def make_records(self) -> dict[str, FormRecord]:
        """Return the manifest's record of each form that was added."""
        times = parity.milliseconds_per_image(self._engines, self._crops)
        return {
            name: FormRecord(
                file=FORMS[name].file,
                precision=FORMS[name].precision,
                parity=self._parities[name],
                milliseconds_per_image=times[name],
                golden={photo: self._answer(engine, path) for photo, path in self._golden.items()},
                golden_tolerance=EXPORTERS[name].bound.golden_tolerance,
            )
            for name, engine in self._engines.items()
        }

    def _load_reference(self) -> Engine:
        if self._recipe.keeps_weights:
            return self._write_and_load(FORMS["eager"])
        configure_torch(available_cores())
        return TorchEngine(self._source.model, "cpu")

    def _write_and_load(self, form: Form) -> Engine:
        path, exporter = self._folder / form.file, EXPORTERS[form.name]
        if not path.exists():
            exporter.write(self._source, path)
        device = "cuda" if exporter.for_gpu and torch.cuda.is_available() else "cpu"
        return load_engine(form, path, device, available_cores())

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


def _record_files(folder: Path) -> dict[str, File]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): File(sha256=sha256(path), bytes=path.stat().st_size)
        for path in paths
    }
