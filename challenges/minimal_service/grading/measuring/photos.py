"""What a grade sends: photos that no one has seen before, and one of each kind that exists."""

import struct
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import ExifTags, Image

from learner.language import _
from service.artifact.sample_photos import OTHER_PICTURES, SAMPLE_PHOTOS, SamplePhoto
from service.machine import available_cores

SIZE = (500, 375)
"""Width and height in pixels of the photos of a load."""
_LARGEST_ZOOM = 1.4
_ZOOMS = 4
"""Sizes of each picture that a grade cuts from: to resize every photo anew would take minutes."""
_RECOGNISED = 0.8
"""Share of the photos that are cut from pictures which the model recognises. The others add
answers that no table made in advance holds."""
_SIZE_STEP = 16_384
"""The files of a load are padded to multiples of so many bytes."""
_COMMENT = b"\xff\xfe"
_LONGEST_COMMENT = 65_533


def _rgb(photo: SamplePhoto) -> Image.Image:
    with Image.open(photo.path) as file:
        return file.convert("RGB")


class PhotoMaker:
    """Makes JPEG photos from a seed: cuts of real pictures, mirrored or not, in changing light."""

    def __init__(self, seed: int) -> None:
        """Resize each picture to a few sizes, drawn from `seed`."""
        random = np.random.default_rng([seed, 0])
        self._seed = seed
        self._zoomed = [
            [
                _covering(_rgb(photo), zoom)
                for zoom in np.sort(random.uniform(1, _LARGEST_ZOOM, _ZOOMS))
            ]
            for photo in (*SAMPLE_PHOTOS, *OTHER_PICTURES)
        ]

    def photos(self, count: int, series: int = 1) -> list[bytes]:
        """`count` JPEG files of `SIZE`, no two alike; another `series` gives others."""
        with ThreadPoolExecutor(available_cores()) as pool:
            return list(pool.map(lambda number: self._photo(series, number), range(count)))

    def _photo(self, series: int, number: int) -> bytes:
        random = np.random.default_rng([self._seed, series, number])
        known = len(SAMPLE_PHOTOS)
        recognised = random.random() < _RECOGNISED
        first, last = (0, known) if recognised else (known, len(self._zoomed))
        picture = self._zoomed[random.integers(first, last)][random.integers(_ZOOMS)]
        left = int(random.integers(picture.width - SIZE[0] + 1))
        top = int(random.integers(picture.height - SIZE[1] + 1))
        cut = picture.crop((left, top, left + SIZE[0], top + SIZE[1]))
        if random.random() < 0.5:
            cut = cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        gains = random.uniform(0.88, 1.08) * random.uniform(0.97, 1.03, 3)
        table = np.clip(np.outer(gains, np.arange(256)) + 0.5, 0, 255).astype(np.uint8)
        photo = encoded(cut.point(table.ravel().tolist()), quality=int(random.integers(82, 93)))
        # Few sizes in bytes, so that who knows a photo by its size is found out.
        return padded(photo, -(-(len(photo) + 4) // _SIZE_STEP) * _SIZE_STEP)


def _covering(picture: Image.Image, zoom: float) -> Image.Image:
    """`picture`, resized to `zoom` times what covers `SIZE`."""
    scale = zoom * max(SIZE[0] / picture.width, SIZE[1] / picture.height)
    size = (round(picture.width * scale), round(picture.height * scale))
    return picture.resize(size, Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    """`image` as a file."""
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def padded(jpeg: bytes, size: int) -> bytes:
    """The same photo in a JPEG file of exactly `size` bytes: comments follow its first marker.

    Raises:
        ValueError: `size` is too small for it.
    """
    missing = size - len(jpeg)
    comments = b""
    while missing:
        # A comment takes 4 bytes more than its text; none may be left that is shorter than that.
        text = min(missing - 4, _LONGEST_COMMENT)
        if 0 < missing - text - 4 < 4:
            text -= 4
        if text < 0:
            raise ValueError(f"{len(jpeg)} bytes cannot be padded to {size}")
        comments += _COMMENT + struct.pack(">H", text + 2) + b"." * text
        missing -= text + 4
    return jpeg[:2] + comments + jpeg[2:]


@dataclass(frozen=True, slots=True)
class FormatPhoto:
    """A photo in one of the kinds of files that a service must read."""

    kind: str
    """For reports: "PNG, 16-bit grey"."""
    data: bytes


def format_photos(seed: int) -> list[FormatPhoto]:
    """One photo of each kind that `service.preprocessing` reads, each a cut drawn from `seed`."""
    random = np.random.default_rng([seed, 2])
    photos = {photo.name: photo for photo in SAMPLE_PHOTOS}

    def cut(name: str, size: tuple[int, int] = (480, 360)) -> Image.Image:
        picture = _rgb(photos[name])
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
        _("PNG, 16-bit grey"): lambda: encoded(_deep(cut("camera")), "PNG", compress_level=1),
        _("PNG, 1 bit"): lambda: encoded(cut("rocket").convert("1"), "PNG"),
        _("WebP, lossy"): lambda: encoded(cut("palace"), "WEBP", quality=88, method=0),
        _("WebP, lossless with alpha"): lambda: encoded(
            _cut_out(cut("coffee"), cut("palace"), 0.3), "WEBP", lossless=True, quality=10, method=0
        ),
    }
    found = [FormatPhoto(kind, make()) for kind, make in kinds.items()]
    for orientation in range(1, 9):
        upright = cut("rocket" if orientation < 3 else "camera")
        kind = _("JPEG, EXIF orientation {n}").format(n=orientation)
        found.append(FormatPhoto(kind, _stored(upright, orientation)))
    return found


def slow_photo() -> bytes:
    """A photo that takes a while: 12 megapixels, progressive, so that all of it must be decoded."""
    return encoded(
        _rgb(SAMPLE_PHOTOS[0]).resize((4000, 3000)), quality=85, progressive=True, subsampling=0
    )


_TURN = Image.Transpose.ROTATE_90


def _wide(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """Four times as wide as high, with the picture in the middle and noise at both ends.

    Who squeezes the whole width into a square sees mostly noise.
    """
    width, height = 4 * image.height, image.height
    noise = random.integers(0, 255, (height // 8, width // 8, 3), np.uint8)
    wide = Image.fromarray(noise).resize((width, height), Image.Resampling.NEAREST)
    wide.paste(image, ((width - image.width) // 2, 0))
    return wide


def _cut_out(image: Image.Image, hidden: Image.Image, size: float) -> Image.Image:
    """The picture in an ellipse; around it transparent, and under that more of a picture.

    Who leaves transparency out sees what is hidden, or black instead of white.
    """
    across = np.linspace(-1, 1, image.width)[None] ** 2
    down = np.linspace(-1, 1, image.height)[:, None] ** 2
    alpha = np.where(across + down < size, 255, 0).astype(np.uint8)
    pixels = np.where(alpha[..., None] == 0, np.asarray(hidden), np.asarray(image))
    return Image.fromarray(np.dstack([pixels, alpha]))


def _palette(image: Image.Image) -> bytes:
    """As a PNG file of 128 colours, and the same 128 again, transparent."""
    colours = image.convert("RGB").quantize(128, dither=Image.Dither.NONE)
    hidden = np.asarray(image)[..., 3] == 0
    found = Image.fromarray(np.asarray(colours) + 128 * hidden.astype(np.uint8), "P")
    palette = (colours.getpalette() or [])[: 3 * 128]
    found.putpalette((palette + [0] * (3 * 128 - len(palette))) * 2)
    return encoded(found, "PNG", transparency=bytes([255] * 128 + [0] * 128))


def _deep(image: Image.Image) -> Image.Image:
    grey = np.asarray(image.convert("L")).astype(np.uint16)
    return Image.fromarray(grey * 257)


def _stored(upright: Image.Image, orientation: int) -> bytes:
    """A JPEG file that stores the picture turned, and says so."""
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
    """What is no photo, by a name for reports: each must be answered with a status of 4xx.

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
