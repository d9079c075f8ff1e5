"""Preprocessing, held against torchvision, against TensorFlow's recipe, and against bad input."""

import base64
import io
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
import torch
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import ExifTags, Image
from playwright.sync_api import Browser
from torchvision.transforms import v2

from service import preprocessing
from service.artifact.sample_photos import OTHER_PICTURES, SAMPLE_PHOTOS, SamplePhoto
from service.preprocessing import (
    ImageError,
    ImageTooLargeError,
    Pixels,
    PreprocessingSettings,
    UnsupportedImageError,
    preprocess,
)
from service.settings import ROOT

COFFEE = next(photo for photo in SAMPLE_PHOTOS if photo.name == "coffee")


def encoded(image: Image.Image, file_format: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def coffee(size: tuple[int, int] | None = None) -> Image.Image:
    image = Image.open(COFFEE.path).convert("RGB")
    return image if size is None else image.resize(size, Image.Resampling.LANCZOS)


def oracle(
    data: bytes, interpolation: v2.InterpolationMode = v2.InterpolationMode.BICUBIC
) -> Pixels:
    """What torchvision's transforms make of the fully decoded image."""
    transform = v2.Compose([v2.Resize(256, interpolation), v2.CenterCrop(224)])
    return np.array(transform(Image.open(io.BytesIO(data)).convert("RGB")))


def difference(one: Pixels, other: Pixels) -> npt.NDArray[np.int16]:
    return np.abs(one.astype(np.int16) - other.astype(np.int16))


@pytest.mark.parametrize("picture", [*SAMPLE_PHOTOS, *OTHER_PICTURES], ids=lambda p: p.name)
def test_equals_torchvision_on_real_pictures(picture: SamplePhoto) -> None:
    data = picture.read()
    found = preprocess(data)
    assert found.shape == (224, 224, 3)
    assert found.dtype == np.uint8
    assert found.flags.c_contiguous
    apart = difference(found, oracle(data))
    if picture.name == "retina":  # 1411 pixels: decoded at half size, which is no longer the same
        assert apart.max() <= 4
        assert apart.mean() < 0.2
    else:  # one step where Pillow's fixed-point arithmetic rounds at the edge of the box
        assert apart.max() <= 1
        assert (apart > 0).mean() < 1e-3


@pytest.mark.parametrize(
    "size", [(224, 224), (16, 16), (17, 900), (901, 33), (255, 257), (640, 481)]
)
def test_equals_torchvision_at_any_size(size: tuple[int, int]) -> None:
    data = encoded(coffee(size), "PNG")
    assert difference(preprocess(data), oracle(data)).max() <= 1


def test_other_sizes_and_filters() -> None:
    data = encoded(coffee(), "PNG")
    settings = PreprocessingSettings(resize=232, crop=232, interpolation="bilinear")
    transform = v2.Compose([v2.Resize(232, v2.InterpolationMode.BILINEAR), v2.CenterCrop(232)])
    expected = np.array(transform(Image.open(io.BytesIO(data)).convert("RGB")))
    assert difference(preprocess(data, settings), expected).max() <= 1


def test_the_filter_matters() -> None:
    """The oracle would notice another filter: bilinear is far from what it accepts."""
    data = COFFEE.read()
    bilinear = preprocess(data, PreprocessingSettings(interpolation="bilinear"))
    assert difference(bilinear, oracle(data)).max() > 10


def test_large_jpeg_is_decoded_small_and_close_to_a_full_decode() -> None:
    data = encoded(coffee((3000, 2000)), "JPEG", quality=92)
    apart = difference(preprocess(data), oracle(data))
    assert apart.mean() < 1
    assert apart.max() < 40
    full = preprocess(data, PreprocessingSettings(reducing_gap=100))
    assert difference(full, oracle(data)).max() <= 1


def test_close_to_what_the_weights_were_trained_with(
    photo: SamplePhoto, client: TestClient
) -> None:
    """TensorFlow's evaluation: cut 224/256 of the shorter side from the centre, bilinear to 224.

    That filter does not antialias, and Pillow's do. The stated difference, over the sample photos:
    the same first class on all of them, and no probability further off than 0.08.
    """
    image = np.array(Image.open(photo.path).convert("RGB"))
    height, width, _ = image.shape
    side = int(224 / 256 * min(height, width))
    top, left = (height - side + 1) // 2, (width - side + 1) // 2
    cut = torch.from_numpy(image[top : top + side, left : left + side]).permute(2, 0, 1)[None]
    resized = torch.nn.functional.interpolate(
        cut.float(), (224, 224), mode="bilinear", align_corners=False, antialias=False
    )
    trained_with = resized[0].permute(1, 2, 0).round().clamp(0, 255).byte().numpy()
    runner = cast(FastAPI, client.app).state.model.runner
    expected, found = runner.engine(np.stack([trained_with, preprocess(photo.read())]))
    assert expected.argmax() == found.argmax()
    assert np.abs(expected - found).max() < 0.08


def test_a_turned_photo_that_is_square_once_it_is_decoded_small() -> None:
    """4097 × 4103 pixels at an eighth are 513 × 513: the size no longer shows the quarter turn."""
    upright = coffee((4097, 4103))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    turned = upright.transpose(Image.Transpose.ROTATE_90)
    data = encoded(turned, "JPEG", exif=exif, quality=95)
    apart = difference(preprocess(data), preprocess(encoded(upright, "JPEG", quality=95)))
    assert apart.mean() < 0.5


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_exif_orientation_is_applied(orientation: int, file_format: str) -> None:
    upright = coffee((600, 400))
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(turns[orientation]) if orientation in turns else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    quality: dict[str, dict[str, Any]] = {
        "JPEG": {"quality": 100, "subsampling": 0},
        "WEBP": {"lossless": True},
    }
    data = encoded(stored, file_format, exif=exif, **quality.get(file_format, {}))
    apart = difference(preprocess(data), oracle(encoded(upright, "PNG")))
    assert apart.mean() < (0.01 if file_format != "JPEG" else 1)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_damaged_exif_does_not_cost_the_photo(file_format: str) -> None:
    plain = encoded(coffee(), file_format)
    for exif in (b"garbage" * 5, b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x04abc\0"):
        found = preprocess(encoded(coffee(), file_format, exif=exif))
        assert (found == preprocess(plain)).all()


def as_mode(mode: str) -> Callable[[Image.Image], Image.Image]:
    return lambda image: image.convert(mode)


@pytest.mark.parametrize(
    ("name", "file_format", "convert", "options"),
    [
        ("greyscale JPEG", "JPEG", as_mode("L"), {}),
        ("CMYK JPEG", "JPEG", as_mode("CMYK"), {}),
        ("progressive JPEG", "JPEG", as_mode("RGB"), {"progressive": True}),
        ("palette PNG", "PNG", as_mode("P"), {}),
        ("bilevel PNG", "PNG", as_mode("1"), {}),
        ("greyscale and alpha PNG", "PNG", as_mode("LA"), {}),
        ("alpha PNG", "PNG", as_mode("RGBA"), {}),
        ("lossy WebP", "WEBP", as_mode("RGB"), {}),
        ("alpha WebP", "WEBP", as_mode("RGBA"), {"lossless": True}),
    ],
)
def test_every_kind_of_image_is_taken(
    name: str,
    file_format: str,
    convert: Callable[[Image.Image], Image.Image],
    options: dict[str, object],
) -> None:
    data = encoded(convert(coffee()), file_format, **options)
    assert difference(preprocess(data), oracle(data)).max() <= 1


def test_sixteen_bit_greyscale_keeps_its_range() -> None:
    grey = np.asarray(coffee().convert("L"))
    wide = Image.fromarray(grey.astype(np.uint16) * 257)
    found = preprocess(encoded(wide, "PNG"))
    assert difference(found, oracle(encoded(Image.fromarray(grey), "PNG"))).max() <= 1


def test_transparency_is_laid_over_white() -> None:
    clear = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    half = Image.new("RGBA", (64, 64), (255, 0, 0, 128))
    assert (preprocess(encoded(clear, "PNG")) == 255).all()
    red, green, blue = preprocess(encoded(half, "PNG"))[100, 100]
    assert (red, green, blue) == (255, 127, 127)
    one_colour = encoded(Image.new("RGB", (64, 64), (255, 0, 0)), "PNG", transparency=(255, 0, 0))
    assert (preprocess(one_colour) == 255).all()


def test_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    assert (preprocess(data)[0, 0] == (255, 0, 0)).all()


def test_a_photo_followed_by_more_photos_in_one_file() -> None:
    data = encoded(coffee(), "MPO", save_all=True, append_images=[coffee()])
    assert difference(preprocess(data), oracle(data)).max() <= 1


@pytest.mark.parametrize("file_format", ["GIF", "BMP", "TIFF", "ICO", "PPM"])
def test_other_formats_are_refused(file_format: str) -> None:
    with pytest.raises(ImageError, match="send JPEG, PNG or WebP") as fault:
        preprocess(encoded(coffee((64, 64)), file_format))
    if file_format in ("GIF", "BMP", "TIFF"):
        assert isinstance(fault.value, UnsupportedImageError)
        assert file_format in str(fault.value)


def test_photos_of_phones_that_are_not_accepted_are_named() -> None:
    heic = b"\0\0\0\x18ftypheic" + bytes(100)
    with pytest.raises(UnsupportedImageError, match="HEIC is not accepted"):
        preprocess(heic)


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"\xff\xd8\xff", bytes(1000), b"\x89PNG\r\n\x1a\n"]
)
def test_no_image(data: bytes) -> None:
    with pytest.raises(ImageError):
        preprocess(data)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_truncated_anywhere(file_format: str) -> None:
    data = encoded(coffee(), file_format)
    for share in (0.01, 0.1, 0.5, 0.9, 0.98):
        with pytest.raises(ImageError, match=r"truncated|damaged|not an image"):
            preprocess(data[: int(len(data) * share)])


