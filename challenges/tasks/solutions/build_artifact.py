"""Build the artifact from the research model: `python build_artifact.py --model M --output A`."""

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


# task: export-onnx
class PixelsToFeatures(nn.Module):
    """Pixels, uint8 N × 224 × 224 × 3, to features, float N × 1280. Normalisation is inside."""

    def __init__(self, network: EfficientNetLite0):
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        images = pixels.permute(0, 3, 1, 2).float()
        return self.network.features((images - MEAN) / DEVIATION)


def export_features(network: EfficientNetLite0, path: Path) -> None:
    """Write the features as an ONNX file, for any number of images."""
    torch.onnx.export(
        PixelsToFeatures(network).eval(),
        (torch.zeros(2, 224, 224, 3, dtype=torch.uint8),),
        path,
        dynamo=True,
        input_names=["pixels"],
        output_names=["features"],
        dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
        external_data=False,
        verbose=False,
    )


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
