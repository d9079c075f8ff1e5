"""Knows the right answers: the research model itself, eager and in fp32."""

import json
import math
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from learner.language import _
from service.machine import available_cores
from service.preprocessing import preprocess
from service.runner.tuning import let_waiting_threads_sleep

if TYPE_CHECKING:
    from torch import nn

FIRST = 5
"""Predictions in an answer."""
SURE = 0.3
"""If eager fp32 gives its first class more than this, the answer must name the same class."""
LEAST_AGREEMENT = 0.985
"""Share of such photos with the same first class."""
HOPELESS = 0.9
"""With a smaller share the answers are not the model's at all."""
MOST_MEDIAN, MOST_P95 = 0.035, 0.10
"""Bounds for a photo's `difference`: the median and the 95th percentile over the photos.

Measured with 400 photos of a load (`python -m tests.performance.tolerance`):

| answers of | median | p95 |
|---|---|---|
| the default bundle's int8 form | 0.012 | 0.030 |
| the reference's screened int8 form | 0.010 | 0.036 |
| bilinear instead of bicubic, both antialiased | 0.014 | 0.054 |
| nearest pixel instead of bicubic | 0.033 | 0.115 |
| resized to 224 instead of 256, then cropped | 0.047 | 0.151 |
| squeezed into a square | 0.082 | 0.269 |
| red and blue swapped | 0.082 | 0.269 |
| ImageNet's mean and deviation | 0.108 | 0.244 |
| the first 1,000 classes of 200,000 alone | 0.090 | 0.182 |
"""
_CHANCE = 0.001
"""A share under its bound counts as a miss only if chance alone is less likely than this."""
_BATCH = 16
_MEAN, _STD = (127.0,) * 3, (128.0,) * 3
"""Mean and deviation of a pixel in training (`service/artifact/recipe.py` has the source)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A service's answer of the right form."""

    ids: tuple[int, ...]
    probabilities: tuple[float, ...]


class WrongForm(ValueError):  # noqa: N818
    """A 200 whose body is not an answer; the message is a sentence for the learner."""


def parse(body: bytes, labels: Sequence[str]) -> Answer:
    """Return the answer in a body of JSON.

    Raises:
        WrongForm: it does not have the form of the contract, or the labels are not the model's.
    """
    try:
        content: Any = json.loads(body)
        first = content["predictions"][:FIRST]
        ids = tuple(one["class_id"] for one in first)
        named = [one["label"] for one in first]
        probabilities = tuple(one["probability"] for one in first)
    except (ValueError, LookupError, TypeError, RecursionError):
        start = body[:80].decode("utf-8", "replace")
        sentence = _(
            'An answer is not {{"predictions": [{{"class_id", "label", "probability"}} …]}} in '
            "JSON. It begins with: {start}"
        )
        raise WrongForm(sentence.format(start=start)) from None
    numbers = all(type(one) in (int, float) and 0 <= one <= 1 for one in probabilities)
    if len(ids) < FIRST or not numbers or any(type(one) is not int for one in ids):
        sentence = _(
            "An answer needs {n} predictions with whole numbers for class_id, and probabilities "
            "from 0 to 1; it was: {found}"
        )
        raise WrongForm(sentence.format(n=FIRST, found=str(first)[:200]))
    if len(set(ids)) < FIRST or not all(0 <= one < len(labels) for one in ids):
        sentence = _("The class ids must be different ones, from 0 to {last}; they were {found}.")
        raise WrongForm(sentence.format(last=len(labels) - 1, found=list(ids)))
    if [labels[one] for one in ids] != named:
        right = [labels[one] for one in ids]
        sentence = _("The labels of the classes {ids} are {right}, not {found}.")
        raise WrongForm(sentence.format(ids=list(ids), right=right, found=str(named)[:200]))
    falling = all(one >= next_ for one, next_ in pairwise(probabilities))
    if not falling or sum(probabilities) > 1.001:
        sentence = _(
            "The probabilities must fall from the first to the last, and sum to at most 1; "
            "they were {found}."
        )
        raise WrongForm(sentence.format(found=list(probabilities)))
    return Answer(ids, probabilities)


