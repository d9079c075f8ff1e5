"""Mutated images, and two decoders that must agree: this service's, and plain Pillow's.

Whatever plain Pillow refuses must be refused. Where both accept, the pixels are compared. Metadata
is the exception: Pillow refuses photos for it, and the service does not.
"""

import io
import multiprocessing
import time
import warnings
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from random import Random

import numpy as np
from PIL import Image

from service.preprocessing import (
    FORMATS,
    ImageError,
    Pixels,
    _drop_png_metadata,
    preprocess,
)

MOST_PIXELS = 4_000_000
"""Larger mutants are only preprocessed with this limit: a header may claim any size."""
SLOW_S = 5.0
"""A file that takes longer hangs."""
_MARKERS = [
    *(bytes([0xFF, kind]) for kind in (0xC0, 0xC2, 0xC4, 0xD8, 0xDA, 0xDB, 0xDD, 0xE1, 0xEE)),
    *b"IHDR IDAT PLTE tRNS acTL fcTL fdAT IEND eXIf iCCP".split(),
    *b"RIFF WEBP VP8L VP8X ANIM ANMF ALPH EXIF".split(),
    *(b"VP8 ", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"Exif\0\0II*\0", b"MM\0*"),
]


@dataclass
class Result:
    """What became of the mutants."""

    tried: int = 0
    accepted: int = 0
    refused: int = 0
    slowest_s: float = 0.0
    wrong: list[str] = field(default_factory=list)
    """Accepted, but not by plain Pillow, or with other pixels."""
    crashed: list[str] = field(default_factory=list)
    """Another exception than ImageError, or a hang."""

    def add(self, other: "Result") -> None:
        self.tried += other.tried
        self.accepted += other.accepted
        self.refused += other.refused
        self.slowest_s = max(self.slowest_s, other.slowest_s)
        self.wrong += other.wrong
        self.crashed += other.crashed

    def describe(self) -> str:
        return f"{self.tried:,} files, the slowest {self.slowest_s:.2f} s"


def list_seeds() -> list[bytes]:
    """Return small files of every kind that is accepted, to be mutated."""
    from service.artifact.sample_photos import SAMPLE_PHOTOS  # not where atheris runs

    photo = Image.open(io.BytesIO(SAMPLE_PHOTOS[0].read())).convert("RGB").resize((48, 36))
    grey = photo.convert("L")
    exif = Image.Exif()
    exif[274] = 6
    wide = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    alpha = photo.copy()
    alpha.putalpha(grey)
    frames = {"save_all": True, "append_images": [photo.rotate(90)]}
    variants: list[tuple[Image.Image, str, dict[str, object]]] = [
        (photo, "JPEG", {}), (photo, "JPEG", {"progressive": True, "exif": exif}),
        (grey, "JPEG", {"quality": 30}), (photo.convert("CMYK"), "JPEG", {}),
        (photo, "JPEG", {"subsampling": 0, "restart_marker_rows": 1, "comment": b"x" * 40}),
        (photo, "PNG", {"exif": exif}), (alpha, "PNG", {}), (grey.convert("1"), "PNG", {}),
        (photo.quantize(16), "PNG", {"transparency": 3}), (wide, "PNG", {"transparency": 257}),
        (photo, "PNG", frames), (grey.convert("LA"), "PNG", {}),
        (photo, "WEBP", {"exif": exif}), (photo, "WEBP", {"lossless": True}), (alpha, "WEBP", {}),
        (photo, "WEBP", frames),
    ]  # fmt: skip
    files = []
    for image, kind, options in variants:
        file = io.BytesIO()
        image.save(file, kind, **options)
        files.append(file.getvalue())
    return files


