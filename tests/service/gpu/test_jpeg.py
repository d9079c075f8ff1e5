"""JPEG files decoded a batch at a time: the code for a GPU, with the CPU's decoder."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from challenges.load.images import distinct_images
from service.gpu import engine as device_program
from service.gpu.jpeg import (
    MOST_MEAN_DIFFERENCE,
    DecodingEngine,
    JpegFile,
    as_device_jpeg,
    decode_batch,
    measure_pixel_difference,
    preprocess_batch,
)
from service.preprocessing import ImageError, PreprocessingSettings, preprocess
from tests.service.small_vit import SIDE, write_program

SETTINGS = PreprocessingSettings()


def encoded(mode: str = "RGB", size: tuple[int, int] = (300, 260), **options: object) -> bytes:
    file = BytesIO()
    Image.effect_mandelbrot(size, (-2, -1.5, 1, 1.5), 40).convert(mode).save(
        file, str(options.pop("format", "JPEG")), **options
    )
    return file.getvalue()


def test_the_pixels_are_the_cpus_within_the_bound() -> None:
    for files in (distinct_images(7), distinct_images(3, size=(1500, 1125))):
        mean, largest = measure_pixel_difference(files, SETTINGS, "cpu")
        assert 0 < mean < MOST_MEAN_DIFFERENCE  # and it is another way, not the same one
        assert largest < 32
    upside_down = [np.flip(preprocess(file), 0) for file in distinct_images(1)]
    difference = np.abs(upside_down[0].astype(int) - preprocess(distinct_images(1)[0])).mean()
    assert difference > 10 * MOST_MEAN_DIFFERENCE  # the bound would notice


def test_only_plain_jpegs_go_to_the_device() -> None:
    assert as_device_jpeg(encoded())
    assert as_device_jpeg(encoded("L"))
    turned = Image.Exif()
    turned[274] = 6
    for other in (
        encoded(format="PNG"),
        encoded("CMYK"),
        encoded(progressive=True),
        encoded(exif=turned),
        encoded(size=(300, 15)),
        encoded()[:-1],
        encoded()[:100],
        b"\xff\xd8\xff\xd9",
        b"",
    ):
        assert as_device_jpeg(other) is None
    assert as_device_jpeg(encoded(), max_pixels=300 * 260)
    assert as_device_jpeg(encoded(), max_pixels=300 * 260 - 1) is None


def test_grey_and_any_aspect_come_out_in_colour_and_square() -> None:
    files = [encoded("L"), encoded(size=(700, 90)), encoded(size=(90, 700))]
    jpegs = [jpeg for file in files if (jpeg := as_device_jpeg(file))]
    assert decode_batch(jpegs, SETTINGS, "cpu").shape == (3, 224, 224, 3)


def test_others_in_a_batch_are_decoded_as_ever() -> None:
    files = [encoded(format="PNG"), encoded(), encoded("CMYK")]
    pixels = preprocess_batch(files, SETTINGS, "cpu")
    np.testing.assert_array_equal(pixels[0], preprocess(files[0]))
    np.testing.assert_array_equal(pixels[2], preprocess(files[2]))


def damaged() -> bytes:
    """Return a file with a right header and end, and nothing between."""
    data = encoded()
    return data[: data.index(b"\xff\xda") + 4] + b"\xff\xd9"


def test_a_damaged_file_is_named_as_ever() -> None:
    assert as_device_jpeg(damaged())
    with pytest.raises(ImageError):
        preprocess_batch([encoded(), damaged()], SETTINGS, "cpu")


def test_the_engine_takes_files_and_pixels(tmp_path: Path) -> None:
    engine = device_program.load(write_program(tmp_path), "cpu", 1)
    settings = PreprocessingSettings(resize=SIDE, crop=SIDE)
    decoding = DecodingEngine(engine, settings)
    files = [encoded(), encoded(format="PNG"), encoded("L")]
    batch = [decoding.prepare(file) for file in files]
    assert [type(one) for one in batch] == [JpegFile, np.ndarray, JpegFile]
    expected = engine(np.stack([preprocess(file, settings) for file in files]))
    np.testing.assert_allclose(decoding(batch), expected, atol=0.05)
    np.testing.assert_array_equal(decoding(np.zeros((1, SIDE, SIDE, 3), np.uint8)),
                                  engine(np.zeros((1, SIDE, SIDE, 3), np.uint8)))  # fmt: skip
    with pytest.raises(ImageError):
        decoding.prepare(b"no image")
