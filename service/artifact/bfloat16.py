"""The bf16 form: the exported program with bf16 weights, and how close it comes to eager fp32.

bf16 keeps fp32's range and 8 of its 24 bits of precision. A GPU's matrix units compute with it many
times faster than with fp32, and add up in fp32. What those units gain nothing for stays in fp32
where rounding it would change answers: normalisation of the images, the last layer, convolutions
that add up a few products only, as a depthwise one does, and in networks with batch normalisation
everything between two layers. Measured with EfficientNet-Lite0 over 700 crops: with all of it in
bf16, 1.6 % of the crops that it is sure of get another first class.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from service.artifact.export import export_program
from service.engines.base import Form, Probabilities
from service.errors import OperatorError
from service.model_definition import ServingModel
from service.preprocessing import Pixels

FEW_PRODUCTS = 64
"""Of an output value. A ViT's patches have 768."""
SURE_AGREEMENT = 0.99
"""Same first class as eager fp32 on that share of the crops of which it is more than 0.3 sure …"""
LARGEST_LOGIT_DIFFERENCE = 1.0
"""… and no logit further from fp32's than that, in units of the logits' own standard deviation:
holds for weights too that are sure of nothing, random ones for a load test."""


class _ComputingIn(nn.Module):
    """A layer that computes in one type, and whose output has another."""

    def __init__(self, layer: nn.Module, inside: torch.dtype, output: torch.dtype) -> None:
        super().__init__()
        self.layer = copy.deepcopy(layer).to(inside)
        self.inside = inside
        self.output = output

    def forward(self, features: Tensor) -> Tensor:
        return cast(Tensor, self.layer(features.to(self.inside))).to(self.output)


class _InBfloat16(nn.Module):
    """A network whose matrix products are in bf16, between fp32 images and fp32 logits."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        layers = dict(model.named_modules())
        # Rounding between the layers too is for networks that normalise what flows through them
        # anew in each block; it saves memory traffic, of which a transformer has much.
        normalised_once = any(isinstance(layer, nn.BatchNorm2d) for layer in layers.values())
        self.between = torch.float32 if normalised_once else torch.bfloat16
        last = [name for name, layer in layers.items() if next(_own(layer), None) is not None][-1]
        replaced: dict[str, nn.Module] = {}
        for name, layer in layers.items():
            if not name or not isinstance(layer, nn.Conv2d | nn.Linear):
                continue
            if name == last and isinstance(layer, nn.Linear):
                replaced[name] = _ComputingIn(layer, torch.float32, torch.float32)
            elif isinstance(layer, nn.Conv2d) and layer.weight[0].numel() < FEW_PRODUCTS:
                replaced[name] = _ComputingIn(layer, torch.float32, self.between)
            elif normalised_once and type(layer) in (nn.Conv2d, nn.Linear):  # not attention's own
                replaced[name] = _ComputingIn(layer, torch.bfloat16, self.between)
        self.model = model.to(self.between)
        for name, layer in replaced.items():
            self.model.set_submodule(name, layer)

    def forward(self, images: Tensor) -> Tensor:
        return cast(Tensor, self.model(images.to(self.between)))


def _own(layer: nn.Module) -> Iterator[nn.Parameter]:
    return layer.parameters(recurse=False)


def export_bfloat16(model: ServingModel, example: Pixels) -> bytes:
    """The exported program in bf16, from `example`, uint8, at least 2 × H × W × 3."""
    mean, scale = model.mean.flatten(), model.scale.flatten()
    inner = _InBfloat16(copy.deepcopy(model.model))
    # `ServingModel` normalises in the type of its buffers, which stay fp32.
    serving = ServingModel(inner, (0, 0, 0), (1, 1, 1))
    serving.mean, serving.scale = mean.view(1, 3, 1, 1), scale.view(1, 3, 1, 1)
    return export_program(serving, example)


@dataclass(frozen=True, slots=True)
class LogitDifference:
    """Between the logits of two forms over the same images."""

    largest: float
    typical: float
    """Standard deviation of fp32's logits within an image: what the largest is to be held against.
    """


def logit_difference(reference: Probabilities, found: Probabilities) -> LogitDifference:
    """From probabilities: logits are their logarithms, up to a constant for each image.

    Both are float32 N × classes. Probabilities that underflowed to 0 are left out.
    """
    both = (reference > 0) & (found > 0)
    largest, spreads = 0.0, []
    for expected, got, valid in zip(reference, found, both, strict=True):
        logits, other = (np.log(row[valid].astype(np.float64)) for row in (expected, got))
        logits, other = logits - logits.mean(), other - other.mean()
        largest = max(largest, float(np.abs(logits - other).max(initial=0)))
        spreads.append(float(logits.std()))
    return LogitDifference(largest, float(np.median(spreads)))


def judge_bfloat16(
    form: Form, agreement_sure: float, sure_crops: int, difference: LogitDifference
) -> str:
    """Hold a bf16 form against its bound; what the bound says.

    Args:
        form: which form.
        agreement_sure: share of the sure crops with the same first class.
        sure_crops: how many they are; with none only the logits count.
        difference: over all crops.

    Raises:
        OperatorError: the form falls under it.
    """
    bound = (
        f"the same first class on {SURE_AGREEMENT:.0%} of the sure crops, no logit further off "
        f"than {LARGEST_LOGIT_DIFFERENCE:g} of the logits' standard deviation"
    )
    share = difference.largest / difference.typical if difference.typical else np.inf
    agrees = sure_crops == 0 or agreement_sure >= SURE_AGREEMENT
    if not (agrees and share <= LARGEST_LOGIT_DIFFERENCE):
        raise OperatorError(
            f"form {form.name} is not the validated model: expected {bound}; found "
            f"{agreement_sure:.2%} of {sure_crops} crops, and a logit {share:.2f} of it off. "
            "Build without it: --forms with the others"
        )
    return bound
