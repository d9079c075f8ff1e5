"""The eager form: the architecture's own Python code with the bundle's weights. The reference."""

import json
from pathlib import Path

import torch
from safetensors import safe_open

from service.engines.torch_module import TorchEngine, configure_torch
from service.model_definition import ServingModel, create_model, load_weights


def load(path: Path, device: str, threads: int) -> TorchEngine:
    """Load weights.safetensors; its header names the architecture."""
    configure_torch(threads)
    with safe_open(path, framework="pt", device="cpu") as file:
        header = json.loads(file.metadata()["serving_model"])
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    with torch.device("meta"):  # the weights below replace all parameters
        model = create_model(header["architecture"], header["num_classes"], header["arguments"])
    load_weights(model, weights)
    serving = ServingModel(
        model, header["mean"], header["std"], header["activation"], header["colour_order"]
    )
    return TorchEngine(serving.to(device), device)
