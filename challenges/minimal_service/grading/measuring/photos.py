"""Photos of every kind that a service must read, and inputs that it must refuse."""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image

from challenges.load.images import encoded, rgb
from learner.language import _
from service.artifact.sample_photos import SAMPLE_PHOTOS


@dataclass(frozen=True, slots=True)
class FormatPhoto:
    """A photo of one of the kinds that a service must read."""

    kind: str
    """For reports, such as "PNG, 16-bit grey"."""
    data: bytes


def format_photos(seed: int) -> list[FormatPhoto]:
    """Return a photo of each kind that `service.preprocessing` reads, each a cut from `seed`."""
    random = np.random.default_rng([seed, 2])
    photos = {photo.name: photo for photo in SAMPLE_PHOTOS}

    def cut(name: str, size: tuple[int, int] = (480, 360)) -> Image.Image:
        picture = rgb(photos[name])
        share = random.uniform(0.85, 1)
        side = (picture.width * share, picture.height * share)
        left, top = (random.uniform(0, whole - part) for whole, part in zip(picture.size, side))  # noqa: B905
        box = (left, top, left + side[0], top + side[1])
        return picture.resize(size, Image.Resampling.BICUBIC, box)

    kinds: dict[str, Callable[[], bytes]] = {
        _("JPEG, baseline"): lambda: encoded(cut("palace"), quality=90),
        _("JPEG, progressive"): lambda: encoded(cut("flower"), progressive=True, quality=85),
        _("JPEG, grey"): lambda: encoded(cut("camera").convert("L"), quality=90),
        "JPEG, CMYK": lambda: encoded(cut("motorcycle").convert("CMYK"), quality=92),
        _("JPEG, 12 megapixels"): lambda: encoded(cut("rocket", (4000, 3000)), quality=85),
        _("JPEG, very wide"): lambda: encoded(_wide(cut("coffee"), random), quality=90),
        _("JPEG, very tall"): lambda: encoded(_wide(cut("flower"), random).transpose(_TURN)),
        "PNG, RGB": lambda: encoded(cut("coffee"), "PNG", compress_level=1),
        "PNG, RGBA": lambda: encoded(
            _cut_out(cut("coffee"), cut("coffee"), 0.3), "PNG", compress_level=1
        ),
        _("PNG, palette with transparency"): lambda: _palette(
            _cut_out(cut("coffee"), cut("coffee"), 0.3)
        ),
        _("PNG, 16-bit grey"): lambda: encoded(
            _deep(cut("camera"), random), "PNG", compress_level=1
        ),
        _("PNG, 1 bit"): lambda: encoded(cut("rocket").convert("1"), "PNG"),
        _("WebP, lossy"): lambda: encoded(cut("palace"), "WEBP", quality=88, method=0),
        _("WebP, lossless with alpha"): lambda: encoded(
            _cut_out(cut("coffee"), cut("palace"), 0.3), "WEBP", lossless=True, quality=10, method=0
        ),
    }
    made = [FormatPhoto(kind, make()) for kind, make in kinds.items()]
    for orientation in range(1, 9):
        upright = cut("rocket" if orientation < 3 else "camera")
        kind = _("JPEG, EXIF orientation {n}").format(n=orientation)
        made.append(FormatPhoto(kind, _stored(upright, orientation)))
    return made


def slow_photo() -> bytes:
    """Return a photo that takes long: 12 megapixels, progressive, so all of it is decoded."""
    return encoded(
        rgb(SAMPLE_PHOTOS[0]).resize((4000, 3000)), quality=85, progressive=True, subsampling=0
    )


_TURN = Image.Transpose.ROTATE_90


def _wide(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """Return an image four times as wide as high: the picture between noise at both ends.

    Squeezed into a square, it is mostly noise.
    """
    width, height = 4 * image.height, image.height
    noise = random.integers(0, 255, (height // 8, width // 8, 3), np.uint8)
    wide = Image.fromarray(noise).resize((width, height), Image.Resampling.NEAREST)
    wide.paste(image, ((width - image.width) // 2, 0))
    return wide


def _cut_out(image: Image.Image, hidden: Image.Image, size: float) -> Image.Image:
    """Return the picture in an ellipse; around it another picture, hidden by transparency.

    A reader that ignores transparency sees the hidden picture, or black instead of white.
    """
    across = np.linspace(-1, 1, image.width)[None] ** 2
    down = np.linspace(-1, 1, image.height)[:, None] ** 2
    alpha = np.where(across + down < size, 255, 0).astype(np.uint8)
    pixels = np.where(alpha[..., None] == 0, np.asarray(hidden), np.asarray(image))
    return Image.fromarray(np.dstack([pixels, alpha]))


def _palette(image: Image.Image) -> bytes:
    """Return a PNG file of 128 colours, and the same 128 again, transparent."""
    colours = image.convert("RGB").quantize(128, dither=Image.Dither.NONE)
    hidden = np.asarray(image)[..., 3] == 0
    indexed = Image.fromarray(np.asarray(colours) + 128 * hidden.astype(np.uint8), "P")
    palette = (colours.getpalette() or [])[: 3 * 128]
    indexed.putpalette((palette + [0] * (3 * 128 - len(palette))) * 2)
    return encoded(indexed, "PNG", transparency=bytes([255] * 128 + [0] * 128))


def _deep(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """Return the picture in 16-bit grey: it is in the high bytes, the low ones are noise.

    With equal bytes, a reader that takes the low ones would see the same picture.
    """
    high = np.asarray(image.convert("L")).astype(np.uint16)
    return Image.fromarray(high << 8 | random.integers(0, 256, high.shape, np.uint16))


def _stored(upright: Image.Image, orientation: int) -> bytes:
    """Return a JPEG file that stores the picture turned, and says so."""
    to_store = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    turned = upright.transpose(to_store[orientation]) if orientation in to_store else upright
    return encoded(turned, exif=exif, quality=92)


def bad_inputs(photo: bytes) -> dict[str, bytes]:
    """Return inputs that must be answered with 4xx, by a name for reports.

    Args:
        photo: a whole JPEG file, of which parts are used.
    """
    whole_png = encoded(Image.new("RGB", (64, 64), "teal"), "PNG")
    return {
        _("no bytes"): b"",
        _("text"): b"This is not an image.\n" * 20,
        _("random bytes"): np.random.default_rng(0).bytes(5000),
        _("half a JPEG file"): photo[: len(photo) // 2],
        _("half a PNG file"): whole_png[: len(whole_png) // 2],
        _("a JPEG header and noise"): photo[:20] + np.random.default_rng(1).bytes(5000),
        _("8 × 8 pixels"): encoded(Image.new("RGB", (8, 8), "red"), "PNG"),
        _("a PNG file that claims 3.6 billion pixels"): _bomb(60_000),
    }


def _bomb(side: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(3 * side + 1), 9)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
