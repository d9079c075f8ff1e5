"""Images in boxes: what waits for its batch there is copied once, to where the device takes it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from service.preprocessing import Pixels

Box = npt.NDArray[Any]
"""An array without dimensions around one object. Boxes stack to an array of objects, in no time."""


def boxed(image: object) -> Box:
    """Put it in a box."""
    box = np.empty((), object)
    box[()] = image
    return box


def boxed_by(preprocess: Callable[[bytes], Pixels]) -> Callable[[bytes], Box]:
    """The same preprocessing, with its pixels in a box."""
    return lambda data: boxed(preprocess(data))
