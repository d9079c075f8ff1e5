"""The service's modules, each alone: which packages they need, and where the time goes."""

import subprocess
import sys
from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image

from learner.artifact import bundle
from learner.language import _
from learner.paths import ROOT
from learner.stopwatch import median_ms
from quizzes.evidence import Evidence
from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.engines import FORMS, load_engine
from service.machine import available_cores
from service.preprocessing import PreprocessingSettings, preprocess

MODULES = ("service.preprocessing", "service.model_definition", "service.inference_runner")
"""The three modules that a research script becomes."""
HIDDEN = ("torch", "onnxruntime", "fastapi", "IPython")
CROPS = 14
"""Two of each labelled photo: few, because each is a file of 12 megapixels."""
_PROGRAM = """
import importlib, sys
module, *hidden = sys.argv[1:]
asked = []

class NotInstalled:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in hidden:
            asked.append(name)
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NotInstalled)
try:
    importlib.import_module(module)
except ModuleNotFoundError as error:
    assert error.name in hidden, error
print(*asked)
"""


def needs(module: str, hidden: Sequence[str] = HIDDEN) -> list[str]:
    """Return the packages that a module imports, in a fresh process that finds none of `hidden`.

    Args:
        module: what to import.
        hidden: packages that are treated as not installed.

    Returns:
        Those of `hidden` that were asked for, until the import ended or failed.
    """
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _PROGRAM, module, *hidden],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return ended.stdout.split()


def run() -> Evidence:
    """Import each of the three modules as if torch were not installed."""
    needed = {module: needs(module) for module in MODULES}
    with_torch = [module for module in MODULES if "torch" in needed[module]]
    assert with_torch == ["service.model_definition"], "torch is needed elsewhere"
    return Evidence(
        shows=_(
            "Of the three modules only {module} asks for torch. Preprocessing and the inference "
            "runner do without, so that what they hand on is plain pixels, not normalised tensors."
        ).format(module=with_torch[0]),
        values={module: int("torch" in packages) for module, packages in needed.items()},
        varies=_("the module that is imported; the hidden packages are the same."),
    )


def modules_alone() -> Evidence:
    """Time preprocessing and the forward pass, each alone; then preprocessing with one change."""
    photo = Image.open(BytesIO(SAMPLE_PHOTOS[0].read())).convert("RGB")
    file = BytesIO()
    photo.resize((4000, 3000)).save(file, "JPEG", quality=90)
    form = FORMS["onnx-fp32"]
    engine = load_engine(form, bundle().path / form.file, "cpu", available_cores())
    pixels = preprocess(file.getvalue())[np.newaxis]
    full = PreprocessingSettings(reducing_gap=1e6)
    same = decoded_alike(full)
    whole = median_ms(lambda: preprocess(file.getvalue(), full))
    shrunk = median_ms(lambda: preprocess(file.getvalue()))
    forward = median_ms(lambda: engine(pixels))
    assert shrunk < whole, f"{shrunk:.0f} ms, {whole:.0f} ms"
    return Evidence(
        shows=_(
            "Timed alone, preprocessing takes {whole:.0f} ms for a photo of 12 megapixels and the "
            "forward pass {forward:.0f} ms. A change to one line of preprocessing saves "
            "{saved:.0f} ms. Because different pixels are computed, the answers must be compared "
            "as well: the first class stays the same for {same:.0%} of {crops} crops."
        ).format(whole=whole, forward=forward, saved=whole - shrunk, same=same, crops=CROPS),
        values={
            _("preprocessing"): whole,
            _("preprocessing, changed"): shrunk,
            _("forward pass"): forward,
        },
        unit="ms",
        varies=_(
            "one setting of preprocessing, the shrinking while a JPEG is decoded; photo, model and "
            "threads are the same."
        ),
    )


def decoded_alike(settings: PreprocessingSettings) -> float:
    """Return the share of crops whose first class is the same as with the service's settings.

    Each crop is a JPEG of 12 megapixels, so that the decoding can shrink it.
    """
    form = FORMS["onnx-fp32"]
    engine = load_engine(form, bundle().path / form.file, "cpu", available_cores())
    same = 0
    for number in range(CROPS):
        data = large_crop(number)
        ours, other = (
            engine(preprocess(data, one)[np.newaxis]) for one in (PreprocessingSettings(), settings)
        )
        same += int(ours.argmax() == other.argmax())
    return same / CROPS


def large_crop(number: int, size: tuple[int, int] = (4000, 3000)) -> bytes:
    """Return a seeded crop of a sample photo as a JPEG file, enlarged to a phone's resolution."""
    photo = Image.open(BytesIO(SAMPLE_PHOTOS[number % len(SAMPLE_PHOTOS)].read())).convert("RGB")
    random = np.random.default_rng([1, number])
    share = random.uniform(0.5, 1)
    width, height = round(photo.width * share), round(photo.height * share)
    left = int(random.integers(photo.width - width + 1))
    top = int(random.integers(photo.height - height + 1))
    file = BytesIO()
    crop = photo.crop((left, top, left + width, top + height))
    crop.resize(size, Image.Resampling.BILINEAR).save(file, "JPEG", quality=90)
    return file.getvalue()
