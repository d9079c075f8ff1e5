"""Preprocessing: from the bytes of an image file to the pixels that the model was validated with.

This is its only definition. Lessons, validation, calibration and the service all call `preprocess`,
so they cannot drift apart. It needs Pillow and NumPy only; torch is not imported.

Normalisation is not here: it is part of the model's graph (`model_definition.ServingModel`), where
it cannot be forgotten. The output of this module is plain 8-bit RGB.
"""

import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from io import BytesIO
from typing import Literal

import numpy as np
import numpy.typing as npt

# Importing the plugins registers them, so that no request pays for Pillow's search of all formats.
from PIL import (
    ExifTags,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

Pixels = npt.NDArray[np.uint8]
"""One image: uint8, height × width × 3 (RGB), values 0–255."""

FORMATS = (
    JpegImagePlugin.JpegImageFile.format,
    PngImagePlugin.PngImageFile.format,
    WebPImagePlugin.WebPImageFile.format,
)
ACCEPTED = "JPEG, PNG or WebP"
MIN_SIDE = 16
"""Shortest side in pixels of an accepted image; in a smaller one nothing can be recognised."""
MAX_PIXELS = 50_000_000
"""Largest width × height; a larger image is refused from its header, before it is decoded."""

MAX_SCAN_PIXELS = 64 * MAX_PIXELS
"""Largest width × height × scans of a JPEG. A progressive JPEG has about 10 scans. Each is a pass
over all pixels, however few bytes it has (github.com/libjpeg-turbo/libjpeg-turbo/issues/284)."""
WEBP_SHARE = 0.25
"""Share of the pixel limit that holds for WebP, whose decoder takes 18 bytes a pixel, not 4."""
LARGE_PIXELS = 8_000_000
"""A larger bitmap is brought to full colour in bands, each of which is shrunk at once, and few are
decoded at the same time: so memory stays bounded on any number of cores."""
_BAND_PIXELS = 2**21
_LARGE_AT_ONCE = threading.BoundedSemaphore(2)
_PROGRESSIVE = threading.Lock()  # one large one at a time: it takes up to 8 bytes a pixel

# First bytes of formats that clients send and that are not accepted, to name them in the error.
_OTHER_FORMATS = {
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"%PDF": "PDF",
    b"<svg": "SVG",
    b"\xff\x0a": "JPEG XL",
}
_ISO_MEDIA_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), "HEIC"),
    **dict.fromkeys((b"mif1", b"msf1"), "HEIF"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
}
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_CHUNKS = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT"}
_PNG_OPTIONAL_CHUNKS = {b"tRNS", b"eXIf"}


# EXIF orientation (Exif 2.32, tag 274): the edges of the upright image where the first column and
# the first row of the stored image belong, and how to turn it.
_EDGES = {
    1: ("left", "top"),
    2: ("right", "top"),
    3: ("right", "bottom"),
    4: ("left", "bottom"),
    5: ("top", "left"),
    6: ("top", "right"),
    7: ("bottom", "right"),
    8: ("bottom", "left"),
}
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class ImageError(ValueError):
    """The bytes are not an image that can be classified; the message says why."""


class UnsupportedImageError(ImageError):
    """The image has a format that is not accepted."""


class ImageTooLargeError(ImageError):
    """The image has more pixels than the limit; it was refused from its header."""


@dataclass(frozen=True, slots=True)
class PreprocessingSettings:
    """How an image becomes `crop` × `crop` pixels. Part of the artifact's manifest.

    The defaults are for EfficientNet-Lite0. Its weights were trained and evaluated on a centre crop
    of 224 / (224 + 32) of the shorter side (`CROP_PADDING` in github.com/tensorflow/tpu,
    models/official/efficientnet/preprocessing.py), resized by TensorFlow's bilinear filter, which
    does not antialias (main.py there). Pillow's filters do. Among them, bicubic gives the answers
    closest to those of TensorFlow's pixels: the tests compare the two and state the difference.
    """

    resize: int = 256
    """Length in pixels that the shorter side is resized to."""
    crop: int = 224
    """Side in pixels of the square cut from the centre; at most `resize`."""
    interpolation: Literal["bilinear", "bicubic"] = "bicubic"
    """Resampling filter, antialiased when an image shrinks."""
    reducing_gap: float = 2.0
    """JPEG decoding may shrink an image by 2, 4 or 8, as long as the shorter side stays at least
    `reducing_gap` × `resize` pixels. Larger values are closer to a full decode, smaller ones are
    faster."""


