"""An image file's bytes in, pixels out. Normalisation is in the model's graph, not here.

This module is used by tests, by the build and by the service. So it can be imported alone, does
nothing when it is imported, and needs Pillow and NumPy only: no torch, no FastAPI.

An example first, a smaller case: `corner`.
"""

from io import BytesIO

import numpy as np
from PIL import Image, ImageOps

RESIZE, CROP = 256, 224
FORMATS = ("JPEG", "PNG", "WEBP")
MIN_SIDE, MAX_PIXELS = 16, 50_000_000


def corner(data: bytes) -> np.ndarray:
    """The 8 × 8 pixels at the top left, in grey, uint8. ValueError: the bytes are no image."""
    try:
        image = Image.open(BytesIO(data), formats=FORMATS)  # reads the header only
        image.load()  # now the pixels, too
    except Exception as error:  # Pillow raises many kinds of errors for damaged bytes
        raise ValueError(f"not an image: {error}") from error
    return np.asarray(image.convert("L").crop((0, 0, 8, 8)))


# task: cut-preprocess
def preprocess(data: bytes) -> np.ndarray:
    """The centre of an image, uint8 224 × 224 × 3 (RGB). ValueError: the bytes are no image.

    The notebook does it with torchvision, and in one piece with the rest:

        img = Image.open(file).convert("RGB")
        resize = transforms.Resize(256, transforms.InterpolationMode.BICUBIC)
        crop = transforms.CenterCrop(224)

    Write the same with Pillow, for bytes instead of a file:

    1. Open the image. Refuse it with ValueError if a side is under MIN_SIDE, or if it has more
       than MAX_PIXELS pixels: `image.size` is known before anything is decoded.
    2. Bring it to RGB: call `upright_rgb` below. Damaged bytes raise all kinds of errors here and
       in step 1; make ValueError of each.
    3. Resize it so that the shorter side has RESIZE pixels (`Image.Resampling.BICUBIC`).
       torchvision cuts fractions off: a new side is int(RESIZE * side / short).
    4. Cut CROP × CROP pixels from the centre. torchvision rounds: left is
       round((width - CROP) / 2), top likewise.
    """
    raise NotImplementedError


# task: photo-formats
def upright_rgb(image: Image.Image) -> Image.Image:
    """Any photo, turned upright, in 8-bit RGB; what is transparent shows white.

    So far this is the notebook's way. It is right for the notebook's photos. Users send others:

    - Phones store a photo as the sensor lay, and note in the EXIF data how to turn it:
      `ImageOps.exif_transpose`.
    - 16-bit grey: modes "I;16" and "I". Pillow would clip the values at 255. Keep the high byte:
      a NumPy array, >> 8, as uint8, and `Image.fromarray`.
    - Transparency (`image.has_transparency_data`): lay the photo, as "RGBA", over a white one of
      its size: `Image.alpha_composite`. Only then convert it to "RGB".
    - CMYK, palette, grey: `image.convert("RGB")` does these.
    """
    return image.convert("RGB")
