"""How close a form comes to eager fp32, measured over random crops of real photos, and bounded."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from service.artifact.manifest import Parity
from service.engines.base import Engine, PixelBatch, Probabilities
from service.errors import OperatorError
from service.preprocessing import MIN_SIDE, PreprocessingSettings, preprocess

SMALLEST_SHARE = 0.08
"""Smallest share of a picture's area that a crop takes, as in ImageNet training (Szegedy et al.,
2014)."""
SURE = 0.3
"""A crop is sure if eager fp32 gives its first class a probability above this."""
_BATCH = 8

FEWEST_SURE_CROPS = 100
"""Fewest sure crops on which int8 is judged: a share of fewer says little."""
FP32_LARGEST_DIFFERENCE = 1e-4
"""Largest difference of a probability for an fp32 form."""
INT8_SURE_AGREEMENT = 0.985
"""Smallest share of the sure crops on which int8 gives the same first class."""
BF16_SURE_AGREEMENT = 0.99
"""The same for bf16 …"""
BF16_LARGEST_LOGIT_DIFFERENCE = 1.0
"""… and its largest difference of a logit, in standard deviations of the logits. This bound also
holds for weights that are sure of nothing, such as random ones for a load test."""
DEFAULT_SURE_AGREEMENT, DEFAULT_AGREEMENT = 0.99, 0.96
"""Smallest shares, of the sure and of all crops, for the form that is served by default."""


def random_crops(
    pictures: Sequence[Path | BytesIO], count: int, seed: int, settings: PreprocessingSettings
) -> PixelBatch:
    """Cut `count` random rectangles, in turn from each picture, half of them mirrored.

    Each crop becomes a JPEG and goes through `preprocess`, as a request's image does.

    Returns:
        uint8, count × crop × crop × 3; the same for the same arguments.
    """
    crops = np.empty((count, settings.crop, settings.crop, 3), np.uint8)
    for first, path in enumerate(pictures[:count]):
        with Image.open(path) as file:  # one at a time: a folder of photos may not fit in memory
            image = ImageOps.exif_transpose(file).convert("RGB")
        for number in range(first, count, len(pictures)):
            random = np.random.default_rng([seed, number])
            crops[number] = preprocess(_cut_randomly(image, random), settings)
    return crops


def _cut_randomly(image: Image.Image, random: np.random.Generator) -> bytes:
    area = image.width * image.height * random.uniform(SMALLEST_SHARE, 1)
    aspect = np.exp(random.uniform(np.log(3 / 4), np.log(4 / 3)))
    width = min(image.width, max(MIN_SIDE, round(np.sqrt(area * aspect))))
    height = min(image.height, max(MIN_SIDE, round(np.sqrt(area / aspect))))
    left = int(random.integers(image.width - width + 1))
    top = int(random.integers(image.height - height + 1))
    crop = image.crop((left, top, left + width, top + height))
    if random.random() < 0.5:
        crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    file = BytesIO()
    crop.save(file, "JPEG", quality=95)
    return file.getvalue()


def probabilities_of(engine: Engine, pixels: PixelBatch) -> Probabilities:
    """Run an engine over many images, uint8 N × H × W × 3, in batches."""
    batches = [engine(pixels[start : start + _BATCH]) for start in range(0, len(pixels), _BATCH)]
    return np.concatenate(batches)


@dataclass(frozen=True, slots=True)
class LogitDifference:
    """Difference of the logits of two forms over the same images."""

    largest: float
    typical: float
    """Standard deviation of fp32's logits within an image, the measure for `largest`."""


def logit_difference(reference: Probabilities, other: Probabilities) -> LogitDifference:
    """Compare logits, computed from probabilities: their logarithms, up to a constant per image.

    Both are float32 N × classes. Probabilities that underflowed to 0 are left out.
    """
    largest, spreads = 0.0, []
    for one, another in zip(reference, other, strict=True):
        valid = (one > 0) & (another > 0)
        logits, others = (np.log(row[valid].astype(np.float64)) for row in (one, another))
        logits, others = logits - logits.mean(), others - others.mean()
        largest = max(largest, float(np.abs(logits - others).max(initial=0)))
        spreads.append(float(logits.std()))
    return LogitDifference(largest, float(np.median(spreads)))


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a form's answers differ from those of eager fp32 over the same crops."""

    crops: int
    sure_crops: int
    agreement: float
    """Share of all crops with the same first class, 0–1."""
    agreement_sure: float
    """The same over the sure crops; over all, if none is sure."""
    difference: float
    """Largest difference of a probability."""
    logits: LogitDifference | None = None

    def __str__(self) -> str:
        """Return the findings for an error message."""
        return (
            f"the same on {self.agreement:.2%} of all {self.crops} and {self.agreement_sure:.2%} "
            f"of the sure crops, largest difference {self.difference:.1e}"
        )


