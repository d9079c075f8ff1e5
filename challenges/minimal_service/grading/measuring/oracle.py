"""What is right: the research model itself, eager and in fp32, asked after the load was sent."""

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
from service.machine import available_cores, let_waiting_threads_sleep
from service.preprocessing import preprocess

if TYPE_CHECKING:
    from torch import nn

FIRST = 5
"""Predictions in an answer."""
SURE = 0.3
"""Where eager fp32 gives its first class more than this, the answer's must be the same …"""
LEAST_AGREEMENT = 0.985
"""… for this share of the photos."""
HOPELESS = 0.9
"""Below this share the answers are not the model's at all."""
MOST_MEDIAN, MOST_P95 = 0.035, 0.10
"""Bounds of a photo's `difference`, for the median and the 95th percentile of the photos.

Measured with 400 photos of a load (`python -m tests.performance.tolerance`):

| answers of | median | p95 |
|---|---|---|
| the default bundle's int8 form | 0.012 | 0.030 |
| the reference's sparse int8 form | 0.013 | 0.035 |
| bilinear instead of bicubic, both antialiased | 0.014 | 0.054 |
| nearest pixel instead of bicubic | 0.033 | 0.115 |
| resized to 224 instead of 256, then cropped | 0.047 | 0.151 |
| squeezed into a square | 0.082 | 0.269 |
| red and blue swapped | 0.082 | 0.269 |
| ImageNet's mean and deviation | 0.108 | 0.244 |
| the first 1,000 classes of 200,000 alone | 0.090 | 0.182 |
"""
_CHANCE = 0.001
"""A share under its bound counts as a miss only where chance brings it less often than this."""
_BATCH = 16
_MEAN, _STD = (127.0,) * 3, (128.0,) * 3
"""Of a pixel: what the features were trained with (`service/artifact/recipe.py` has the source)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service answered, checked for its form."""

    ids: tuple[int, ...]
    probabilities: tuple[float, ...]


class WrongForm(ValueError):  # noqa: N818
    """An answer with status 200 that is no answer; the message is a sentence for the learner."""


def parse(body: bytes, labels: Sequence[str]) -> Answer:
    """The answer in a body of JSON.

    Raises:
        WrongForm: it has not the form of the contract, or its labels are not those of the model.
    """
    try:
        found: Any = json.loads(body)
        first = found["predictions"][:FIRST]
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
    """Answers beside the truth, a photo an entry."""

    difference: list[float] = field(default_factory=list)
    """The largest, over the first five, between the probability that was answered and that which
    the model gives to this class, or to its own class at this place."""
    sure: list[bool] = field(default_factory=list)
    agrees: list[bool] = field(default_factory=list)
    """The first class is the model's."""

    def add(self, other: "Comparison") -> None:
        """Take in the photos of another comparison."""
        self.difference += other.difference
        self.sure += other.sure
        self.agrees += other.agrees

    @property
    def counted(self) -> list[bool]:
        """Whether the first class is the model's, for the photos that it is sure of."""
        return [agrees for agrees, sure in zip(self.agrees, self.sure, strict=True) if sure]

    @property
    def agreement(self) -> float:
        """Share of the sure photos whose first class is the model's; 1 without any."""
        counted = self.counted
        return sum(counted) / len(counted) if counted else 1.0

    @property
    def agrees_enough(self) -> bool:
        """Whether the agreement is not below `LEAST_AGREEMENT` by more than chance explains."""
        counted = self.counted
        misses = counted.count(False)
        return _chance_of(misses, len(counted), 1 - LEAST_AGREEMENT) >= _CHANCE

    def quantile(self, share: float) -> float:
        """Of the differences; 0 without any."""
        return float(np.quantile(self.difference, share)) if self.difference else 0.0


def _chance_of(misses: int, of: int, each: float) -> float:
    """The chance of at least so many misses, where each photo misses with the chance `each`."""
    fewer = sum(math.comb(of, k) * each**k * (1 - each) ** (of - k) for k in range(misses))
    return max(0.0, 1 - fewer)


class Truth:
    """The research model. Asked in batches, it holds little more than its weights, mapped.

    Args:
        model: folder with weights.safetensors and labels.txt.
    """

    def __init__(self, model: Path) -> None:
        self.labels = (model / "labels.txt").read_text("utf-8").splitlines()
        self._weights = model / "weights.safetensors"
        self._model: nn.Module | None = None
        self._loading: threading.Thread | None = None

    def load_meanwhile(self) -> None:
        """Load it in a thread of its own: to import torch takes seconds."""

        def load() -> None:
            with suppress(Exception):  # who asks tries it again, and hears why it fails
                self._load_once()

        self._loading = threading.Thread(target=load, daemon=True)
        self._loading.start()

    def compare(self, photos: Sequence[bytes], answers: Sequence[Answer]) -> Comparison:
        """Hold answers against the model's own on the same photos."""
        found = Comparison()
        cores = available_cores()
        together = cores * _BATCH
        with ThreadPoolExecutor(cores) as pool:
            for start in range(0, len(photos), together):
                chosen = slice(start, start + together)
                pixels = np.stack(list(pool.map(preprocess, photos[chosen])))
                found.add(compare(self.probabilities(pixels), answers[chosen]))
        return found

    def probabilities(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """What the model says of pixels, uint8 N × 224 × 224 × 3: float32 N × classes."""
        if self._loading is not None:
            self._loading.join()
        model = self._load_once()
        import torch

        def forward(some: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
            with torch.inference_mode():
                found: npt.NDArray[np.float32] = model(torch.from_numpy(some)).numpy()
            return found

        # A batch a core, each on one thread: threads that share a batch wait for each other, and
        # on a busy machine for very long.
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            parts = np.array_split(pixels, min(available_cores(), len(pixels)))
            with ThreadPoolExecutor(len(parts)) as pool:
                return np.concatenate(list(pool.map(forward, parts)))
        finally:
            torch.set_num_threads(threads)

    def _load_once(self) -> "nn.Module":
        if self._model is None:
            self._model = self._load()
        return self._model

    def _load(self) -> "nn.Module":
        let_waiting_threads_sleep()
        import torch
        from safetensors.torch import load_file

        from service.model_definition import LITE0, ServingModel, create_model, load_weights

        with torch.device("meta"):
            model = create_model(LITE0, len(self.labels))
        load_weights(model, load_file(self._weights))
        return ServingModel(model, _MEAN, _STD)


def compare(truth: npt.NDArray[np.float32], answers: Sequence[Answer]) -> Comparison:
    """Hold answers against the model's probabilities, photos × classes."""
    found = Comparison()
    for row, answer in zip(truth, answers, strict=True):
        _compare(row, answer, found)
    return found


def _compare(truth: npt.NDArray[np.float32], answer: Answer, into: Comparison) -> None:
    best = np.argpartition(-truth, FIRST)[:FIRST]
    best = best[np.argsort(-truth[best])]
    found = np.array(answer.probabilities)
    of_class = np.abs(found - truth[list(answer.ids)])
    of_place = np.abs(found - truth[best])
    into.difference.append(float(np.maximum(of_class, of_place).max()))
    into.sure.append(bool(truth[best[0]] > SURE))
    into.agrees.append(int(best[0]) == answer.ids[0])
