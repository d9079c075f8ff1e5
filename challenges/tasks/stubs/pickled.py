"""Lesson 2: a pickled object needs its class, under the name that it had; a state_dict does not.

A notebook is the module `__main__`. An object that is saved there is saved as "a Net of __main__".
In a service, `__main__` is a different program, which has no Net:

    AttributeError: Can't get attribute 'Net' on <module '__main__' …>

Write two functions that make this happen, and two that mend it. Then run: python pickled.py
The check loads both files from another program, as a service would.

An example, with plain numbers: `save_numbers` and `load_numbers`.
"""

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


def save_numbers(numbers: list[float], path: Path) -> None:
    torch.save({"numbers": torch.tensor(numbers)}, path)


def load_numbers(path: Path) -> list[float]:
    return torch.load(path, weights_only=True)["numbers"].tolist()


def save_object(net: Net, path: Path) -> None:
    """Save the object itself with `torch.save`: its numbers, and the name of its class."""
    raise NotImplementedError


def load_object(path: Path) -> Net:
    """Load it again. `torch.load` refuses objects, since they can run code, unless it is told
    weights_only=False.
    """
    raise NotImplementedError


def save_weights(net: Net, path: Path) -> None:
    """Save the numbers only, each with its name: `net.state_dict()`."""
    raise NotImplementedError


def load_weights(path: Path) -> Net:
    """Make a new Net, and give it the numbers of the file: `load_state_dict`. Here weights_only
    is True: nothing of the file is run.
    """
    raise NotImplementedError


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path()
    net = Net()
    save_object(net, folder / "object.pt")
    save_weights(net, folder / "weights.pt")
    print("here, both can be loaded:", load_object(folder / "object.pt"))
