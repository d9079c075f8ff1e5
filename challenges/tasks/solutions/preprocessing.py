"""An image file's bytes in, pixels out. Normalisation is in the model's graph, not here."""

from io import BytesIO

import numpy as np
from PIL import Image, ImageOps

RESIZE, CROP = 256, 224
FORMATS = ("JPEG", "PNG", "WEBP")
MIN_SIDE, MAX_PIXELS = 16, 50_000_000


# task: cut-preprocess
def preprocess(data: bytes) -> np.ndarray:
    """The centre of an image, uint8 224 × 224 × 3 (RGB). ValueError: the bytes are no image."""
    try:
        image = Image.open(BytesIO(data), formats=FORMATS)
        width, height = image.size
        if min(width, height) < MIN_SIDE or width * height > MAX_PIXELS:
            raise ValueError(f"{width} × {height} pixels")
        image.draft(None, (2 * RESIZE, 2 * RESIZE))  # a large JPEG shrinks while it is decoded
        image = upright_rgb(image)
    except Exception as error:  # Pillow raises many kinds of errors for damaged bytes
        raise ValueError(f"not an image that can be classified: {error}") from error
    return np.asarray(resize_and_crop(image))


def resize_and_crop(image: Image.Image) -> Image.Image:
    """Shorter side to 256 pixels, then 224 × 224 from the centre."""
    short = min(image.size)
    width, height = (int(RESIZE * side / short) for side in image.size)
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    left, top = round((width - CROP) / 2), round((height - CROP) / 2)
    return image.crop((left, top, left + CROP, top + CROP))


# task: photo-formats
def upright_rgb(image: Image.Image) -> Image.Image:
    """Any photo, turned upright, in 8-bit RGB; what is transparent shows white."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16 bits: keep the high byte
        image = Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("RGB")
