"""What the checks of preprocessing share: pixels beside those that are right."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from challenges.tasks.checking import Wrong
from learner.language import _
from service.preprocessing import PreprocessingSettings, preprocess

Pixels = npt.NDArray[np.uint8]
SHAPE = (224, 224, 3)
MOST = 4.0
"""Mean difference, of 255, that is still the same: a large JPEG may be shrunk while decoded."""
WRONG_WAYS: dict[str, Callable[[bytes], Pixels]] = {
    "bilinear": lambda data: preprocess(data, PreprocessingSettings(interpolation="bilinear")),
    "swapped": lambda data: preprocess(data)[..., ::-1],
    "squeezed": lambda data: np.asarray(
        Image.open(BytesIO(data)).convert("RGB").resize(SHAPE[:2], Image.Resampling.BICUBIC)
    ),
}
"""Preprocessings that answer with pixels of the right shape, and are another model's."""


def in_words(way: str) -> str:
    """What a wrong way does."""
    return {
        "bilinear": _("It resizes with the bilinear filter instead of the bicubic one."),
        "swapped": _("Red and blue are swapped."),
        "squeezed": _("It squeezes the whole photo into the square instead of cropping."),
    }[way]


def difference(one: Pixels, other: Pixels) -> float:
    """The mean difference of two photos' pixels, 0 to 255."""
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


def demand_pixels(found: Any, data: bytes, which: str, look: str, most: float = MOST) -> None:
    """Hold what `preprocess` returned against the right pixels.

    Raises:
        Wrong: it is no such array, or its pixels are others.
    """
    if not isinstance(found, np.ndarray) or found.dtype != np.uint8 or found.shape != SHAPE:
        kind = type(found).__name__
        if isinstance(found, np.ndarray):
            kind = f"{found.dtype}, {' × '.join(map(str, found.shape))}"
        raise Wrong(
            expected=_("`preprocess` returns a NumPy array, uint8, 224 × 224 × 3."),
            found=_("For {which} it returned: {kind}").format(which=which, kind=kind),
            look=look,
        )
    right = preprocess(data)
    apart = difference(found, right)
    if apart <= most:
        return
    text = _("For {which} a pixel is off by {apart:.1f} of 255 on average.")
    text = text.format(which=which, apart=apart)
    for way, make in WRONG_WAYS.items():
        if difference(found, make(data)) < min(1.0, apart / 3):
            text = f"{text} {in_words(way)}"
    raise Wrong(
        expected=_("The pixels are those of the notebook's own code."), found=text, look=look
    )
