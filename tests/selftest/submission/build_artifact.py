"""Build the artifact from the research model: `python build_artifact.py --model M --output A`."""

import argparse
import hashlib
import json
import logging
import shutil
from pathlib import Path

import onnx
import torch
from model_definition import EfficientNetLite0, ServingModel
from safetensors.torch import load_file

from service.artifact.parity import random_crops
from service.artifact.quantisation import quantise
from service.artifact.sample_photos import OTHER_PICTURES
from service.preprocessing import PreprocessingSettings

CODE = [Path(__file__).with_name(name) for name in ("preprocessing.py", "model_definition.py")]


def load_model(folder: Path) -> ServingModel:
    """The architecture with the research model's weights in it."""
    weights = load_file(folder / "weights.safetensors")
    with torch.device("meta"):
        network = EfficientNetLite0(classes=len(weights["classifier.weight"]))
    network.load_state_dict(weights, assign=True)
    return ServingModel(network)


def export(model: ServingModel) -> onnx.ModelProto:
    """ONNX for any batch size, normalisation inside."""
    return torch.onnx.export(
        model,
        (torch.zeros(2, 224, 224, 3, dtype=torch.uint8),),
        dynamo=True,
        input_names=["pixels"],
        output_names=["probabilities"],
        dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
    ).model_proto


def write_int8(model: onnx.ModelProto, path: Path) -> None:
    """The model in 8 bits: a quarter of the memory to read for each batch, and faster features."""
    onnx.save(model, path)
    pictures = [picture.path for picture in OTHER_PICTURES]
    quantise(path, path, random_crops(pictures, 110, 1, PreprocessingSettings()))


def main() -> None:
    """Write the artifact: the model, its labels, the code that belongs to it, and all hashes."""
    parser = argparse.ArgumentParser()
    for name in ("--model", "--output"):
        parser.add_argument(name, type=Path, required=True)
    options = parser.parse_args()
    logging.disable(logging.INFO)  # of the exporter and the quantiser
    options.output.mkdir(parents=True, exist_ok=True)
    write_int8(export(load_model(options.model)), options.output / "model.onnx")
    for path in (options.model / "labels.txt", *CODE):
        shutil.copy(path, options.output)
    files = sorted(path for path in options.output.iterdir() if path.name != "manifest.json")
    sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    (options.output / "manifest.json").write_text(json.dumps({"sha256": sums}, indent=1))


if __name__ == "__main__":
    main()