def preprocess(
    data: bytes,
    settings: PreprocessingSettings = PreprocessingSettings(),
    *,
    max_pixels: int = MAX_PIXELS,
) -> Pixels:
    """Decode an image file and return its centre as the model expects it.

    The result equals torchvision's `Resize(resize, interpolation)` and `CenterCrop(crop)` on the
    decoded RGB image, but only the pixels of the crop are computed.

    Args:
        data: a JPEG, PNG or WebP file. EXIF orientation is applied; greyscale, palette, CMYK and
            16-bit images become 8-bit RGB; transparency is laid over white, as a browser shows it;
            the first frame of an animation is taken. Colour profiles are not applied. Metadata
            that is not used never costs the photo: it may be damaged, or of any size.
        settings: sizes and filter.
        max_pixels: largest width × height; a larger image is refused before it is decoded.

    Returns:
        uint8, `crop` × `crop` × 3, RGB, C-contiguous.

    Raises:
        UnsupportedImageError: the format is not JPEG, PNG or WebP.
        ImageTooLargeError: the image has more than `max_pixels` pixels, or too many scans.
        ImageError: not an image, truncated, damaged, or with a side under `MIN_SIDE` pixels.
    """
    try:
        with _open(data, max_pixels) as image, _take_turns(image):
            full_size = image.size
            decoded_size = _decode(image, settings)
            orientation = _orientation(image)  # after decoding, whose errors must not pass unseen
            if image.width * image.height > LARGE_PIXELS:
                shrunk, decoded_size = _shrink_in_bands(image, decoded_size, settings)
            else:
                shrunk = _in_full_colour(image)
            cropped = _resize_and_crop(shrunk, full_size, decoded_size, orientation, settings)
            return np.array(_over_white(cropped))
    except ImageError:
        raise
    except Exception as error:
        # On damaged bytes Pillow's decoders raise many types of error (OSError, SyntaxError,
        # ValueError, struct.error, zlib.error …), which all mean the same.
        fault = "truncated" if "truncated" in str(error).lower() else "damaged"
        raise ImageError(
            f"the image is {fault} and cannot be decoded ({len(data):,} bytes received); "
            "send the complete file"
        ) from error


