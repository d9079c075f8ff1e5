"""Decode JPEG files on the device, a batch at a time, for machines whose cores cannot keep up.

This is an option (`--decode gpu`). By default `service.preprocessing`, with which the model was
validated, decodes images on the CPU. nvJPEG rounds differently, and this module resizes the fully
decoded image where Pillow shrinks a large file while decoding. `measure_pixel_difference` returns
the difference of the pixels, and `MOST_MEAN_DIFFERENCE` bounds it. On the CPU the same code runs
with libjpeg-turbo.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torchvision.io  # registers torch.ops.image
from torch import Tensor
from torch.nn.functional import interpolate

from service.engines.base import Images, PixelBatch, Probabilities
from service.gpu.engine import DeviceEngine
from service.preprocessing import MAX_PIXELS, MIN_SIDE, Pixels, PreprocessingSettings, preprocess

MOST_MEAN_DIFFERENCE = 1.0
"""Largest mean difference of an image's pixels, of 255: a photo's JPEG artefacts are larger."""
_RGB = int(torchvision.io.ImageReadMode.RGB.value)
_BASELINE, _EXTENDED, _PROGRESSIVE = 0xC0, 0xC1, 0xC2
_STANDALONE = {0x01, *range(0xD0, 0xD9)}
_EXIF, _ADOBE, _SCAN, _END = 0xE1, 0xEE, 0xDA, 0xD9


@dataclass(frozen=True, slots=True)
class JpegFile:
    """A file that the device may decode, as its header shows."""

    data: bytes


def as_device_jpeg(data: bytes, max_pixels: int = MAX_PIXELS) -> JpegFile | None:
    """Return the file if the device decodes it as the CPU would; None leaves it to the CPU.

    The device decodes a baseline JPEG in colour or grey, without an EXIF block (it could rotate
    the image) or an Adobe block (it could mean CMYK), whose size is within the limits.
    `preprocessing.preprocess` takes everything else, damaged headers included, and explains what
    is wrong with it.
    """
    if data[:2] != b"\xff\xd8" or data[-2:] != b"\xff\xd9":
        return None
    place = 2
    try:
        while True:
            start, marker, length = struct.unpack_from(">BBH", data, place)
            if start != 0xFF or marker in _STANDALONE or marker in (_EXIF, _ADOBE, _SCAN, _END):
                return None
            if marker == _BASELINE:
                bits, height, width, components = struct.unpack_from(">BHHB", data, place + 4)
                fits = min(height, width) >= MIN_SIDE and height * width <= max_pixels
                return JpegFile(data) if fits and bits == 8 and components in (1, 3) else None
            if 0xC1 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
                return None  # extended, progressive, lossless, arithmetic
            place += 2 + length
    except struct.error:
        return None


def decode_batch(files: Sequence[JpegFile], settings: PreprocessingSettings, device: str) -> Tensor:
    """Decode, resize and crop a batch on a device.

    Returns:
        uint8 N × crop × crop × 3 on the device.

    Raises:
        RuntimeError: one of the files is damaged; the error does not say which one.
    """
    encoded = [torch.frombuffer(bytearray(file.data), dtype=torch.uint8) for file in files]
    # The operators are called directly: since torchvision 0.26 their Python wrapper warns at every
    # call that it moves to another package.
    if device == "cpu":
        images = [torch.ops.image.decode_jpeg(one, _RGB, False) for one in encoded]
    else:
        images = torch.ops.image.decode_jpegs_cuda(encoded, _RGB, torch.device(device))
    return torch.stack([_resize_and_crop(image, settings) for image in images])


def _resize_and_crop(image: Tensor, settings: PreprocessingSettings) -> Tensor:
    """Turn uint8 3 × H × W into crop × crop × 3, with the sizes rounded as in `preprocessing`."""
    height, width = image.shape[1:]
    short = min(height, width)
    resized = (int(settings.resize * height / short), int(settings.resize * width / short))
    pixels = interpolate(image[None].float(), resized, mode=settings.interpolation, antialias=True)[
        0
    ]
    top, left = (round((side - settings.crop) / 2) for side in resized)
    cropped = pixels[:, top : top + settings.crop, left : left + settings.crop]
    return cropped.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous()


def preprocess_batch(
    files: Sequence[bytes], settings: PreprocessingSettings, device: str
) -> PixelBatch:
    """Return the pixels of each file on the host, decoded by the device where it can.

    Raises:
        ImageError: as `preprocess`, for the first file that is damaged.
    """
    pixels: list[Pixels | None] = [None] * len(files)
    suitable = {number: file for number, data in enumerate(files) if (file := as_device_jpeg(data))}
    if suitable:
        try:
            decoded = decode_batch(list(suitable.values()), settings, device).cpu().numpy()
        except RuntimeError:
            suitable = {}  # one is damaged: the CPU decodes each, and says what is wrong
        else:
            for number, one in zip(suitable, decoded, strict=True):
                pixels[number] = one
    return np.stack(
        [
            preprocess(data, settings) if one is None else one
            for data, one in zip(files, pixels, strict=True)
        ]
    )


def measure_pixel_difference(
    files: Sequence[bytes], settings: PreprocessingSettings, device: str
) -> tuple[float, int]:
    """Return the largest mean difference of an image, and the largest of a pixel, CPU to device."""
    ours = preprocess_batch(files, settings, device).astype(np.int16)
    theirs = np.stack([preprocess(data, settings) for data in files]).astype(np.int16)
    difference = np.abs(ours - theirs)
    return float(difference.mean(axis=(1, 2, 3)).max()), int(difference.max())


class DecodingEngine:
    """An engine that takes JPEG files, and decodes each batch of them on its device.

    It replaces the engine in the runner, and its `prepare` replaces `preprocess`.
    """

    def __init__(
        self, engine: DeviceEngine, settings: PreprocessingSettings, max_pixels: int = MAX_PIXELS
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._max_pixels = max_pixels
        self._decoder = engine.torch_names[0]
        self.runtime = f"{engine.runtime}, JPEG decoded on {self._decoder}"
        self.device = engine.device

    def prepare(self, data: bytes) -> JpegFile | Pixels:
        """Return the file itself if the device decodes it, else its pixels.

        Raises:
            ImageError: as `preprocess`; for a file that the device decodes, `__call__` raises it.
        """
        file = as_device_jpeg(data, self._max_pixels)
        if file is not None:
            return file
        return preprocess(data, self._settings, max_pixels=self._max_pixels)

    def __call__(self, images: Images) -> Probabilities:
        """Classify JPEG files and pixels, in any mixture; returns float32 N × classes."""
        return self._engine(self._decode(images))

    def _decode(self, images: Images) -> list[Pixels]:
        files = [image for image in images if isinstance(image, JpegFile)]
        decoded = iter(
            preprocess_batch([file.data for file in files], self._settings, self._decoder)
            if files
            else ()
        )
        return [next(decoded) if isinstance(image, JpegFile) else image for image in images]
