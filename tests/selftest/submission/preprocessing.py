"""An image file's bytes in, pixels out. Normalisation is in the model (model_definition.py)."""

from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

RESIZE, CROP = 256, 224
MIN_SIDE, MAX_PIXELS = 16, 50_000_000


def preprocess(data: bytes) -> npt.NDArray[np.uint8]:
    """The centre of an image, uint8 224 × 224 × 3 (RGB). ValueError: the bytes are no image."""
    try:
        image = Image.open(BytesIO(data), formats=("JPEG", "PNG", "WEBP"))
        if min(image.size) < MIN_SIDE or image.width * image.height > MAX_PIXELS:
            raise ValueError(f"{image.width} × {image.height} pixels")
        image.draft(None, (2 * RESIZE, 2 * RESIZE))  # a large JPEG shrinks while it is decoded
        image = ImageOps.exif_transpose(image)
        image.load()
    except Exception as error:  # Pillow raises many kinds for damaged bytes
        raise ValueError(f"not an image that can be classified: {error}") from error
    return np.asarray(over_white(resize_and_crop(in_full_colour(image))))


def in_full_colour(image: Image.Image) -> Image.Image:
    """8-bit RGB, or RGBA where something is transparent; of 16 bits the high byte."""
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def resize_and_crop(image: Image.Image) -> Image.Image:
    """Shorter side to 256 pixels, then 224 × 224 from the centre."""
    short = min(image.size)
    width, height = (int(RESIZE * side / short) for side in image.size)
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    left, top = round((width - CROP) / 2), round((height - CROP) / 2)
    return image.crop((left, top, left + CROP, top + CROP))


def over_white(image: Image.Image) -> Image.Image:
    """What is transparent shows white, as in a browser."""
    if image.mode == "RGB":
        return image
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")