def _open(data: bytes, max_pixels: int) -> Image.Image:
    """Read the header only; refuse an image that must not be decoded."""
    try:
        image = Image.open(BytesIO(_drop_png_metadata(data)), formats=FORMATS)
    except UnidentifiedImageError:
        raise _unidentified(data) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        # Pillow's own limit, far above any sensible `max_pixels`, comes before the size is known.
        raise ImageTooLargeError(
            f"the image has more than {Image.MAX_IMAGE_PIXELS:,} pixels; "
            f"at most {max_pixels:,} are accepted"
        ) from None
    width, height = image.size
    if image.format == WebPImagePlugin.WebPImageFile.format:
        max_pixels = int(max_pixels * WEBP_SHARE)
    if width * height > max_pixels:
        raise ImageTooLargeError(
            f"the image has {width} × {height} = {width * height:,} pixels; "
            f"at most {max_pixels:,} are accepted"
        )
    if min(width, height) < MIN_SIDE:
        raise ImageError(
            f"the image has {width} × {height} pixels; each side must have at least {MIN_SIDE}"
        )
    scans = _count_scans(data, most=MAX_SCAN_PIXELS // (width * height))
    if scans is not None:
        raise ImageTooLargeError(
            f"the JPEG has {scans} scans of {width} × {height} pixels, which would take too long "
            f"to decode; at most {MAX_SCAN_PIXELS // (width * height)} are accepted at this size. "
            "Save it as a baseline JPEG"
        )
    if getattr(image, "default_image", False):  # an animated PNG, and this picture is not of it
        image.seek(1)
    return image


def _drop_png_metadata(data: bytes) -> bytes:
    """Return a PNG file without the chunks that are not used; other files as they are.

    Pillow refuses a file for its text or colour profile: for more than 1 MB of it, or for a wrong
    checksum. Of the optional chunks that are used, a damaged one is dropped, as libpng does.
    """
    if not data.startswith(_PNG_SIGNATURE):
        return data
    kept, place, used = [_PNG_SIGNATURE], len(_PNG_SIGNATURE), b""
    while used != b"IEND" and place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4])
        used, end = data[place + 4 : place + 8], place + 12 + length
        chunk = data[place:end]
        sound = used in _PNG_OPTIONAL_CHUNKS and zlib.crc32(chunk[4:-4]) == int.from_bytes(
            chunk[-4:]
        )
        # A capital first letter: the image cannot be shown without the chunk, so Pillow judges it.
        if used in _PNG_CHUNKS or sound or used[:1].isupper():
            kept.append(chunk)
        place = end
    return b"".join([*kept, data[place:]])


def _count_scans(data: bytes, most: int) -> int | None:
    """Return the number of scans of a JPEG file if it has more than `most`, else None."""
    if not data.startswith(b"\xff\xd8") or data.count(b"\xff\xda") <= most:
        return None
    # The two bytes also occur in metadata, so count by walking from segment to segment.
    scans, place = 0, 2
    while 0 <= (place := data.find(b"\xff", place)) < len(data) - 3:
        marker = data[place + 1]
        scans += marker == 0xDA
        has_length = marker not in (0x00, 0x01, 0xFF) and not 0xD0 <= marker <= 0xD9
        place += (
            2 + int.from_bytes(data[place + 2 : place + 4]) if has_length else 1 + (marker != 0xFF)
        )
    return scans if scans > most else None


def _explain_jpeg(data: bytes) -> str | None:
    """Return the kind of a JPEG that Pillow cannot read, from its frame header, or None."""
    place = 2
    while data.startswith(b"\xff\xd8") and place + 4 < len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            bits = data[place + 4]
            return None if bits == 8 else f"JPEG with {bits} bits a sample"
        place += 2 + int.from_bytes(data[place + 2 : place + 4])
    return None


def _unidentified(data: bytes) -> ImageError:
    """Return an error that names what was sent, where its first bytes tell."""
    other = _ISO_MEDIA_BRANDS.get(data[8:12]) if data[4:8] == b"ftyp" else None
    for signature, name in _OTHER_FORMATS.items():
        if data.startswith(signature):
            other = name
    other = other or _explain_jpeg(data)
    if other is not None:
        return UnsupportedImageError(
            f"{other} is not accepted; send {ACCEPTED} (8 bits a sample)"
            if "bits" in other
            else f"{other} is not accepted; send {ACCEPTED}"
        )
    return ImageError(f"the {len(data):,} bytes are not an image; send {ACCEPTED}")


