"""Task skew-alert: it fires on a planted skew, and stays silent on ten clean runs."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from challenges.load.images import distinct_images
from challenges.releases.bundles import Change, answers_of, make_bundle
from challenges.tasks.checking import Wrong, own_module
from challenges.tasks.graphs import run_own
from learner.artifact import bundle
from learner.language import _

LOOK = "alert.py, should_fire"
PHOTOS, SEED = 60, 21
RUNS, ANSWERS, FEW = 10, 2500, 60
"""Windows, and answers in a window."""
Confidences = npt.NDArray[np.float64]


def check(folder: Path) -> None:
    """Classify real photos as validated, and with ImageNet's normalisation; draw windows of both.

    Raises:
        Wrong: it fires on a clean window, or is silent on a skewed one.
    """
    should_fire = own_module(folder, "alert").should_fire
    run_own(folder, "should_fire", should_fire, [0.4, 0.6] * 500, [0.5] * 600)
    clean, skewed = confidences()
    surer = np.minimum(1, clean + (clean.mean() - skewed.mean()))
    expectations = (
        (clean, ANSWERS, False, _("It is silent on clean windows of {n:,} answers.")),
        (skewed, ANSWERS, True, _("It fires on windows of {n:,} answers, normalised otherwise.")),
        (surer, ANSWERS, True, _("It fires on windows of {n:,} answers that are surer, too.")),
        (0.3 * clean, FEW, False, _("It is silent on {n:,} answers, whatever: they are too few.")),
    )
    for traffic, size, right, words in expectations:
        fired = [_fires(should_fire, clean, traffic, size, seed) for seed in range(RUNS)]
        if fired != [right] * RUNS:
            raise Wrong(
                expected=words.format(n=size),
                found=_("It fired on {n} of {all} windows.").format(n=sum(fired), all=RUNS),
                look=LOOK,
            )


def confidences() -> tuple[Confidences, Confidences]:
    """Return the first probabilities of the same photos: as validated, and normalised otherwise."""
    photos = distinct_images(PHOTOS, seed=SEED)
    whole = bundle()
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for skewed in (False, True):
            path = make_bundle(Path(folder) / f"{skewed}", Change("1.1.0", skewed=skewed))
            manifest = whole.manifest.model_copy(update={"default_form": "onnx-fp32"})
            found.append(answers_of(path, manifest, photos).max(axis=1).astype(np.float64))
    return found[0], found[1]


def _fires(
    should_fire: Any, validated: Confidences, traffic: Confidences, size: int, seed: int
) -> bool:
    window = np.random.default_rng([seed, size]).choice(traffic, size)
    answer = should_fire(validated.tolist(), window.tolist())
    if not isinstance(answer, bool | np.bool_):
        raise Wrong(
            expected=_("`should_fire` returns True or False."),
            found=_("It returned {answer}.").format(answer=repr(answer)[:100]),
            look=LOOK,
        )
    return bool(answer)
