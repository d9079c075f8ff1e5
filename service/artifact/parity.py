"""How close is a form to eager fp32? Measured over real crops, and bounded."""

import time
from collections.abc import Mapping

import numpy as np

from service.artifact.bfloat16 import judge_bfloat16, logit_difference
from service.artifact.manifest import Parity
from service.engines.base import Engine, Form, PixelBatch, Probabilities
from service.errors import OperatorError

SURE = 0.3
"""A crop is sure if eager fp32 gives its first class more than this."""
_BATCH = 8

FEWEST_SURE_CROPS = 100
"""Below that, a share of them says little."""

FP32_LARGEST_DIFFERENCE = 1e-4
INT8_SURE_AGREEMENT = 0.985
DEFAULT_SURE_AGREEMENT, DEFAULT_AGREEMENT = 0.99, 0.96
"""What a form must keep to be served by default: reproducibility forbids less."""


def probabilities_of(engine: Engine, pixels: PixelBatch) -> Probabilities:
    """Run an engine over many images, uint8 N × H × W × 3, in batches."""
    batches = [engine(pixels[start : start + _BATCH]) for start in range(0, len(pixels), _BATCH)]
    return np.concatenate(batches)


def measure_parity(
    form: Form, reference: Probabilities, found: Probabilities, device: str = "cpu"
) -> Parity:
    """Compare a form's probabilities, float32 crops × classes, with those of eager fp32.

    `device` is where the form computed them.

    Raises:
        OperatorError: the form falls under its bound.
    """
    sure = reference.max(axis=1) > SURE
    agrees = reference.argmax(axis=1) == found.argmax(axis=1)
    agreement = float(agrees.mean())
    agreement_sure = float(agrees[sure].mean()) if sure.any() else agreement
    # A row at a time: a copy of all of them may not fit in memory.
    difference = max(float(np.abs(a - b).max()) for a, b in zip(reference, found, strict=True))
    logits = logit_difference(reference, found) if form.precision == "bf16" else None
    if logits is not None:
        bound = judge_bfloat16(form, agreement_sure, int(sure.sum()), logits)
        holds = True
    elif form.precision == "int8":
        bound = f"the same first class on {INT8_SURE_AGREEMENT:.1%} of the sure crops"
        holds = agreement_sure >= INT8_SURE_AGREEMENT
        if sure.sum() < FEWEST_SURE_CROPS:
            raise OperatorError(
                f"form {form.name} cannot be judged: eager fp32 is more than {SURE} sure of only "
                f"{sure.sum()} of {len(sure)} crops, expected {FEWEST_SURE_CROPS}. Measure with "
                "photos like those that the model is for (--photos), or build without this form "
                "(--forms with the others)"
            )
    else:
        bound = f"the same first class on every crop, within {FP32_LARGEST_DIFFERENCE:g}"
        holds = agreement == 1 and difference <= FP32_LARGEST_DIFFERENCE
    if not holds:
        raise OperatorError(
            f"form {form.name} is not the validated model: expected {bound}; found the same on "
            f"{agreement:.2%} of all and {agreement_sure:.2%} of the sure crops, largest "
            f"difference {difference:.1e}. Build without it: --forms with the others"
        )
    return Parity(
        crops=len(reference),
        sure_crops=int(sure.sum()),
        top1_agreement=agreement,
        top1_agreement_sure=agreement_sure,
        largest_probability_difference=difference,
        bound=bound,
        device=device,
        largest_logit_difference=logits.largest if logits else None,
        logit_spread=logits.typical if logits else None,
    )


def may_be_default(parity: Parity) -> bool:
    """Whether a form is close enough to eager fp32 to be served without being asked for."""
    return (
        parity.top1_agreement_sure >= DEFAULT_SURE_AGREEMENT
        and parity.top1_agreement >= DEFAULT_AGREEMENT
    )


def milliseconds_per_image(
    engines: Mapping[str, Engine], pixels: PixelBatch, rounds: int = 30
) -> dict[str, float]:
    """Median time of a batch of one, for each engine.

    The engines take turns, so that whatever else the machine does meets them all: the figures are
    for comparing with each other.
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
