"""The classifier's rows: those of the real classes, and seeded variants of them."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

EDITIONS = 200
"""Number of editions of the real classes; the first one is the real one."""
NOISE = 0.8
"""Spread of a variant's weights around its class's, in standard deviations of all real weights."""
RARITY = 7.0
"""A variant's bias is lower by this: it is rarer than its class by the factor e ** RARITY."""

Floats = npt.NDArray[np.float32]


def catalogue_rows(
    weights: Floats, bias: Floats, editions: int = EDITIONS
) -> Iterator[tuple[Floats, Floats]]:
    """Yield the catalogue's rows, one edition at a time: the same numbers on every machine.

    Args:
        weights: rows of the real classes, float32 classes × features.
        bias: biases of the real classes, float32 classes.
        editions: number of editions; the whole catalogue if not given.

    Yields:
        Weights and bias of an edition, shaped as the arguments.
    """
    spread = np.float32(NOISE) * weights.std(dtype=np.float64).astype(np.float32)
    yield weights, bias
    for edition in range(1, editions):
        random = np.random.default_rng([0, edition])
        noise = random.standard_normal(weights.shape, dtype=np.float32)
        yield weights + spread * noise, bias - np.float32(RARITY)


def catalogue_labels(labels: list[str], editions: int = EDITIONS) -> list[str]:
    """Return the label of each row: "espresso", and later "espresso, variant 17"."""
    variants = [f"{label}, variant {edition}" for edition in range(1, editions) for label in labels]
    return [*labels, *variants]
