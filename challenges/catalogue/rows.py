"""The classifier's rows: those of the real classes, and seeded variants of them."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

EDITIONS = 200
"""Times the real classes stand in the whole catalogue; the first edition is the real one."""
NOISE = 0.8
"""Spread of a variant's weights around its class's, in standard deviations of all real weights."""
RARITY = 7.0
"""How much lower a variant's bias is: e to the power of this as rare as its class."""

Floats = npt.NDArray[np.float32]


def catalogue_rows(
    weights: Floats, bias: Floats, editions: int = EDITIONS
) -> Iterator[tuple[Floats, Floats]]:
    """The catalogue's rows, an edition at a time: the same numbers on every machine.

    Args:
        weights: of the real classes, float32 classes × features.
        bias: likewise, float32 classes.
        editions: how many; the whole catalogue, if not given.

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
    """The label of each row: "espresso", and later "espresso, variant 17"."""
    variants = [f"{label}, variant {edition}" for edition in range(1, editions) for label in labels]
    return [*labels, *variants]