def _decode(image: Image.Image, settings: PreprocessingSettings) -> tuple[float, float]:
    """Decode in place; a large JPEG is shrunk while decoding, in the DCT, which is much cheaper.

    Returns:
        Width and height of the whole picture, to the fraction of a pixel: 1411 pixels halved are
        705.5, in a bitmap of 706.
    """
    share = settings.reducing_gap * settings.resize / min(image.size)
    width, height = float(image.width), float(image.height)
    if share < 1:
        # Picks the smallest of 1/1, 1/2, 1/4 and 1/8 that is not below the requested size. For
        # other formats than JPEG it does nothing and returns None.
        drafted = image.draft(None, (int(width * share), int(height * share)))
        if drafted is not None:
            _, (_, _, width, height) = drafted
    image.load()
    return width, height


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1–8; 1 if it is missing or damaged: the pixels are fine.

    Of the EXIF block alone, as browsers do: `Image.getexif` would also ask XMP.
    """
    exif = Image.Exif()
    try:
        exif.load(image.info.get("exif", b""))
        orientation = exif.get(ExifTags.Base.Orientation, 1)
    except Exception:  # Pillow raises many types of error for a damaged block
        return 1
    return orientation if orientation in _EDGES else 1


@contextmanager
def _take_turns(image: Image.Image) -> Iterator[None]:
    if image.width * image.height <= LARGE_PIXELS:
        yield
        return
    with _PROGRESSIVE if "progressive" in image.info else nullcontext(), _LARGE_AT_ONCE:
        yield


def _shrink_in_bands(
    image: Image.Image, size: tuple[float, float], settings: PreprocessingSettings
) -> tuple[Image.Image, tuple[float, float]]:
    """Return the image in RGB, shrunk by a whole factor, and its size to the fraction of a pixel.

    The factor keeps the shorter side at `reducing_gap` × `resize` pixels or more. Each pixel is the
    mean of a square.
    """
    factor = max(1, int(min(image.size) / (settings.reducing_gap * settings.resize)))
    width, height = image.size
    rows = factor * max(1, _BAND_PIXELS // (width * factor))
    shrunk = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    for top in range(0, height, rows):
        band = image.crop((0, top, width, min(top + rows, height)))
        shrunk.paste(_over_white(_in_full_colour(band)).reduce(factor), (0, top // factor))
    return shrunk, (size[0] / factor, size[1] / factor)


def _in_full_colour(image: Image.Image) -> Image.Image:
    """Convert to 8-bit RGB, or to RGBA if there is transparency."""
    if image.mode.startswith("I;16") or image.mode == "I":
        # Pillow would clip 16 bits to 8. Keep the high byte instead, as libpng does for colour.
        samples = np.asarray(image).astype(np.uint16)
        grey = Image.fromarray((samples >> 8).astype(np.uint8))
        transparent = image.info.get("transparency")
        if transparent is None:
            return grey.convert("RGB")
        opaque = Image.fromarray(np.where(samples == transparent, 0, 255).astype(np.uint8))
        return Image.merge("RGBA", (grey, grey, grey, opaque))
    mode = "RGBA" if image.has_transparency_data else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _resize_and_crop(
    image: Image.Image,
    full_size: tuple[int, int],
    decoded_size: tuple[float, float],
    orientation: int,
    settings: PreprocessingSettings,
) -> Image.Image:
    """Resize the shorter side, crop the centre, turn it upright; compute only what is kept.

    The rounding is torchvision's, on the size of the upright image in the file, so that the crop is
    the same to the pixel. `decoded_size` is the size of the whole picture in `image`. The crop is
    located in the image as it is stored, and turned last, when it is small.
    """
    turned = orientation >= 5  # by a quarter
    width, height = full_size[::-1] if turned else full_size
    short = min(width, height)
    resized = (int(settings.resize * width / short), int(settings.resize * height / short))
    left, top = (round((side - settings.crop) / 2) for side in resized)
    margins = {
        "left": left,
        "top": top,
        "right": resized[0] - settings.crop - left,
        "bottom": resized[1] - settings.crop - top,
    }
    before_column, before_row = (margins[edge] for edge in _EDGES[orientation])
    stored = resized[::-1] if turned else resized
    scale = [side / new for side, new in zip(decoded_size, stored, strict=True)]
    box = (
        before_column * scale[0],
        before_row * scale[1],
        (before_column + settings.crop) * scale[0],
        (before_row + settings.crop) * scale[1],
    )
    resample = Image.Resampling[settings.interpolation.upper()]
    cropped = image.resize((settings.crop, settings.crop), resample, box)
    return cropped.transpose(_TURNS[orientation]) if orientation in _TURNS else cropped


def _over_white(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")
