"""Golden photos notice a changed preprocessing that hashes of files cannot notice."""

from collections.abc import Callable

from learner.artifact import bundle
from learner.language import _
from quizzes.evidence import Evidence, preprocessing_skew
from service.engines.base import Engine, PixelBatch
from service.preprocessing import PreprocessingSettings, preprocess

FORM = "onnx-fp32"


def largest_difference(
    engine: Engine,
    settings: PreprocessingSettings | None = None,
    change: Callable[[PixelBatch], PixelBatch] = lambda pixels: pixels,
) -> float:
    """Classify the golden photos and compare with the answers in the manifest.

    Args:
        engine: the model.
        settings: preprocessing settings; those of the bundle if not given.
        change: a change of the pixels between preprocessing and engine.

    Returns:
        The largest difference of a probability, 0–1.
    """
    whole = bundle()
    record = whole.manifest.forms[FORM]
    largest = 0.0
    for photo, expected in record.golden.items():
        data = (whole.path / photo).read_bytes()
        pixels = preprocess(data, settings or whole.manifest.preprocessing)
        (answer,) = engine(change(pixels[None]))
        differences = [abs(float(answer[class_id]) - p) for class_id, p in expected.items()]
        largest = max(largest, *differences)
    return largest


def run() -> Evidence:
    """Replay the golden photos as validated, and with another resize filter."""
    engine = preprocessing_skew.engine(FORM)
    tolerance = bundle().manifest.forms[FORM].golden_tolerance
    same = largest_difference(engine)
    other = largest_difference(engine, PreprocessingSettings(interpolation="bilinear"))
    assert same <= tolerance, "as validated, the golden photos give the recorded answers"
    assert other > tolerance, "another filter is noticed"
    return Evidence(
        shows=_(
            "Every file has the right hash. As validated, the golden photos' probabilities differ "
            "by at most {same:.5f} from the recorded ones; with a different resize filter by up to "
            "{other:.3f}. {tolerance} is tolerated."
        ).format(same=same, other=other, tolerance=tolerance),
        values={_("as validated"): same, _("a different resize filter"): other},
        target=tolerance,
        varies=_("the resize filter; every file of the bundle is the same."),
    )
