"""The features in 8 bits: a quarter of the bytes, and about twice as fast.

The photos for the calibration and the class that hands them out are given. You write `quantise`.
"""

import shutil
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from PIL import Image
from preprocessing import preprocess

PHOTOS = (
    "astronaut.png", "brick.png", "clock_motion.png", "coins.png", "grass.png", "gravel.png",
    "hubble_deep_field.jpg", "ihc.png", "moon.png", "motorcycle_right.png", "retina.jpg",
)  # fmt: skip
FLOAT_LAYERS = 5


def calibration_pixels(count: int = 88) -> np.ndarray:
    """Cuts of photos that come with scikit-image, as the service sees them: N × 224 × 224 × 3."""
    folder = Path(find_spec("skimage").origin).parent / "data"
    random = np.random.default_rng(0)
    pixels = []
    for number in range(count):
        image = Image.open(folder / PHOTOS[number % len(PHOTOS)]).convert("RGB")
        width, height = (int(side * random.uniform(0.3, 1)) for side in image.size)
        left = random.integers(image.width - width + 1)
        top = random.integers(image.height - height + 1)
        file = BytesIO()
        image.crop((left, top, left + width, top + height)).save(file, "JPEG", quality=95)
        pixels.append(preprocess(file.getvalue()))
    return np.stack(pixels)


def in_8_bits(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """An example: floats as whole numbers from 0 to 255, and back. This is all of quantisation.

    `low` and `high` are the range. Too narrow, and large values are cut off; too wide, and the
    steps are coarse. So a quantiser looks at real photos before it chooses: it calibrates.
    """
    step = (high - low) / 255
    whole = np.clip(np.round((values - low) / step), 0, 255).astype(np.uint8)
    return whole * step + low


class Batches(CalibrationDataReader):
    """Hands pixels out, some images at a time, as the quantiser wants them; None at the end."""

    def __init__(self, pixels: np.ndarray, size: int = 11):
        self.batches = iter([pixels[i : i + size] for i in range(0, len(pixels), size)])

    def get_next(self) -> dict | None:
        batch = next(self.batches, None)
        return None if batch is None else {"pixels": batch}


# task: quantise
def quantise(fp32: Path, int8: Path, pixels: np.ndarray) -> None:
    """Write the int8 form of an ONNX file; `pixels` show which values each layer has.

    So far this is a copy: right, but large and slow. Call `quantize_static` (it is imported):

        quantize_static(from, to, photos, option=…, …)

    photos                  a `Batches` of the pixels: for the ranges of all values in between
    op_types_to_quantize    ["Conv", "Clip", "Add"]: the rest costs little
    activation_type         QuantType.QUInt8, of the values in between; weight_type QuantType.QInt8
    per_channel             a step of its own for each channel of the weights, not one for all
    nodes_to_exclude        names of layers that stay float: the first FLOAT_LAYERS convolutions.
                            They are few and small, and rounding them does the most harm.

    `onnx.load(fp32).graph.node` lists all nodes, each with `.name` and `.op_type`.
    """
    shutil.copyfile(fp32, int8)
