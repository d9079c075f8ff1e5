"""Lesson 1: the notebook's `predict`, as a function of its arguments."""

import torch
from PIL import Image


def predict(file, model, transform, labels):
    """Name what a photo shows."""
    image = Image.open(file).convert("RGB")
    x = transform(image)
    with torch.no_grad():
        p = model(x[None]).softmax(1)[0]
    return labels[p.argmax()]
