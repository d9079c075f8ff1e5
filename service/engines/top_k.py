"""Where the largest of very many values are, far cheaper than by sorting them."""

import numpy as np
import numpy.typing as npt

_BLOCK = 512
"""Values that are compared as one."""


def top_k(values: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.intp]:
    """Where the `k` largest of at least `k` values are, in no order.

    The largest of each block are compared first; the k largest values lie in the blocks with the k
    largest of those. Of 200,000 values and k = 5, 197,000 are never looked at again.
    """
    blocks = len(values) // _BLOCK
    if blocks <= k:
        return np.argpartition(-values, k - 1)[:k]
    whole = values[: blocks * _BLOCK].reshape(blocks, _BLOCK)
    chosen = np.argpartition(-whole.max(axis=1), k - 1)[:k]
    places = (chosen[:, np.newaxis] * _BLOCK + np.arange(_BLOCK)).ravel()
    places = np.concatenate([places, np.arange(blocks * _BLOCK, len(values))])
    return places[np.argpartition(-values[places], k - 1)[:k]]
