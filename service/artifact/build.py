"""Build an artifact bundle: export every form, compare it with eager fp32, record it all."""

import gc
import shutil
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from service.artifact import export, parity
from service.artifact.advice import find_advice
from service.artifact.answers import Answers, Difference, compare
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
from service.artifact.progress import Note, Say, ignore
from service.artifact.recipe import Recipe
from service.artifact.validate import choose_default, describe_environment
from service.artifact.verify import sha256, verify
from service.engines import FORMS, load_engine
from service.engines.base import Engine, Form, PixelBatch, Probabilities
from service.engines.torch_module import TorchEngine, configure_torch
from service.errors import OperatorError
from service.machine import available_cores
from service.preprocessing import PreprocessingSettings, preprocess
from service.runner.tuning import return_freed_memory
from service.settings import Settings

PARITY_CROPS, CALIBRATION_CROPS = 700, 110
FEWEST_CROPS = 64
"""Crops over which the forms of a large model are compared at first. fp32 forms compute the same in
another order, so more would not show more; int8 and bf16 get more where the outcome is open."""
LARGE_WEIGHTS = 10_000_000
"""Number of weights from which on a model is large: 700 crops would take minutes for each form."""
STEP_CROPS = 50
ANSWERS_PER_FORM = 16
"""Answers of the engineer that each form is held against; eager fp32 is held against all."""
GOLDEN_CLASSES = 5
_DECODE_IN_FULL = 1e9
"""A `reducing_gap` with which no JPEG is shrunk while it is decoded."""
LEAST_SAVING = 0.8
"""An int8 form must be smaller than this share of the fp32 weights; graphs count little above 1 MB
of weights."""


def build(
    recipe: Recipe,
    destination: Path,
    say: Say = print,
    replaces: bool = True,
    note: Note = ignore,
) -> Manifest:
    """Build the bundle of `recipe` at `destination`.

    A form that misses its bound, or that cannot be written, is left out; the manifest says why.

    Args:
        recipe: what to build.
        destination: the bundle's folder.
        say: called with a line of text when a step is done.
        replaces: whether an older bundle may be replaced.
        note: called with a step and what it does now.

    Raises:
        OperatorError: the model is not the engineer's, no form is left, the folder cannot be
            written, the disk is full.
    """
    check_destination(destination, replaces)
    with temporary_sibling(destination) as folder:
        try:
            manifest = _fill(folder, recipe, say, note)
            note("[build]", "write to the disk")
            sync(folder)
        except OSError as error:
            if error.errno not in DISK_FAULTS:
                raise
            raise explain_disk_fault(error, destination) from error
        verify(folder)
        put_in_place(folder, destination)
    say(f"artifact {manifest.name} {manifest.version} built: {destination}")
    return manifest


def _fill(folder: Path, recipe: Recipe, say: Say, note: Note) -> Manifest:
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}-") as scratch:
        builder = _FormBuilder(folder, Path(scratch), recipe, say, note)
        held_against = builder.hold_against_answers()
        forms = [FORMS[name] for name in FORMS if name in recipe.forms]
        left_out: dict[str, str] = {}
        for number, form in enumerate(forms, 1):
            step = f"[build {number}/{len(forms)}] {form.name}:"
            started = time.perf_counter()
            try:
                measured = builder.add(form, step)
            except OperatorError as error:
                left_out[form.name] = str(error)
                say(f"{step} left out: {error}")
                continue
            size = sum(file.stat().st_size for file in form.files(folder)) / 1e6
            say(
                f"{step} {size:.1f} MB, same first class as eager fp32 on "
                f"{measured.top1_agreement:.2%} of {measured.crops} crops "
                f"({measured.top1_agreement_sure:.2%} of the sure ones) "
                f"· {time.perf_counter() - started:.0f} s"
            )
    if len(left_out) == len(forms):
        raise OperatorError(f"no form is left of the model: {next(iter(left_out.values()))}")
    records = builder.make_records()
    for name, path in code_files().items():
        target = folder / name
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, target)

    default, reason = choose_default(records)
    say(f"default form: {default}, {reason}")
    target_ms = Settings.model_fields["target_ms"].default
    if (taken := records[default].milliseconds_per_image) > target_ms:
        say(
            f"an image takes {taken:.0f} ms on this machine: the service cannot keep its target of "
            f"{target_ms} ms here. Serve with a higher --target-ms, or on a faster machine"
        )
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
            meaning=_MEANINGS[recipe.architecture.activation],
        ),
        preprocessing=builder.preprocessing,
        labels=tuple(recipe.labels),
        environment=describe_environment(),
        default_form=default,
        default_form_reason=reason,
        forms=records,
        left_out=left_out,
        held_against=held_against,
        files=_record_files(folder),
    )
    write_manifest(folder, manifest)
    return manifest


