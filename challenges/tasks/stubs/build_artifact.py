"""Build the artifact from the research model: `python build_artifact.py --model M --output A`.

`main` is given: it makes each file of the artifact in turn. You write the first step, the export.

What you have from model_definition.py:

    network.features(images)    normalised images, float N × 3 × 224 × 224, to float N × 1280
"""

import argparse
import logging
import shutil
import tempfile
from pathlib import Path

import torch
from classifier import write_classifier
from manifest import write_manifest
from model_definition import EfficientNetLite0, load_network
from quantise import calibration_pixels, quantise
from torch import Tensor, nn

MEAN, DEVIATION = 127, 128
CODE = [Path(__file__).with_name(name) for name in ("preprocessing.py", "model_definition.py")]


class Brightness(nn.Module):
    """An example: grey pixels, uint8 N × 64 × 64, to their mean from 0 to 1, float N."""

    def forward(self, pixels: Tensor) -> Tensor:
        return (pixels.float() / 255).mean((1, 2))


def export_brightness(path: Path) -> None:
    """The example as an ONNX file. ONNX Runtime computes it without torch and without this class.

    torch runs the module once, on example inputs, and writes down the operations that it sees. The
    first size of the inputs is called "batch" and stays free; the others are fixed. A free size
    needs an example with at least 2.
    """
    torch.onnx.export(
        Brightness().eval(),
        (torch.zeros(2, 64, 64, dtype=torch.uint8),),
        path,
        dynamo=True,
        input_names=["pixels"],
        output_names=["brightness"],
        dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
        external_data=False,  # the weights in the same file
        verbose=False,
    )


# task: export-onnx
class PixelsToFeatures(nn.Module):
    """Pixels, uint8 N × 224 × 224 × 3, to features, float N × 1280. Normalisation is inside."""

    def __init__(self, network: EfficientNetLite0):
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        """1. Colours come last in a photo, but first in the network: `pixels.permute(…)`.
        2. Normalise: (x - MEAN) / DEVIATION, as floats.
        3. Give that to `self.network.features`.
        """
        raise NotImplementedError


def export_features(network: EfficientNetLite0, path: Path) -> None:
    """Write PixelsToFeatures as an ONNX file: input "pixels", output "features", any batch size.

    Call `.eval()` first, as before every prediction.
    """
    raise NotImplementedError


# end


def main() -> None:
    """Write the artifact: the graphs, the labels, the code that belongs to them, the manifest."""
    parser = argparse.ArgumentParser()
    for name in ("--model", "--output"):
        parser.add_argument(name, type=Path, required=True)
    options = parser.parse_args()
    logging.disable(logging.WARNING)  # of the exporter and the quantiser
    options.output.mkdir(parents=True, exist_ok=True)
    network = load_network(options.model / "weights.safetensors")
    with tempfile.TemporaryDirectory() as folder:
        fp32 = Path(folder) / "features.onnx"
        export_features(network, fp32)
        quantise(fp32, options.output / "features.onnx", calibration_pixels())
    classifier = network.classifier
    write_classifier(classifier.weight, classifier.bias, options.output / "classifier.onnx")
    for path in (options.model / "labels.txt", *CODE):
        shutil.copy(path, options.output)
    write_manifest(options.output)


if __name__ == "__main__":
    main()