def test_smallest_side() -> None:
    with pytest.raises(ImageError, match="1 × 1 pixels; each side must have at least 16"):
        preprocess(encoded(Image.new("RGB", (1, 1)), "PNG"))
    with pytest.raises(ImageError, match="400 × 15 pixels"):
        preprocess(encoded(Image.new("RGB", (400, 15)), "PNG"))


def bomb(side: int) -> bytes:
    """A PNG of a few hundred kilobytes that unpacks to side × side pixels."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((side + 7) // 8 + 1) * side, 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [8_000, 10_000, 20_000])
def test_decompression_bomb_is_refused_before_it_is_decoded(side: int, tmp_path: Path) -> None:
    """In a process of its own, whose memory is looked at from outside: it must not grow."""
    (tmp_path / "bomb.png").write_bytes(bomb(side))
    script = (
        "import resource, sys, warnings; warnings.simplefilter('ignore')\n"
        "from service.preprocessing import ImageTooLargeError, preprocess\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "data = open(sys.argv[1], 'rb').read(); before = peak()\n"
        "try: preprocess(data)\n"
        "except ImageTooLargeError as error: print(peak() - before, error)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "bomb.png")]
    done = subprocess.run(command, capture_output=True, text=True)
    kibibytes, message = done.stdout.split(maxsplit=1)
    assert int(kibibytes) < 4096  # decoded, the smallest of them would take 8,000
    assert "pixels" in message


def test_the_pixel_limit_is_the_callers() -> None:
    data = encoded(Image.new("RGB", (100, 100)), "PNG")
    assert preprocess(data, max_pixels=10_000).shape == (224, 224, 3)
    with pytest.raises(ImageTooLargeError, match="at most 9,999"):
        preprocess(data, max_pixels=9_999)


def test_random_bytes_never_raise_anything_else() -> None:
    """A thousand damaged files: pixels or an ImageError, nothing else."""
    random = np.random.default_rng(0)
    files = [encoded(coffee((90, 60)), name) for name in ("JPEG", "PNG", "WEBP")]
    refused = 0
    for number in range(1000):
        data = bytearray(files[number % 3])
        for position in random.integers(len(data), size=8):
            data[position] = random.integers(256)
        try:
            assert preprocess(bytes(data)).shape == (224, 224, 3)
        except ImageError:
            refused += 1
    assert refused > 100


def test_runs_without_torch() -> None:
    script = (
        "import sys; sys.modules['torch'] = None; from service.preprocessing import preprocess;"
        f"print(preprocess(open({str(COFFEE.path)!r}, 'rb').read()).shape)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "(224, 224, 3)"


def test_settings_are_what_the_weights_need() -> None:
    settings = PreprocessingSettings()
    assert (settings.resize, settings.crop, settings.interpolation) == (256, 224, "bicubic")


def png_chunk(kind: bytes, body: bytes, crc: int | None = None) -> bytes:
    """One chunk of a PNG file; `crc` in the place of the right checksum."""
    right = zlib.crc32(kind + body) if crc is None else crc
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", right)


def with_chunk(png: bytes, chunk: bytes) -> bytes:
    """A PNG file with one more chunk behind its header."""
    return png[:33] + chunk + png[33:]


def test_what_plain_decoding_refuses_is_refused() -> None:
    """One flipped bit in the image data of a PNG: the right pixels or an error, never others."""
    photo = Image.open(io.BytesIO(SAMPLE_PHOTOS[0].read())).convert("RGB")
    png = encoded(photo)
    first = png.index(b"IDAT") + 4
    flips = np.random.default_rng(5).integers(first, len(png) - 16, 60)
    refused = 0
    for place in flips:
        damaged = bytearray(png)
        damaged[place] ^= 1 << int(place) % 8
        try:
            with Image.open(io.BytesIO(bytes(damaged))) as plain:
                plain.load()
        except Exception:
            refused += 1
            with pytest.raises(ImageError, match="cannot be decoded"):
                preprocess(bytes(damaged))
        else:
            np.testing.assert_array_equal(preprocess(bytes(damaged)), preprocess(encoded(plain)))
    assert refused > 50


def test_unused_metadata_never_costs_the_photo() -> None:
    photo = Image.open(io.BytesIO(SAMPLE_PHOTOS[0].read())).convert("RGB")
    png, pixels = encoded(photo), preprocess(encoded(photo))
    long_text = b"Comment\0\0" + zlib.compress(bytes(3_000_000))
    for chunk in (
        png_chunk(b"zTXt", long_text),
        png_chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(3_000_000))),
        png_chunk(b"tEXt", b"Comment\0hello", crc=1),
        png_chunk(b"eXIf", b"no exif at all"),
        png_chunk(b"tRNS", b"\0\1\0\1\0\1", crc=1),
    ):
        np.testing.assert_array_equal(preprocess(with_chunk(png, chunk)), pixels)


def test_a_damaged_header_is_not_metadata() -> None:
    png = bytearray(encoded(Image.new("RGB", (64, 64))))
    png[19] ^= 1  # the width, whose checksum is now wrong
    with pytest.raises(ImageError):
        preprocess(bytes(png))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xff\xd8\xff\xc1\x00\x0b\x0c\x00\x40\x00\x40\x01\x01\x11\x00", "JPEG with 12 bits a"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000 is not accepted"),
        (b"\xff\x4f\xff\x51\0\x29", "JPEG 2000 is not accepted"),
        (b"\0\0\0\x18ftyphevc\0\0\0\0", "HEIC is not accepted"),
        (b"\0\0\0\x18ftypavis\0\0\0\0", "AVIF is not accepted"),
    ],
)
def test_a_refusal_names_the_true_cause(data: bytes, words: str) -> None:
    with pytest.raises(UnsupportedImageError, match=words):
        preprocess(data)


def test_very_many_scans_are_refused_before_decoding() -> None:
    """Each scan of a progressive JPEG is a pass over all pixels, whatever its bytes."""
    jpeg = encoded(Image.new("L", (7000, 7000)), "JPEG", progressive=True)
    start = jpeg.rindex(b"\xff\xda")
    bomb = jpeg[:start] + 400 * jpeg[start:-2] + jpeg[-2:]
    started = time.perf_counter()
    with pytest.raises(ImageTooLargeError, match=r"40\d scans of 7000 × 7000 pixels"):
        preprocess(bomb)
    assert time.perf_counter() - started < 1
    small = encoded(Image.new("L", (64, 64)), "JPEG", progressive=True)
    start = small.rindex(b"\xff\xda")
    assert preprocess(small[:start] + 400 * small[start:-2] + small[-2:]).shape == (224, 224, 3)


def test_scan_markers_in_metadata_are_not_scans() -> None:
    exif = Image.Exif()
    exif[0x9286] = b"\xff\xda" * 30_000  # a comment
    jpeg = encoded(Image.new("L", (7000, 7000)), "JPEG", exif=exif)
    assert jpeg.count(b"\xff\xda") > 30_000
    assert preprocess(jpeg).shape == (224, 224, 3)


def test_16_bit_grey_with_a_transparent_value_shows_white() -> None:
    """Equal in 8 bits is not equal in 16: only the very value of tRNS is transparent."""
    rows = [b"\0" + (b"\x12\x34" * 16 + b"\x12\x00" * 16)] * 32
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 32, 16, 0, 0, 0, 0))
    data = png_chunk(b"IDAT", zlib.compress(b"".join(rows)))
    png = b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"tRNS", b"\x12\x34") + data
    pixels = preprocess(png + png_chunk(b"IEND", b""))
    assert (pixels[:, :80] == 255).all()
    assert (pixels[:, -80:] == 0x12).all()


def test_orientation_comes_from_exif_alone() -> None:
    photo = Image.open(io.BytesIO(SAMPLE_PHOTOS[0].read())).convert("RGB")
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><tiff:Orientation>6</tiff:Orientation></x:xmpmeta>'
    plain, tagged = encoded(photo, "JPEG"), encoded(photo, "JPEG", xmp=xmp)
    assert b"tiff:Orientation" in tagged
    np.testing.assert_array_equal(preprocess(tagged), preprocess(plain))


def test_the_first_frame_is_that_of_the_animation() -> None:
    """The picture that a PNG shows where animations are unknown need not be a frame of it."""
    default, red, blue = (Image.new("RGB", (64, 64), name) for name in ("green", "red", "blue"))
    own_picture = encoded(default, save_all=True, append_images=[red, blue], default_image=True)
    animated: dict[str, Any] = {"save_all": True, "append_images": [blue]}
    frames = encoded(red, **animated), encoded(red, "WEBP", **animated, lossless=True)
    for data in (own_picture, *frames):
        assert preprocess(data)[100, 100].tolist() == [255, 0, 0]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "I;16"])
def test_large_images_are_shrunk_in_bands(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Close to the whole image at once, with far less memory; and it is really another way."""
    photo = Image.open(io.BytesIO(SAMPLE_PHOTOS[0].read())).convert("RGB").resize((1700, 1300))
    if mode == "I;16":
        image = Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) << 8)
    else:
        image = photo.convert(mode)
    if mode == "RGBA":
        image.putalpha(photo.convert("L"))
    whole = preprocess(encoded(image)).astype(int)
    monkeypatch.setattr(preprocessing, "LARGE_PIXELS", 1_000_000)
    monkeypatch.setattr(preprocessing, "_BAND_PIXELS", 50_000)
    banded = preprocess(encoded(image)).astype(int)
    gaps = np.abs(whole - banded)
    assert 0 < gaps.mean() < 1
    assert np.quantile(gaps, 0.99) <= 8


