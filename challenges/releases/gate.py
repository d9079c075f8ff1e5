"""The gate of a release: refuses a candidate whose answers differ from those of the released one.

    python -m challenges.releases.gate RELEASED CANDIDATE

Both are folders of bundles. Exit status 0: it may be released. 1: one line says why not.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from challenges.load.images import distinct_images
from challenges.releases.bundles import answers_of
from service.artifact.verify import Bundle, verify
from service.engines.base import Probabilities
from service.errors import OperatorError

PHOTOS, SEED = 100, 3
LEAST_SAME = 0.95
"""Share of the photos, 0–1, whose first class must stay as it was. A form of fewer bits changes 2 %
of the first classes here, another normalisation 32 %."""


def share_of_same(released: Probabilities, candidate: Probabilities) -> float:
    """Return the share of photos, 0–1, with the same first class. Both: float32, photos × classes.

    A class with a probability that is no number counts as different.
    """
    valid = np.isfinite(candidate).all(axis=1)
    return float(np.mean(valid & (released.argmax(axis=1) == candidate.argmax(axis=1))))


def judge(released: Bundle, candidate: Bundle) -> str:
    """Return the finding in words.

    Raises:
        OperatorError: the candidate must not be released.
    """
    photos = distinct_images(PHOTOS, seed=SEED)
    if released.manifest.labels != candidate.manifest.labels:
        raise OperatorError(
            f"{candidate.path} has different labels than {released.path}: expected the same, in "
            "the same order. Release it as another model, with a name of its own"
        )
    same = share_of_same(
        *(answers_of(one.path, one.manifest, photos) for one in (released, candidate))
    )
    found = f"{same:.0%} of {PHOTOS} photos have the same first class"
    if same < LEAST_SAME:
        raise OperatorError(
            f"{candidate.manifest.name} {candidate.manifest.version} is refused: {found}, expected "
            f"at least {LEAST_SAME:.0%}. Compare its preprocessing, normalisation and labels with "
            f"those of version {released.manifest.version}"
        )
    return f"{candidate.manifest.name} {candidate.manifest.version} may be released: {found}"


def main() -> None:
    """Compare two bundles."""
    parser = argparse.ArgumentParser(description="Compare the answers of two bundles.")
    parser.add_argument("released", type=Path)
    parser.add_argument("candidate", type=Path)
    options = parser.parse_args()
    try:
        print(judge(verify(options.released), verify(options.candidate)))
    except OperatorError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
