"""The engineer's own answers to photos: read them, and hold a model against them.

A build that compares a model only with itself cannot see that a builder argument, the mean, or the
filter is another than in training. What the engineer's own code answers shows it.
"""

import csv
import importlib
import importlib.util
import inspect
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from service.errors import OperatorError

ENDINGS = (".jpg", ".jpeg", ".png", ".webp")
FEWEST_ANSWERS = 4
MOST_CALLS = 64
"""Most photos for which a function is called."""
LARGEST_DIFFERENCE = 5e-3
"""Largest difference of a probability from the engineer's. Pixels that another version of a filter
rounds otherwise change the third digit at most."""
LARGEST_SKEW = 0.02
"""Largest skew: root of the mean square of the differences of logits, in standard deviations of the
logits. A model that is sure of everything shows another filter here only. With torchvision's
transforms, the network of tests/service/artifact/test_advice.py has 0.000 for the same filter, and
is refused for each planted mistake."""
CLOSE = 0.02
"""Largest difference of a probability by which faster decoding may change an answer."""
_SMALLEST, _DIGITS = 1e-7, 5
"""Below this probability nothing is compared; answers with fewer digits have no logits."""

Floats = npt.NDArray[np.float32] | npt.NDArray[np.float64]


ALIKE = 1e-3
"""Answers whose probabilities differ by less from photo to photo say nothing of the photos."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What the engineer's code answers."""

    source: str
    photos: Mapping[Path, Mapping[int, float] | int]
    """For each photo the probabilities by class id, all or some; or only the first class."""

    @property
    def have_probabilities(self) -> bool:
        """Return whether there is more than first classes."""
        return any(not isinstance(given, int) for given in self.photos.values())

    @property
    def are_all_alike(self) -> bool:
        """Return whether every photo got nearly the same, so that a comparison shows little."""
        first, *others = self.photos.values()
        if isinstance(first, int):
            return all(one == first for one in others)
        return all(
            not isinstance(one, int)
            and one.keys() == first.keys()
            and max(abs(one[key] - first[key]) for key in first) < ALIKE
            for one in others
        )

    def take(self, count: int) -> "Answers":
        """Return at most `count` of the answers, evenly spaced."""
        photos = list(self.photos.items())
        return replace(self, photos=dict(photos[:: max(1, len(photos) // count)][:count]))


@dataclass(frozen=True, slots=True)
class Difference:
    """How a model's answers differ from the engineer's."""

    photos: int
    other_first: tuple[Path, ...]
    """Photos with another first class, close calls left out."""
    largest: float
    """Largest difference of a probability."""
    skew: float
    """As `LARGEST_SKEW` defines it; 0 where the answers have too few digits."""
    worst: Path

    @property
    def is_none(self) -> bool:
        """Return whether model and preprocessing are the engineer's."""
        return (
            not self.other_first
            and self.largest <= LARGEST_DIFFERENCE
            and self.skew <= LARGEST_SKEW
        )

    @property
    def is_close(self) -> bool:
        """Return whether the answers are those of the same model to slightly other pixels."""
        return not self.other_first and self.largest <= CLOSE

    @property
    def size(self) -> float:
        """Return one number to compare differences by."""
        return len(self.other_first) + self.largest + self.skew

    def __str__(self) -> str:
        """Return the findings for a line of the build."""
        same = self.photos - len(self.other_first)
        return (
            f"the same first class on {same} of {self.photos} photos, largest difference of a "
            f"probability {self.largest:.1e} ({self.worst.name}), skew of the logits "
            f"{self.skew:.3f}"
        )


def list_photos(folder: Path) -> list[Path]:
    """Return the photos of a folder, in the order of their names; folders are not searched."""
    return sorted(path for path in folder.glob("*") if path.suffix.lower() in ENDINGS)


def read_answers(source: str, folder: Path, labels: Sequence[str]) -> Answers:
    """Read a JSON or CSV file, or call "module:function" for each photo of `folder`.

    Args:
        source: JSON: an object with, for each photo's name, a list of probabilities, an object of
            them by label, or a label. CSV: a photo's name and a label, or all probabilities, a
            line. A function takes a path or a PIL image, and returns one of these.
        folder: of the photos.
        labels: by class id.

    Raises:
        OperatorError: it cannot be read or called, or does not fit photos and labels.
    """
    name, colon, function = source.rpartition(":")
    if colon and not Path(source).exists():
        given = _call(source, _find_function(source, name, function), folder)
    else:
        given = _read_file(Path(source), labels)
    read: dict[Path, Mapping[int, float] | int] = {}
    for photo, answer in given.items():
        if not (folder / photo).is_file():
            raise OperatorError(
                f"--answers {source}: {photo} is no file of {folder}; it has "
                f"{', '.join(path.name for path in list_photos(folder)[:3])} …"
            )
        read[folder / photo] = _read_answer(f"--answers {source}: {photo}", answer, labels)
    if len(read) < FEWEST_ANSWERS:
        raise OperatorError(
            f"--answers {source}: expected answers to at least {FEWEST_ANSWERS} photos, "
            f"found {len(read)}"
        )
    return Answers(source, read)


def compare(answers: Answers, found: Floats, exclusive: bool = True) -> Difference:
    """Compare a model's probabilities, float32 photos × classes, with the engineer's answers.

    Args:
        answers: in the order of `found`.
        found: the model's probabilities.
        exclusive: whether the classes exclude each other (softmax).
    """
    other, largest, skew = [], 0.0, 0.0
    worst, most = next(iter(answers.photos)), -1.0
    for (photo, given), row in zip(answers.photos.items(), found, strict=True):
        if isinstance(given, int):
            distance = float(row.max() - row[given])
            if distance > 0.1:  # else a close call
                other.append(photo)
            here = distance if row.argmax() != given else 0.0
            one_skew = 0.0
        else:
            ids = np.array(list(given), int)
            expected = np.array(list(given.values()), np.float64)
            here = float(np.abs(row[ids] - expected).max())
            if _is_another(expected, row[ids].astype(np.float64), exclusive):
                other.append(photo)
            one_skew = _measure_skew(expected, row[ids].astype(np.float64), exclusive)
            largest = max(largest, here) if here == here else math.inf
        skew = max(skew, one_skew)
        if here + one_skew > most:
            worst, most = photo, here + one_skew
    return Difference(len(answers.photos), tuple(other), largest, skew, worst)


def _is_another(expected: Floats, found: Floats, exclusive: bool) -> bool:
    """Return whether the decision differs, close calls left out."""
    if exclusive:
        return bool(expected.max() - expected[found.argmax()] > 0.05)
    clear = np.abs(expected - 0.5) > 0.05
    return bool(((expected > 0.5) != (found > 0.5))[clear].any())


def _measure_skew(expected: Floats, found: Floats, exclusive: bool) -> float:
    """Return the root mean square of the differences of logits, in deviations of the logits."""
    if all(round(float(value), _DIGITS - 1) == float(value) for value in expected):
        return 0.0  # rounded to so few digits that the logits of small values are lost
    known = (expected > _SMALLEST) & (found > _SMALLEST)
    if not exclusive:
        known &= (expected < 1 - _SMALLEST) & (found < 1 - _SMALLEST)
    if known.sum() < 2 - (not exclusive):
        return 0.0
    logits, others = np.log(expected[known]), np.log(found[known])
    if exclusive:
        logits, others = logits - logits.mean(), others - others.mean()
    else:
        logits, others = logits - np.log1p(-expected[known]), others - np.log1p(-found[known])
    spread = max(float(logits.std()), 1.0)
    return float(np.sqrt(((logits - others) ** 2).mean()) / spread)


def _find_function(source: str, name: str, function: str) -> Callable[[Any], Any]:
    try:
        if name.endswith(".py"):
            spec = importlib.util.spec_from_file_location(Path(name).stem, name)
            if spec is None or spec.loader is None:
                raise ImportError(f"{name} is no Python file")
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        else:
            module = importlib.import_module(name)
        found: Callable[[Any], Any] = getattr(module, function)
    except Exception as error:
        raise OperatorError(
            f"--answers {source}: expected a file, or module:function that can be imported from "
            f"here: {type(error).__name__}: {error}"
        ) from error
    return found


def _call(source: str, function: Callable[[Any], Any], folder: Path) -> dict[str, Any]:
    takes_path = _takes_path(function)
    photos = list_photos(folder)
    given: dict[str, Any] = {}
    for photo in photos[:: max(1, len(photos) // MOST_CALLS)][:MOST_CALLS]:
        try:
            if takes_path:
                answer = function(photo)
            else:
                with Image.open(photo) as file:
                    answer = function(ImageOps.exif_transpose(file).convert("RGB"))
        except Exception as error:
            raise OperatorError(
                f"--answers {source} raised {type(error).__name__} for {photo.name}: {error}. It "
                "must take a PIL image, or a path if its parameter is named path or annotated so"
            ) from error
        given[photo.name] = answer
    return given


def _takes_path(function: Callable[[Any], Any]) -> bool:
    try:
        parameter = next(iter(inspect.signature(function).parameters.values()))
    except (StopIteration, ValueError, TypeError):
        return False
    words = f"{parameter.name} {getattr(parameter.annotation, '__name__', parameter.annotation)}"
    return any(word in words.lower() for word in ("path", "file", "str"))


def _read_file(path: Path, labels: Sequence[str]) -> dict[str, Any]:
    try:
        text = path.read_text("utf-8-sig")
        if path.suffix.lower() == ".json":
            given = json.loads(text)
            if not isinstance(given, dict):
                raise ValueError(f"found a {type(given).__name__}")
            return given
        rows = [row for row in csv.reader(text.splitlines(), _sniff(text)) if any(row)]
    except (OSError, ValueError) as error:
        raise OperatorError(
            f"--answers {path}: expected JSON (an object of photos), CSV (a photo a line), or "
            f"module:function: {error}"
        ) from None
    if rows and Path(rows[0][0]).suffix.lower() not in ENDINGS:
        columns = [name.strip() for name in rows.pop(0)[1:]]
    else:
        columns = list(labels)
    answers: dict[str, Any] = {}
    for name, *values in rows:
        if len(values) == 1 and not _is_number(values[0]):
            answers[name] = values[0].strip()
        elif not all(_is_number(value) for value in values):
            raise OperatorError(f"--answers {path}: {name}: expected numbers, found {values}")
        elif set(columns) <= set(labels) and len(columns) == len(values):
            answers[name] = dict(zip(columns, map(float, values), strict=True))
        else:
            answers[name] = [float(value) for value in values]
    return answers


def _sniff(text: str) -> type[csv.Dialect]:
    first = text.partition("\n")[0]

    class Dialect(csv.excel):
        delimiter = max(",;\t", key=first.count)

    return Dialect


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_answer(where: str, answer: Any, labels: Sequence[str]) -> Mapping[int, float] | int:
    """Return the answer to one photo by class id.

    Raises:
        OperatorError: a wrong label, number of values, or value.
    """
    if hasattr(answer, "tolist"):  # NumPy or torch
        answer = answer.tolist()
        while isinstance(answer, list) and len(answer) == 1 and isinstance(answer[0], list):
            (answer,) = answer
    if isinstance(answer, str):
        return _find_class(where, answer, labels)
    if isinstance(answer, int) and not isinstance(answer, bool):
        if not 0 <= answer < len(labels):
            raise OperatorError(
                f"{where}: expected a class id below {len(labels)}, the number of labels, "
                f"found {answer}"
            )
        return answer
    if isinstance(answer, float) and len(labels) == 1:
        answer = [answer]
    if isinstance(answer, Mapping):
        values = {
            _find_class(where, label, labels): float(value) for label, value in answer.items()
        }
    elif isinstance(answer, list | tuple) and len(answer) == len(labels):
        values = {number: float(value) for number, value in enumerate(answer)}
    else:
        found = f"{len(answer)} values" if isinstance(answer, list | tuple) else repr(answer)
        raise OperatorError(
            f"{where}: expected {len(labels)} probabilities, one a label, or a label; found {found}"
        )
    if not values or not all(0 <= value <= 1.0001 for value in values.values()):
        raise OperatorError(
            f"{where}: expected probabilities from 0 to 1, found "
            f"{min(values.values(), default=math.nan):.3g} to "
            f"{max(values.values(), default=math.nan):.3g}. Apply softmax or sigmoid first"
        )
    return values


def _find_class(where: str, label: object, labels: Sequence[str]) -> int:
    name = " ".join(str(label).split())
    if name not in labels:
        raise OperatorError(
            f"{where}: expected one of the {len(labels)} labels ({', '.join(labels[:3])} …), "
            f"found {name!r}"
        )
    return list(labels).index(name)
