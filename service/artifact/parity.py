"""How close a form comes to eager fp32, measured over random crops of real photos, and bounded."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
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
_BATCH = 4
"""Images per forward pass; more are not faster on a CPU, and take more memory."""

CERTAINTY = 0.99
"""Probability at which the outcome over all crops is known, and the rest is not computed."""
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
    pictures: Sequence[Path | BytesIO],
    count: int,
    seed: int,
    settings: PreprocessingSettings,
    start: int = 0,
) -> PixelBatch:
    """Cut `count` random rectangles, in turn from each picture, half of them mirrored.

    Each crop becomes a JPEG and goes through `preprocess`, as a request's image does.

    Args:
        pictures: files.
        count: number of crops.
        seed: of the random numbers.
        settings: of `preprocess`.
        start: number of the first crop; crops 50 to 99 of 100 are those of `start=50, count=50`.

    Returns:
        uint8, count × crop × crop × 3; the same for the same arguments.
    """
    crops = np.empty((count, settings.crop, settings.crop, 3), np.uint8)
    for place, path in enumerate(pictures):
        numbers = range(start + (place - start) % len(pictures), start + count, len(pictures))
        if numbers:
            image = _read_over_white(path)  # one at a time: all may not fit in memory
        for number in numbers:
            random = np.random.default_rng([seed, number])
            crops[number - start] = preprocess(_cut_randomly(image, random), settings)
    return crops


def _read_over_white(path: Path | BytesIO) -> Image.Image:
    """Return a picture in RGB, upright, transparency over white as `preprocess` lays it."""
    with Image.open(path) as file:
        image = ImageOps.exif_transpose(file)
        if not image.has_transparency_data:
            return image.convert("RGB")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")


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
    floor: float | None = None
    """Smallest share of the sure crops that must agree; None: the form computes the same."""


def gives_one_answer(probabilities: Probabilities, exclusive: bool) -> bool:
    """Return whether all rows of crops × classes have the same first class, or the same decisions.

    Then the agreement of two forms says nothing.
    """
    first = np.broadcast_to(probabilities[0], probabilities.shape)
    several = probabilities.shape[1] > 1 or not exclusive
    return several and not bool(decide_apart(first, probabilities, exclusive).any())


def find_sure(probabilities: Probabilities, exclusive: bool) -> NDArray[np.bool_]:
    """Return which rows of crops × classes are sure.

    Where classes exclude each other, the first class has more than `SURE`. Else no class is between
    0.35 and 0.65.
    """
    if exclusive:
        return np.asarray(probabilities.max(axis=1) > SURE)
    return np.asarray(np.abs(probabilities - 0.5).min(axis=1) > 0.15)


def is_decided(wrong: int, seen: int, left: int, floor: float) -> bool:
    """Return whether it is known if at least `floor` of all crops will agree.

    The number of errors among the crops that are left has a beta-binomial distribution: that of a
    Bernoulli rate with a uniform prior, after `wrong` errors in `seen` crops. It is known when the
    outcome over all crops has a probability above `CERTAINTY`.

    Args:
        wrong: errors until now.
        seen: crops until now.
        left: crops that would follow.
        floor: smallest share that must agree.
    """
    allowed = math.floor((1 - floor) * (seen + left) + 1e-9) - wrong
    if left == 0 or allowed < 0:
        return True
    a, b = wrong + 1, seen - wrong + 1

    def log_beta(one: float, other: float) -> float:
        return math.lgamma(one) + math.lgamma(other) - math.lgamma(one + other)

    holds = sum(
        math.comb(left, errors) * math.exp(log_beta(a + errors, b + left - errors) - log_beta(a, b))
        for errors in range(min(allowed, left) + 1)
    )
    return holds >= CERTAINTY or holds <= 1 - CERTAINTY


def needs_more(
    reference: Probabilities, found: Probabilities, floor: float, exclusive: bool, most: int
) -> bool:
    """Return whether more crops, up to `most`, may change whether a form keeps its floor.

    Args:
        reference: eager fp32 over the crops until now.
        found: the form over the same.
        floor: share of the sure crops that must agree.
        exclusive: whether classes exclude each other.
        most: crops to compare at most.
    """
    wrong = decide_apart(reference, found, exclusive)
    sure, left = find_sure(reference, exclusive), most - len(reference)
    for some, least in (
        (sure, floor),
        (sure, DEFAULT_SURE_AGREEMENT),
        (wrong >= 0, DEFAULT_AGREEMENT),
    ):
        seen, errors = int(some.sum()), int(wrong[some].sum())
        if not is_decided(errors, seen, round(left * seen / len(reference)), least):
            return True
        if errors > (1 - least) * seen:
            return False  # it misses this one: the next ones are stricter
    return False


def decide_apart(
    reference: Probabilities, found: Probabilities, exclusive: bool
) -> NDArray[np.bool_]:
    """Return for which rows two forms decide otherwise."""
    if exclusive:
        return np.asarray(reference.argmax(axis=1) != found.argmax(axis=1))
    return np.asarray(((reference > 0.5) != (found > 0.5)).any(axis=1))


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
            "with photos like those that the model is for (--photos)"
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
            f"form {form} is not the validated model: expected {bound}; found {found}"
        )


FP32 = Bound(_judge_fp32, 1e-3)
INT8 = Bound(_judge_int8, 2e-2, floor=INT8_SURE_AGREEMENT)
BF16 = Bound(_judge_bf16, 3e-2, compares_logits=True, floor=BF16_SURE_AGREEMENT)


def measure_parity(
    form: str,
    bound: Bound,
    reference: Probabilities,
    found: Probabilities,
    device: str = "cpu",
    exclusive: bool = True,
) -> Parity:
    """Compare a form's probabilities, float32 crops × classes, with those of eager fp32.

    Args:
        form: its name.
        bound: what is demanded of it.
        reference: the probabilities of eager fp32.
        found: those of the form.
        device: where the form computed them.
        exclusive: whether classes exclude each other; else all decisions of a crop must agree.

    Raises:
        OperatorError: the form falls under its bound.
    """
    sure = find_sure(reference, exclusive)
    agrees = ~decide_apart(reference, found, exclusive)
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
    engines: Mapping[str, Engine], pixels: PixelBatch, rounds: int = 30, seconds: float = 4
) -> dict[str, float]:
    """Return the median time of a batch of one, for each engine, over `rounds` or `seconds`.

    The engines take turns, so that other work on the machine slows all of them: compare the
    figures with each other only.
    """
    times: dict[str, list[float]] = {name: [] for name in engines}
    ends = time.perf_counter() + seconds
    for number in range(rounds):
        if number > 2 and time.perf_counter() > ends:
            break
        image = pixels[number % len(pixels)][None]
        for name, engine in engines.items():
            engine(image)  # the first call after another engine's finds the caches cold
            started = time.perf_counter()
            engine(image)
            times[name].append(time.perf_counter() - started)
    return {name: float(np.median(one)) * 1000 for name, one in times.items()}
