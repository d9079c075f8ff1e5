"""Lesson 2: a pickled object needs its class, under the name that it had; a state_dict does not."""

import sys
from pathlib import Path

import torch
from torch import nn


class Net(nn.Module):
    """A small network."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, inputs):
        return self.layer(inputs)


def save_object(net: Net, path: Path) -> None:
    """Pickle the object itself."""
    torch.save(net, path)


def load_object(path: Path) -> Net:
    """Unpickle it. This runs code of the file."""
    return torch.load(path, weights_only=False)


def save_weights(net: Net, path: Path) -> None:
    """Save the numbers only, each with its name."""
    torch.save(net.state_dict(), path)


def load_weights(path: Path) -> Net:
    """A new network of today's class, with the numbers of the file."""
    net = Net()
    net.load_state_dict(torch.load(path, weights_only=True))
    return net


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path()
    net = Net()
    save_object(net, folder / "object.pt")
    save_weights(net, folder / "weights.pt")
    print("here, both can be loaded:", load_object(folder / "object.pt"))
