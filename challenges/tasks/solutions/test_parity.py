"""Lesson 2: is it still the same preprocessing? Run it with: pytest test_parity.py"""

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
    """What the notebook's own code makes of a photo."""
    return np.asarray(crop(resize(Image.open(file).convert("RGB"))))


@pytest.mark.parametrize("photo", PHOTOS, ids=lambda photo: photo.stem)
def test_pixels_are_those_of_the_notebook(photo: Path) -> None:
    ours = preprocess(photo.read_bytes()).astype(int)
    theirs = notebook_pixels(photo).astype(int)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= 1