@dataclass(slots=True)
class Comparison:
    """Answers compared with the truth; one entry per photo."""

    difference: list[float] = field(default_factory=list)
    """The largest difference, over the first five, between the answered probability and the one
    that the model gives to the same class, or to its own class at the same rank."""
    sure: list[bool] = field(default_factory=list)
    agrees: list[bool] = field(default_factory=list)
    """The first class is the model's."""

    def add(self, other: "Comparison") -> None:
        """Append the photos of another comparison."""
        self.difference += other.difference
        self.sure += other.sure
        self.agrees += other.agrees

    @property
    def counted(self) -> list[bool]:
        """For the photos that the model is sure of: whether the first class is the model's."""
        return [agrees for agrees, sure in zip(self.agrees, self.sure, strict=True) if sure]

    @property
    def agreement(self) -> float:
        """Share of the sure photos whose first class is the model's; 1 without any."""
        counted = self.counted
        return sum(counted) / len(counted) if counted else 1.0

    @property
    def agrees_enough(self) -> bool:
        """Whether the agreement reaches `LEAST_AGREEMENT`, or chance explains that it does not."""
        counted = self.counted
        misses = counted.count(False)
        return _chance_of(misses, len(counted), 1 - LEAST_AGREEMENT) >= _CHANCE

    def quantile(self, share: float) -> float:
        """Return a quantile of the differences; 0 without any."""
        return float(np.quantile(self.difference, share)) if self.difference else 0.0


def _chance_of(misses: int, of: int, each: float) -> float:
    """Return the chance of at least `misses` misses if each photo misses with chance `each`."""
    fewer = sum(math.comb(of, k) * each**k * (1 - each) ** (of - k) for k in range(misses))
    return max(0.0, 1 - fewer)


class Truth:
    """The research model. It needs little more memory than its mapped weights.

    Args:
        model: folder with weights.safetensors and labels.txt.
    """

    def __init__(self, model: Path) -> None:
        self.labels = (model / "labels.txt").read_text("utf-8").splitlines()
        self._weights = model / "weights.safetensors"
        self._model: nn.Module | None = None
        self._loading: threading.Thread | None = None

    def load_meanwhile(self) -> None:
        """Load it in another thread, as importing torch takes seconds."""

        def load() -> None:
            with suppress(Exception):  # the first question tries again, and raises the error
                self._load_once()

        self._loading = threading.Thread(target=load, daemon=True)
        self._loading.start()

    def compare(self, photos: Sequence[bytes], answers: Sequence[Answer]) -> Comparison:
        """Compare answers with the model's own on the same photos."""
        compared = Comparison()
        cores = available_cores()
        together = cores * _BATCH
        with ThreadPoolExecutor(cores) as pool:
            for start in range(0, len(photos), together):
                chosen = slice(start, start + together)
                pixels = np.stack(list(pool.map(preprocess, photos[chosen])))
                compared.add(compare(self.probabilities(pixels), answers[chosen]))
        return compared

    def probabilities(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return float32 N × classes for pixels, uint8 N × 224 × 224 × 3."""
        if self._loading is not None:
            self._loading.join()
        model = self._load_once()
        import torch

        def forward(some: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
            with torch.inference_mode():
                rows: npt.NDArray[np.float32] = model(torch.from_numpy(some)).numpy()
            return rows

        # One batch per core, each on one thread: threads that share a batch wait for each other,
        # and on a busy machine for very long.
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            parts = np.array_split(pixels, min(available_cores(), len(pixels)))
            with ThreadPoolExecutor(len(parts)) as pool:
                return np.concatenate(list(pool.map(forward, parts)))
        finally:
            torch.set_num_threads(threads)

    def _load_once(self) -> "nn.Module":
        if self._model is not None:
            return self._model
        let_waiting_threads_sleep()
        import torch
        from safetensors.torch import load_file

        from service.model_definition import LITE0, ServingModel, create_model, load_weights

        with torch.device("meta"):
            model = create_model(LITE0, len(self.labels))
        load_weights(model, load_file(self._weights))
        self._model = ServingModel(model, _MEAN, _STD)
        return self._model


def compare(truth: npt.NDArray[np.float32], answers: Sequence[Answer]) -> Comparison:
    """Compare answers with the model's probabilities, photos × classes."""
    compared = Comparison()
    for row, answer in zip(truth, answers, strict=True):
        best = np.argpartition(-row, FIRST)[:FIRST]
        best = best[np.argsort(-row[best])]
        answered = np.array(answer.probabilities)
        of_class, of_rank = np.abs(answered - row[list(answer.ids)]), np.abs(answered - row[best])
        compared.difference.append(float(np.maximum(of_class, of_rank).max()))
        compared.sure.append(bool(row[best[0]] > SURE))
        compared.agrees.append(int(best[0]) == answer.ids[0])
    return compared