def mutate(data: bytes, random: Random) -> bytes:
    """Return a file with some bytes changed, cut, repeated, or set to what formats look for."""
    mutant = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 4, 16))):
        place = random.randrange(len(mutant) + 1)
        match random.randrange(8):
            case 0:
                mutant[place : place + 1] = bytes([random.randrange(256)])
            case 1 if place < len(mutant):
                mutant[place] ^= 1 << random.randrange(8)
            case 2:
                del mutant[place : place + random.choice((1, 2, 4, 100))]
            case 3:
                mutant[place:place] = random.randbytes(random.choice((1, 2, 4, 30)))
            case 4:
                marker = random.choice(_MARKERS)
                mutant[place : place + len(marker)] = marker
            case 5:
                other = random.randrange(len(mutant) + 1)
                mutant[place:place] = mutant[other : other + random.choice((4, 30, 300))]
            case 6:
                del mutant[max(place, 4) :]
            case _:
                place = random.randrange(min(64, len(mutant) or 1) + 1)
                mutant[place : place + 1] = bytes([random.randrange(256)])
        if not mutant:
            mutant += b"\xff"
    if mutant.startswith(b"\x89PNG") and random.random() < 0.5:
        mutant = bytearray(mend_checksums(bytes(mutant)))
    return bytes(mutant)


def mend_checksums(png: bytes) -> bytes:
    """Return a PNG whose chunks have right checksums: a decoder stops at the first wrong one."""
    parts, place = [png[:8]], 8
    while place + 12 <= len(png):
        end = place + 8 + int.from_bytes(png[place : place + 4])
        if end + 4 > len(png):
            break
        body = png[place + 4 : end]
        parts += [png[place : place + 4], body, zlib.crc32(body).to_bytes(4)]
        place = end + 4
    return b"".join([*parts, png[place:]])


def decode_plainly(data: bytes) -> Image.Image:
    """Return the first picture as Pillow decodes it; raises whatever Pillow raises."""
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        if getattr(image, "default_image", False):
            image.seek(1)
        image.load()
        return image.copy()


def judge(data: bytes, result: Result) -> None:
    """Preprocess one file, and add what became of it."""
    result.tried += 1
    began = time.perf_counter()
    pixels: Pixels | None = None
    try:
        pixels = preprocess(data, max_pixels=MOST_PIXELS)
        result.accepted += 1
    except ImageError:
        result.refused += 1
    except Exception as error:
        result.crashed.append(f"{type(error).__name__}: {error} ({len(data)} bytes)")
    took = time.perf_counter() - began
    result.slowest_s = max(result.slowest_s, took)
    if took > SLOW_S:
        result.crashed.append(f"{took:.1f} s for {len(data)} bytes")
    if pixels is not None and (fault := _compare(data, pixels)):
        result.wrong.append(fault)


def _compare(data: bytes, pixels: Pixels) -> str | None:
    try:
        plain = decode_plainly(data)
    except Exception as error:
        try:  # Pillow stops at metadata that shows no picture
            plain = decode_plainly(_drop_png_metadata(data))
        except Exception:
            return f"accepted, although Pillow says {type(error).__name__}: {str(error)[:60]}"
    file = io.BytesIO()
    if plain.mode in ("RGB", "L") and not plain.info.get("exif"):
        plain.info.clear()
        plain.save(file, "PNG")
        if not np.array_equal(preprocess(file.getvalue()), pixels) and min(plain.size) < 512:
            return f"other pixels than Pillow's, mode {plain.mode}, {plain.size}"
    return None


def _search_part(number: int, count: int) -> Result:
    warnings.simplefilter("ignore")
    random, seeds, result = Random(number), list_seeds(), Result()
    for _ in range(count):
        judge(mutate(random.choice(seeds), random), result)
    return result


def search(
    count: int, workers: int, first: int = 0, progress: Callable[[Result], None] | None = None
) -> Result:
    """Try `count` mutants in processes of their own: a crash of one is seen, and is reported."""
    part, result = max(1, min(5000, count // workers)), Result()
    numbers: Sequence[int] = range(first, first + count // part)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context) as pool:
        for found in pool.map(partial(_search_part, count=part), numbers):
            result.add(found)
            if progress is not None:
                progress(result)
    return result