def test_memory_stays_bounded_on_many_threads(tmp_path: Path) -> None:
    """Eight large images at once, in a process of its own: its peak, and what stays.

    Two progressive CMYK files at the same time would take 800 MB.
    """
    for mode, kind, side in (("P", "PNG", 7000), ("L", "JPEG", 7000), ("RGB", "WEBP", 3500)):
        Image.new(mode, (side, side)).save(tmp_path / kind, kind)
    Image.new("CMYK", (7000, 7000)).save(tmp_path / "CMYK", "JPEG", progressive=True)
    script = (
        "import pathlib, re, sys, threading\n"
        "from service.runner.tuning import give_large_memory_back\n"
        "from service.preprocessing import preprocess\n"
        "give_large_memory_back()\n"
        "files = [path.read_bytes() for path in pathlib.Path(sys.argv[1]).iterdir()] * 2\n"
        "threads = [threading.Thread(target=preprocess, args=(file,)) for file in files]\n"
        "[thread.start() for thread in threads]; [thread.join() for thread in threads]\n"
        "status = pathlib.Path('/proc/self/status').read_text()\n"
        "print(*re.findall(r'Vm(?:HWM|RSS):\\s+(\\d+)', status))"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    peak_kib, stays_kib = map(int, done.stdout.split())
    assert peak_kib < 700_000
    assert stays_kib < 150_000


CANVAS = """
async ([url]) => {
  const image = new Image();
  image.src = url;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  const context = canvas.getContext("2d", {colorSpace: "srgb", willReadFrequently: true});
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0);
  const {data} = context.getImageData(0, 0, canvas.width, canvas.height);
  let text = "";
  for (let at = 0; at < data.length; at += 32768)
    text += String.fromCharCode(...data.subarray(at, at + 32768));
  return [canvas.width, canvas.height, btoa(text)];
}
"""


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return encoded(coffee((260, 300)), "JPEG", exif=exif, quality=95, subsampling=0)


def wide_grey() -> bytes:
    """16 bits a sample, of which one value in the middle of the photo is transparent."""
    samples = np.asarray(coffee((300, 280)).convert("L")).astype(np.uint16) * 257
    samples[100:180, 100:200] = 0x1234
    return encoded(Image.fromarray(samples), "PNG", transparency=0x1234)


def animation(kind: str, **options: Any) -> bytes:
    frames = [coffee((300, 280)), Image.new("RGB", (300, 280), "blue")]
    if options.get("default_image"):
        frames.insert(0, Image.new("RGB", (300, 280), "green"))
    return encoded(
        frames[0], kind, save_all=True, append_images=frames[1:], duration=60_000, **options
    )


def xmp_only() -> bytes:
    xmp = (
        b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
        b'<?xpacket end="w"?>'
    )
    return encoded(coffee((260, 300)), "JPEG", xmp=xmp, quality=95, subsampling=0)


def with_alpha(kind: str, **options: Any) -> bytes:
    image = coffee((300, 280))
    image.putalpha(image.convert("L"))
    return encoded(image, kind, **options)


def palette_with_alpha() -> bytes:
    image = coffee((300, 280)).quantize(64)
    return encoded(image, "PNG", transparency=bytes(range(0, 256, 4)))


EDGES = 20
"""At the edges of what is transparent: the service shrinks first, and then lays it over white."""
BROWSER_FILES: dict[str, tuple[Callable[[], bytes], int]] = {
    "16-bit grey with tRNS": (wide_grey, EDGES),
    "APNG": (lambda: animation("PNG"), 1),
    "APNG with a picture of its own": (lambda: animation("PNG", default_image=True), 1),
    "animated WebP": (lambda: animation("WEBP", lossless=True), 1),
    **{f"orientation {n}": (lambda n=n: turned(n), 2) for n in range(1, 9)},  # type: ignore[misc]
    "orientation by XMP only": (xmp_only, 2),
    "palette with alpha": (palette_with_alpha, EDGES),
    "alpha PNG": (lambda: with_alpha("PNG"), EDGES),
    "alpha WebP": (lambda: with_alpha("WEBP", lossless=True), EDGES),
    "greyscale JPEG": (lambda: encoded(coffee((300, 280)).convert("L"), "JPEG"), 2),
    "CMYK JPEG": (lambda: encoded(coffee((300, 280)).convert("CMYK"), "JPEG", quality=95), 3),
    "RGB PNG": (lambda: encoded(coffee((300, 280))), 0),
}
"""Files, and how far a pixel may be from the browser's, of 255: decoders round differently."""


@pytest.mark.parametrize("name", BROWSER_FILES)
def test_pixels_are_those_of_a_browser(name: str, browser: Browser) -> None:
    """The same picture, the same way up, over white. Both are brought to the crop alike."""
    make, tolerance = BROWSER_FILES[name]
    data = make()
    page = browser.new_page()
    kind = {b"\x89P": "png", b"RI": "webp"}.get(data[:2], "jpeg")
    url = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    width, height, drawn = page.evaluate(CANVAS, [url])
    page.close()
    rgba = np.frombuffer(base64.b64decode(drawn), np.uint8).reshape(height, width, 4)
    seen = preprocess(encoded(Image.fromarray(rgba[..., :3].copy())))
    apart = difference(preprocess(data), seen)
    assert apart.max() <= tolerance
    assert apart.mean() < 1
