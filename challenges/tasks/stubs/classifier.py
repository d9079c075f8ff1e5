"""The classifier of 200,000 classes as an ONNX graph: search roughly, then rank the best again.

The last layer has 200,000 rows of 1,280 weights. To multiply all of them, 1 GB is read for each
photo: that takes longer than all other layers together. But only five classes are asked for. So do
as search engines and vector databases do:

1. Search roughly. Along the 256 most important directions, in 4 bits, all classes are 27 MB.
2. Rank again. For the 1,024 best ones all 1,280 weights are read, in 8 bits: 2 MB.

You write `Classifier`, as a torch module. `principal_directions` and `write_classifier` are given.
"""

from pathlib import Path

import onnx
import torch
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from torch import Tensor, nn

DIRECTIONS, AGAIN, TOP = 256, 1024, 5


class Classifier(nn.Module):
    """Features, float N × 1280, to the ids and the probabilities of the five best classes.

    So far it reads all weights: right, but slow. Change it, in this order:

    1. `__init__`: make `principal_directions(weight)`, 1280 × 256; keep it and `rough`, all rows
       along these directions: `(weight @ directions).T`, 256 × classes.
    2. Keep `rows`, all rows in 8 bits, and `scale`, one number a row: the largest weight of a row
       becomes 127. (A buffer is what a module keeps and does not train.)
    3. `forward`: `rough` scores of all classes, and the AGAIN best of them: `topk`.
    4. `rows[best.indices]`, N × AGAIN × 1280, times the features are the exact scores of those.
       The top five come from these.
    5. The softmax divides by the sum of exp(score) over all classes. Take the sum over all rough
       scores, subtract what the best classes add to it roughly, and add what they add exactly.

    The order of the products matters: `write_classifier` turns the second one into 4 bits.
    """

    # task: classifier
    def __init__(self, weight: Tensor, bias: Tensor):
        super().__init__()
        self.register_buffer("weight", weight.T.contiguous())
        self.register_buffer("bias", bias)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        scores = features @ self.weight + self.bias
        top = scores.topk(TOP, dim=1)
        # Softmax: exp(score) / sum of all exp(score). Less the highest score, no exp overflows.
        highest = top.values[:, :1]
        total = torch.exp(scores - highest).sum(1, keepdim=True)
        return top.indices, torch.exp(top.values - highest) / total

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
