"""EfficientNet-Lite0, as in the research notebook, and the module that is exported and served."""

from collections import OrderedDict

import torch
from torch import Tensor, nn

# Per stage: expansion, kernel, stride of its first block, output channels, blocks.
STAGES = (
    (1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3), (6, 5, 2, 192, 4), (6, 3, 1, 320, 1),
)  # fmt: skip
MEAN, STD = 127.0, 128.0


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

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.head(self.blocks(self.stem(images))).mean((2, 3)))


class ServingModel(nn.Module):
    """Pixels, uint8 N × 224 × 224 × 3, to probabilities, float32 N × classes."""

    def __init__(self, network: EfficientNetLite0):
        super().__init__()
        self.network = network
        self.eval()

    def forward(self, pixels: Tensor) -> Tensor:
        images = (pixels.permute(0, 3, 1, 2).float() - MEAN) / STD
        return torch.softmax(self.network(images), dim=1)