_MEANINGS = {
    "softmax": "probability of each class; a row sums to 1",
    "sigmoid": "probability of each class by itself; rows have any sum",
    "none": "probability of each class, as the model computes it",
}


class _FormBuilder:
    """Adds forms to a bundle one after another, and compares each with eager fp32.

    One form is in memory at a time, beside eager fp32; crops wait in a file.
    """

    def __init__(self, folder: Path, scratch: Path, recipe: Recipe, say: Say, note: Note) -> None:
        configure_torch(available_cores())
        self.preprocessing = recipe.preprocessing
        self._folder, self._recipe, self._say = folder, recipe, say
        self._note, self._step = note, "[build]"
        self._exclusive = recipe.architecture.activation != "sigmoid"
        weights = [tensor.numel() for tensor in recipe.model.parameters()]
        self._weights_mb = 4 * sum(weights) / 1e6
        self._first = FEWEST_CROPS if sum(weights) > LARGE_WEIGHTS else PARITY_CROPS
        self._first = min(self._first, PARITY_CROPS)
        self._model = recipe.wrap_model()
        self._eager = TorchEngine(self._model, "cpu")
        self._crops_file = scratch / "crops"
        self._reference = np.empty((PARITY_CROPS, len(recipe.labels)), np.float32)
        self._known = 0
        self._milliseconds: dict[str, tuple[float, float]] = {}
        self._parities: dict[str, Parity] = {}
        self._golden: dict[str, dict[str, dict[int, float]]] = {}
        (folder / GOLDEN_FOLDER).mkdir()
        for path in recipe.photos.golden:
            shutil.copyfile(path, folder / GOLDEN_FOLDER / path.name)
        if recipe.keeps_weights:  # whatever the forms
            EXPORTERS["eager"].write(self._make_source(), folder / FORMS["eager"].file)

    def hold_against_answers(self) -> str:
        """Compare eager fp32 with the engineer's answers, or say what is assumed instead.

        Returns:
            What was found, for the manifest.

        Raises:
            OperatorError: the answers differ, or are all one class.
        """
        recipe, answers = self._recipe, self._recipe.answers
        held = ""
        if answers is not None:
            held = self._find_preprocessing(answers)
            self._say(held)
        elif recipe.assumed:
            held = f"not compared with answers of your own code. Assumed: {recipe.assumed}"
            self._say(f"{held}. Give --answers to compare")
        started = time.perf_counter()
        self._extend_reference(min(16, self._first))
        self._say_cost((time.perf_counter() - started) / self._known)
        self._extend_reference(self._first)
        found = self._reference[: self._known]
        if not np.isfinite(found).all():
            raise OperatorError(f"{recipe.architecture.name} answers NaN to crops of the photos")
        proven = answers is not None and answers.have_probabilities
        if (
            recipe.tells_classes_apart
            and not proven
            and parity.gives_one_answer(found, self._exclusive)
        ):
            raise OperatorError(
                f"all {len(found)} crops of the photos get the same answer, "
                f"{recipe.labels[int(found[0].argmax())]}: nothing shows that the model tells "
                "classes apart. Give photos of several classes (--photos), or the probabilities "
                "that your own code gives (--answers)"
            )
        return held

    def _find_preprocessing(self, answers: Answers) -> str:
        """Hold eager fp32 against the answers, then choose how far JPEGs may be shrunk early."""
        exact = replace(self.preprocessing, reducing_gap=_DECODE_IN_FULL)
        difference = self._compare_answers(answers, self._eager, exact)
        if not difference.is_none:
            advice = find_advice(self._recipe, answers, exact, difference)
            raise OperatorError(
                f"the model does not answer as your code does ({answers.source}): {difference}. "
                f"{advice}"
            )
        for gap in (self.preprocessing.reducing_gap, 4.0, _DECODE_IN_FULL):
            settings = replace(self.preprocessing, reducing_gap=gap)
            served = self._compare_answers(answers, self._eager, settings)
            if served.is_close:
                break
        self.preprocessing = settings
        return (
            f"held against {answers.source}: {difference}; as served, where JPEGs are shrunk while "
            f"they are decoded: {served.largest:.1e}"
            + "; but your code answers all photos alike, so this shows nothing: give other photos"
            * answers.are_all_alike
        )

    def _compare_answers(
        self, answers: Answers, engine: Engine, settings: PreprocessingSettings
    ) -> Difference:
        self._note(self._step, "answer your photos")
        pixels = (preprocess(photo.read_bytes(), settings)[None] for photo in answers.photos)
        return compare(answers, np.concatenate([engine(one) for one in pixels]), self._exclusive)

    def add(self, form: Form, step: str) -> Parity:
        """Write a form, load it as the service does, and compare it.

        Args:
            form: what to add.
            step: how the step is called where its progress is shown.

        Raises:
            OperatorError: the form cannot be written, falls under its bound, or saves nothing.
        """
        self._step = step
        try:
            self._check_judgeable(form)
            engine = self._write_and_load(form)
            self._check_worth(form)
            measured = self._compare(form, engine)
            self._hold_form_against_answers(form, engine)
            self._note(step, "measure the time of an image")
            times = parity.milliseconds_per_image(
                {"reference": self._eager, form.name: engine},
                self._read_crops(0, 8),
                rounds=20,
                seconds=2,
            )
        except Exception as error:
            self._remove(form)
            if isinstance(error, OperatorError) or (
                isinstance(error, OSError) and error.errno in DISK_FAULTS
            ):
                raise
            first = (str(error).strip().splitlines() or [""])[0]
            raise OperatorError(
                f"form {form.name} cannot be made of this model: {type(error).__name__}: {first}"
            ) from error
        self._milliseconds[form.name] = (times["reference"], times[form.name])
        self._parities[form.name] = measured
        self._golden[form.name] = {
            f"{GOLDEN_FOLDER}/{path.name}": self._answer(engine, path)
            for path in self._recipe.photos.golden
        }
        del engine
        gc.collect()
        return_freed_memory()
        return measured

    def make_records(self) -> dict[str, FormRecord]:
        """Return the manifest's record of each form that was added."""
        # Each form was timed in turns with eager fp32, so that their ratios can be compared.
        eager = float(np.median([reference for reference, _ in self._milliseconds.values()]))
        return {
            name: FormRecord(
                file=FORMS[name].file,
                precision=FORMS[name].precision,
                parity=measured,
                milliseconds_per_image=eager
                * self._milliseconds[name][1]
                / self._milliseconds[name][0],
                golden=self._golden[name],
                golden_tolerance=EXPORTERS[name].bound.golden_tolerance,
            )
            for name, measured in self._parities.items()
        }

    def _make_source(self) -> Source:
        recipe = self._recipe
        return Source(
            model=self._model,
            architecture=recipe.architecture,
            classes=len(recipe.labels),
            example=random_crops(recipe.photos.parity, 2, 0, recipe.preprocessing),
            cut_calibration_crops=lambda: random_crops(
                recipe.photos.calibration, CALIBRATION_CROPS, 1, recipe.preprocessing
            ),
        )

    def _write_and_load(self, form: Form) -> Engine:
        self._note(self._step, "export")
        path, exporter = self._folder / form.file, EXPORTERS[form.name]
        if not path.exists():
            exporter.write(self._make_source(), path)
            gc.collect()
            return_freed_memory()
        device = "cuda" if exporter.for_gpu and torch.cuda.is_available() else "cpu"
        return load_engine(form, path, device, available_cores())

    def _remove(self, form: Form) -> None:
        kept = FORMS["eager"].file if self._recipe.keeps_weights else None
        for file in form.files(self._folder):
            if file.name != kept:
                file.unlink(missing_ok=True)

    def _check_judgeable(self, form: Form) -> None:
        """Check, before the work, that enough of all crops will be sure."""
        sure = float(parity.find_sure(self._reference[: self._known], self._exclusive).mean())
        if EXPORTERS[form.name].bound is parity.INT8 and (
            sure * PARITY_CROPS < parity.FEWEST_SURE_CROPS
        ):
            raise OperatorError(
                f"form {form.name} cannot be judged: eager fp32 is sure of only {sure:.0%} of "
                f"{self._known} crops, expected {parity.FEWEST_SURE_CROPS} of {PARITY_CROPS}. "
                "Give photos like those that the model is for (--photos)"
            )

    def _check_worth(self, form: Form) -> None:
        size = sum(file.stat().st_size for file in form.files(self._folder)) / 1e6
        if (
            form.precision == "int8"
            and self._weights_mb > 1
            and size > LEAST_SAVING * self._weights_mb
        ):
            raise OperatorError(
                f"form {form.name} saves nothing: {size:.1f} MB of {self._weights_mb:.1f} MB in "
                "fp32, because most layers of this model stay float"
            )

    def _compare(self, form: Form, engine: Engine) -> Parity:
        bound = EXPORTERS[form.name].bound
        found = np.empty_like(self._reference)
        known, wanted = 0, self._first
        while True:
            self._extend_reference(wanted)
            if form.name == "eager" and known == 0:  # the reference's own code and weights:
                found[:wanted] = self._reference[:wanted]  # some crops show it
                known = max(0, wanted - FEWEST_CROPS)
            for start in range(known, wanted, STEP_CROPS):
                stop = min(start + STEP_CROPS, wanted)
                self._note(self._step, f"compare, {start} of {wanted} crops")
                found[start:stop] = parity.probabilities_of(engine, self._read_crops(start, stop))
            known = wanted
            if (
                bound.floor is None
                or known == PARITY_CROPS
                or not parity.needs_more(
                    self._reference[:known],
                    found[:known],
                    bound.floor,
                    self._exclusive,
                    PARITY_CROPS,
                )
            ):
                break
            wanted = min(wanted + STEP_CROPS, PARITY_CROPS)
        return parity.measure_parity(
            form.name,
            bound,
            self._reference[:known],
            found[:known],
            engine.device,
            self._exclusive,
        )

    def _hold_form_against_answers(self, form: Form, engine: Engine) -> None:
        if self._recipe.answers is None:
            return
        answers = self._recipe.answers.take(ANSWERS_PER_FORM)
        exact = replace(self.preprocessing, reducing_gap=_DECODE_IN_FULL)
        found = self._compare_answers(answers, engine, exact)
        holds = found.is_none if form.precision == "fp32" else len(found.other_first) <= 1
        if not holds:
            raise OperatorError(f"form {form.name} does not answer as your code does: {found}")

    def _extend_reference(self, count: int) -> None:
        """Compute eager fp32 over more crops, until `count` are known."""
        while self._known < count:
            start, stop = self._known, min(self._known + STEP_CROPS, count)
            self._note(self._step, f"eager fp32, {start} of {count} crops")
            crops = random_crops(
                self._recipe.photos.parity, stop - start, 0, self._recipe.preprocessing, start
            )
            with self._crops_file.open("ab") as file:
                crops.tofile(file)
            self._reference[start:stop] = parity.probabilities_of(self._eager, crops)
            self._known = stop

    def _read_crops(self, start: int, stop: int) -> PixelBatch:
        side = self._recipe.preprocessing.crop
        size = 3 * side * side
        pixels = np.fromfile(self._crops_file, np.uint8, size * (stop - start), offset=size * start)
        return pixels.reshape(-1, side, side, 3)

    def _say_cost(self, seconds: float) -> None:
        """Say about how long the build takes, from the seconds that eager fp32 takes for a crop."""
        forms = len(self._recipe.forms)
        crops = self._first * (forms + 1)
        if any(EXPORTERS[form].bound.floor is not None for form in self._recipe.forms):
            crops += 2 * CALIBRATION_CROPS + (PARITY_CROPS - self._first)
        minutes = (crops * seconds + forms * (3 + self._weights_mb / 20)) / 60
        self._say(
            f"{self._weights_mb:.0f} MB of weights, {1000 * seconds:.0f} ms a crop in eager fp32: "
            f"building takes about {max(1, round(minutes))} min and "
            f"{1 + 3 * self._weights_mb / 1000:.1f} GB of memory"
        )

    def _answer(self, engine: Engine, photo: Path) -> dict[int, float]:
        pixels = preprocess(photo.read_bytes(), self.preprocessing)
        probabilities: Probabilities = engine(pixels[None])[0]
        best = (-probabilities).argsort(kind="stable")[:GOLDEN_CLASSES]
        return {int(class_id): float(probabilities[class_id]) for class_id in best}


def _record_files(folder: Path) -> dict[str, File]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): File(sha256=sha256(path), bytes=path.stat().st_size)
        for path in paths
    }
