"""The eager form: the architecture's own Python code with the bundle's weights. The reference."""

import json

import safetensors.torch
import torch

from service.engines.base import File
from service.engines.torch_module import TorchEngine, configure_torch
from service.model_definition import ServingModel, create_model, load_weights


def load(file: File, device: str, threads: int) -> TorchEngine:
    """Load weights.safetensors; its header names the architecture."""
    configure_torch(threads)
    data = file.read_bytes()
    # Eight bytes with the length of the header, then the header, in JSON (the format's README).
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(json.loads(data[8:end])["__metadata__"]["serving_model"])
    weights = safetensors.torch.load(data)
    with torch.device("meta"):  # the weights below replace all parameters
        model = create_model(header["architecture"], header["num_classes"], header["arguments"])
    load_weights(model, weights)
    serving = ServingModel(
        model, header["mean"], header["std"], header["activation"], header["colour_order"]
    )
    return TorchEngine(serving.to(device), device)
