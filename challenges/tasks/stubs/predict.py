"""Lesson 1: the notebook's `predict`, as a function of its arguments.

Below stands the code of the notebook. It leans on names that other cells made: `model`, `img`,
`resize`, `crop`, `to_tensor`, `normalise`, CLASSES. Such a name is a global. A different cell
that is run, or a second user who calls `predict` at the same time, changes the answer.

Write one function that needs nothing but its arguments.

An example, a smaller case of the same. Before, with a global:

    unit = "°C"

    def show(degrees):
        return f"{degrees} {unit}"

After, with an argument:

    def show(degrees, unit):
        return f"{degrees} {unit}"
"""

import torch
from PIL import Image


def load(file):
    global img
    img = Image.open(file).convert("RGB")


def classify():
    x = normalise(to_tensor(crop(resize(img))))
    with torch.no_grad():
        p = model(x[None]).softmax(1)[0]
    return CLASSES[p.argmax()]


def predict(file, model, transform, labels):
    """Name what a photo shows.

    Arguments:
        file: an image file, or its path.
        model: takes a batch of tensors, gives a row of numbers (logits) for each.
        transform: makes a tensor of an image (resize, crop, to_tensor and normalise in one).
        labels: a name for each class.

    Returns the name of the most probable class.
    """
    load(file)
    return classify()
