"""The same graph with 8 bits per weight instead of 32: size, time, agreement."""

from dataclasses import dataclass

from learner.artifact import bundle
from learner.language import _
from quizzes.evidence import Evidence, preprocessing_skew
from service.artifact.parity import milliseconds_per_image, probabilities_of
from service.engines.base import Probabilities

FP32, INT8 = "onnx-fp32", "onnx-int8"


@dataclass(frozen=True, slots=True)
class Compared:
    """Measurements of int8 and fp32, by name of the form."""

    file_mb: dict[str, float]
    milliseconds: dict[str, float]
    """Median for a batch of one, on all cores."""
    agreement: float
    """Share of crops with the same first class, 0–1."""


def compare(fp32: Probabilities | None = None) -> Compared:
    """Measure both forms.

    Args:
        fp32: the answers of fp32 to `preprocessing_skew.cuts()`; computed if not given.
    """
    whole = bundle()
    pixels = preprocessing_skew.cuts()
    engines = {name: preprocessing_skew.engine(name) for name in (FP32, INT8)}
    if fp32 is None:
        fp32 = probabilities_of(engines[FP32], pixels)
    int8 = probabilities_of(engines[INT8], pixels)
    files = {name: whole.manifest.forms[name].file for name in engines}
    return Compared(
        file_mb={name: (whole.path / file).stat().st_size / 1e6 for name, file in files.items()},
        milliseconds=milliseconds_per_image(engines, pixels, rounds=20),
        agreement=1 - preprocessing_skew.changed_share(fp32, int8),
    )


def check(found: Compared) -> None:
    """Raise AssertionError unless int8 is a third of the size and nearly all answers agree."""
    assert found.file_mb[INT8] < found.file_mb[FP32] / 3, "a quarter of the bits a weight"
    assert found.agreement > 0.9, "nearly all answers agree"
    parity = bundle().manifest.forms[INT8].parity
    assert 0.9 < parity.top1_agreement < 1, "but not all"


def run() -> Evidence:
    """Compare size, time and answers of the two forms."""
    found = compare()
    check(found)
    parity = bundle().manifest.forms[INT8].parity
    return Evidence(
        shows=_(
            "The int8 file is {small:.1f} MB instead of {large:.1f} MB. One image takes "
            "{fast:.1f} ms instead of {slow:.1f} ms on this machine. The first class is the same "
            "on {agreement:.1%} of the cuts here, and on {recorded:.1%} of {crops} crops when the "
            "bundle was built."
        ).format(
            small=found.file_mb[INT8],
            large=found.file_mb[FP32],
            fast=found.milliseconds[INT8],
            slow=found.milliseconds[FP32],
            agreement=found.agreement,
            recorded=parity.top1_agreement,
            crops=parity.crops,
        ),
        values={name: found.file_mb[name] for name in (FP32, INT8)},
        unit="MB",
        varies=_("the bits of a number; graph, runtime and pictures are the same."),
    )
