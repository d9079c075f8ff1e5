"""Lesson 2: is it still the same preprocessing? Run it with: pytest test_parity.py

`preprocess` was written anew. A test says whether it still gives the notebook's pixels, now and
after each change. A test is worth as much as what it notices: yours is run with a right
preprocessing, and with three that are wrong in a quiet way. It must pass with the right one, and
fail with each of the three.
"""

from pathlib import Path

import numpy as np
import pytest
import skimage
from PIL import Image
from preprocessing import preprocess
from torchvision import transforms

DATA = Path(skimage.__file__).parent / "data"
PHOTOS = [DATA / name for name in ("coffee.png", "chelsea.png", "rocket.jpg")]
resize = transforms.Resize(256, transforms.InterpolationMode.BICUBIC)
crop = transforms.CenterCrop(224)


def notebook_pixels(file: Path) -> np.ndarray:
    """What the notebook's own code makes of a photo: uint8, 224 × 224 × 3."""
    return np.asarray(crop(resize(Image.open(file).convert("RGB"))))


@pytest.mark.parametrize("photo", PHOTOS, ids=lambda photo: photo.stem)
def test_the_shape_is_right(photo: Path) -> None:
    """An example: it runs once for each photo. Wrong pixels have the right shape, too."""
    assert preprocess(photo.read_bytes()).shape == (224, 224, 3)


# Write a test here that compares pixels. How far may they be apart? (uint8 cannot be negative:
# compare them as int.)
