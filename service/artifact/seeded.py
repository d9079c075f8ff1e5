"""Seeded weights: a model of any size for load tests, when no trained weights are at hand.

`--weights seeded:0` instead of a file. The manifest says so, and the labels too, so that nobody
takes its answers for answers.
"""

import re

import torch
from torch import Tensor, nn

from service.errors import OperatorError
from service.model_definition import create_model

PREFIX = "seeded:"
CLASSES = 1000
LOGITS_SPREAD = 2.0
"""Standard deviation of the logits, about that of trained classifiers."""


def seed_of(weights: str) -> int | None:
    """The seed that "seeded:7" names; None for anything else.

    Raises:
        OperatorError: "seeded:" with something that is no number.
    """
    if not weights.startswith(PREFIX):
        return None
    if not re.fullmatch(r"seeded:\d{1,9}", weights):
        raise OperatorError(f"--weights {weights}: expected seeded:NUMBER, such as seeded:0")
    return int(weights.removeprefix(PREFIX))


def seeded_weights(architecture: str, seed: int, classes: int = CLASSES) -> dict[str, Tensor]:
    """Random weights, the same for the same seed.

    torchvision initialises some classifiers (ViT's among them) with zeros, which would make every
    answer the same; here the last layer is drawn so that the classes differ.

    Raises:
        OperatorError: no such architecture.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model = create_model(architecture, classes)
        except ValueError as error:
            raise OperatorError(f"--architecture {architecture}: {error}") from None
        last = [module for module in model.modules() if isinstance(module, nn.Linear)][-1:]
        for layer in last:
            nn.init.normal_(layer.weight, std=LOGITS_SPREAD / layer.in_features**0.5)
            nn.init.zeros_(layer.bias)
    return model.state_dict()


def seeded_labels(classes: int = CLASSES) -> list[str]:
    """Labels that say what they are."""
    return [f"class {number} of random weights" for number in range(classes)]


def source_of(seed: int) -> str:
    """What stands in the manifest as the source of the weights."""
    return f"random weights of the seed {seed}, for load tests: the answers mean nothing"