@dataclass(frozen=True, slots=True)
class Bound:
    """What a build demands of a form."""

    judge: Callable[[str, Comparison], str]
    """Takes the form's name; returns the bound in words, or raises a OperatorError."""
    golden_tolerance: float
    """Largest difference of a probability in a golden replay, which may run on a processor that
    adds in another order. Ten times the bound for fp32; int8 rounds such a difference up to a whole
    step of its scale."""
    compares_logits: bool = False


def _judge_fp32(form: str, found: Comparison) -> str:
    bound = f"the same first class on every crop, within {FP32_LARGEST_DIFFERENCE:g}"
    _demand(
        form, bound, found.agreement == 1 and found.difference <= FP32_LARGEST_DIFFERENCE, found
    )
    return bound


def _judge_int8(form: str, found: Comparison) -> str:
    bound = f"the same first class on {INT8_SURE_AGREEMENT:.1%} of the sure crops"
    if found.sure_crops < FEWEST_SURE_CROPS:
        raise OperatorError(
            f"form {form} cannot be judged: eager fp32 is more than {SURE} sure of only "
            f"{found.sure_crops} of {found.crops} crops, expected {FEWEST_SURE_CROPS}. Measure "
            "with photos like those that the model is for (--photos), or build without this form "
            "(--forms with the others)"
        )
    _demand(form, bound, found.agreement_sure >= INT8_SURE_AGREEMENT, found)
    return bound


def _judge_bf16(form: str, found: Comparison) -> str:
    bound = (
        f"the same first class on {BF16_SURE_AGREEMENT:.0%} of the sure crops, no logit further "
        f"off than {BF16_LARGEST_LOGIT_DIFFERENCE:g} of the logits' standard deviation"
    )
    assert found.logits is not None
    share = found.logits.largest / found.logits.typical if found.logits.typical else np.inf
    agrees = found.sure_crops == 0 or found.agreement_sure >= BF16_SURE_AGREEMENT
    holds = agrees and share <= BF16_LARGEST_LOGIT_DIFFERENCE
    _demand(form, bound, holds, f"{found}, and a logit {share:.2f} of it off")
    return bound


def _demand(form: str, bound: str, holds: bool, found: Comparison | str) -> None:
    if not holds:
        raise OperatorError(
            f"form {form} is not the validated model: expected {bound}; found {found}. "
            "Build without it: --forms with the others"
        )


FP32 = Bound(_judge_fp32, 1e-3)
INT8 = Bound(_judge_int8, 2e-2)
BF16 = Bound(_judge_bf16, 3e-2, compares_logits=True)


def measure_parity(
    form: str, bound: Bound, reference: Probabilities, found: Probabilities, device: str = "cpu"
) -> Parity:
    """Compare a form's probabilities, float32 crops × classes, with those of eager fp32.

    Args:
        form: its name.
        bound: what is demanded of it.
        reference: the probabilities of eager fp32.
        found: those of the form.
        device: where the form computed them.

    Raises:
        OperatorError: the form falls under its bound.
    """
    sure = reference.max(axis=1) > SURE
    agrees = reference.argmax(axis=1) == found.argmax(axis=1)
    agreement = float(agrees.mean())
    compared = Comparison(
        crops=len(reference),
        sure_crops=int(sure.sum()),
        agreement=agreement,
        agreement_sure=float(agrees[sure].mean()) if sure.any() else agreement,
        # A row at a time: a copy of all of them may not fit in memory.
        difference=max(float(np.abs(a - b).max()) for a, b in zip(reference, found, strict=True)),
        logits=logit_difference(reference, found) if bound.compares_logits else None,
    )
    return Parity(
        crops=compared.crops,
        sure_crops=compared.sure_crops,
        top1_agreement=compared.agreement,
        top1_agreement_sure=compared.agreement_sure,
        largest_probability_difference=compared.difference,
        bound=bound.judge(form, compared),
        device=device,
        largest_logit_difference=compared.logits.largest if compared.logits else None,
        logit_spread=compared.logits.typical if compared.logits else None,
    )


def may_be_default(parity: Parity) -> bool:
    """Return whether a form is close enough to eager fp32 to be served without being asked for."""
    return (
        parity.top1_agreement_sure >= DEFAULT_SURE_AGREEMENT
        and parity.top1_agreement >= DEFAULT_AGREEMENT
    )


def milliseconds_per_image(
    engines: Mapping[str, Engine], pixels: PixelBatch, rounds: int = 30
) -> dict[str, float]:
    """Return the median time of a batch of one, for each engine.

    The engines take turns, so that other work on the machine slows all of them: compare the
    figures with each other only.
    """
    times: dict[str, list[float]] = {name: [] for name in engines}
    for number in range(rounds):
        image = pixels[number % len(pixels)][None]
        for name, engine in engines.items():
            engine(image)  # the first call after another engine's finds the caches cold
            started = time.perf_counter()
            engine(image)
            times[name].append(time.perf_counter() - started)
    return {name: float(np.median(one)) * 1000 for name, one in times.items()}
