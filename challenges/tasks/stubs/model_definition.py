"""The architecture of the research model, EfficientNet-Lite0, and how its weights get in."""

from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

# Per stage: expansion, kernel, stride of its first block, output channels, blocks.
STAGES = (
    (1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3), (6, 5, 2, 192, 4), (6, 3, 1, 320, 1),
)  # fmt: skip


def conv_unit(inputs: int, outputs: int, kernel=1, stride=1, groups=1, relu=True) -> nn.Module:
    """Convolution, batch normalisation and ReLU6, padded as TensorFlow's "SAME" pads."""
    before, after = (kernel - stride) // 2, (kernel - stride + 1) // 2
    even = before == after  # then the convolution pads by itself, and int8 stays int8
    pad = nn.Identity() if even else nn.ZeroPad2d((before, after, before, after))
    conv = nn.Conv2d(inputs, outputs, kernel, stride, before * even, groups=groups, bias=False)
    last = [nn.ReLU6()] if relu else []
    unit = nn.Sequential(conv, nn.BatchNorm2d(outputs, eps=1e-3), *last)
    return nn.Sequential(OrderedDict(pad=pad, unit=unit))


class Block(nn.Module):
    """Widen, filter each channel by itself, narrow; add the input where the shapes allow it."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int):
        super().__init__()
        hidden = inputs * expansion
        self.expand = conv_unit(inputs, hidden) if expansion != 1 else nn.Identity()
        self.depthwise = conv_unit(hidden, hidden, kernel, stride, groups=hidden)
        self.project = conv_unit(hidden, outputs, relu=False)
        self.adds_input = stride == 1 and inputs == outputs

    def forward(self, inputs: Tensor) -> Tensor:
        outputs = self.project(self.depthwise(self.expand(inputs)))
        return inputs + outputs if self.adds_input else outputs


class EfficientNetLite0(nn.Module):
    """Normalised images, float N × 3 × 224 × 224, to logits, float N × classes."""

    def __init__(self, classes: int):
        super().__init__()
        self.stem = conv_unit(3, 32, kernel=3, stride=2)
        blocks, inputs = [], 32
        for expansion, kernel, stride, outputs, repeats in STAGES:
            for repeat in range(repeats):
                blocks.append(Block(inputs, outputs, expansion, kernel, 1 if repeat else stride))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = conv_unit(inputs, 1280)
        self.classifier = nn.Linear(1280, classes)

    def features(self, images: Tensor) -> Tensor:
        """Normalised images, float N × 3 × 224 × 224, to features, float N × 1280."""
        return self.head(self.blocks(self.stem(images))).mean((2, 3))

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.features(images))


def load_network(weights: Path) -> EfficientNetLite0:
    """The network with the weights of a safetensors file, ready to predict."""
    tensors = load_file(weights)
    with torch.device("meta"):  # no memory for weights that are replaced at once
        network = EfficientNetLite0(classes=len(tensors["classifier.weight"]))
    network.load_state_dict(tensors, assign=True)
    return network.eval()
