"""The classifier of 200,000 classes as an ONNX graph: search roughly, then rank the best again."""

from pathlib import Path

import onnx
import torch
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from torch import Tensor, nn

DIRECTIONS, AGAIN, TOP = 256, 1024, 5


class Classifier(nn.Module):
    """Features, float N × 1280, to the ids and the probabilities of the five best classes."""

    # task: classifier
    def __init__(self, weight: Tensor, bias: Tensor):
        super().__init__()
        directions = principal_directions(weight)
        scale = weight.abs().amax(dim=1) / 127
        self.register_buffer("directions", directions)
        self.register_buffer("rough", (weight @ directions).T.contiguous())
        self.register_buffer("rows", (weight / scale[:, None]).round().to(torch.int8))
        self.register_buffer("scale", scale)
        self.register_buffer("bias", bias)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        # Search: all classes, along a fifth of the directions.
        rough = (features @ self.directions) @ self.rough + self.bias
        best = rough.topk(AGAIN, dim=1)
        # Rank again: the best ones, along all of them.
        rows = self.rows[best.indices].float()
        exact = (rows @ features[:, :, None])[:, :, 0] * self.scale[best.indices]
        exact = exact + self.bias[best.indices]
        top = exact.topk(TOP, dim=1)
        # Softmax: the sum is over all classes, each as well as it is known.
        highest = best.values[:, :1]
        total = torch.exp(rough - highest).sum(1, keepdim=True)
        total = total - torch.exp(best.values - highest).sum(1, keepdim=True)
        total = total + torch.exp(exact - highest).sum(1, keepdim=True)
        return best.indices.gather(1, top.indices), torch.exp(top.values - highest) / total

    # end


def principal_directions(weight: Tensor) -> Tensor:
    """The directions along which the rows are longest: 1280 × DIRECTIONS, orthonormal."""
    some = weight[::7]  # every seventh row says it as well as all rows
    _values, vectors = torch.linalg.eigh(some.T @ some)  # the largest come last
    return vectors[:, -DIRECTIONS:].contiguous()


def write_classifier(weight: Tensor, bias: Tensor, path: Path) -> None:
    """Export the classifier; the rough weights of all classes become 4 bits each."""
    torch.onnx.export(
        Classifier(weight.detach(), bias.detach()).eval(),
        (torch.zeros(2, weight.shape[1]),),
        path,
        dynamo=True,
        input_names=["features"],
        output_names=["ids", "probabilities"],
        dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
        external_data=False,
        verbose=False,
    )
    model = onnx.load(path)
    products = [node.name for node in model.graph.node if node.op_type == "MatMul"]
    quantiser = MatMulNBitsQuantizer(
        model,
        bits=4,
        block_size=256,
        is_symmetric=True,
        accuracy_level=4,  # multiply in int8
        nodes_to_exclude=[products[0], *products[2:]],
    )
    quantiser.process()
    quantiser.model.save_model_to_file(str(path))
