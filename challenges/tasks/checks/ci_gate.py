"""Task ci-gate: a gate lets the same answers pass, and refuses others, by its exit status."""

import copy
import json
import math
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from challenges.tasks.checking import Wrong, own_module
from learner.language import _

LOOK = "gate.py, find_difference"
PHOTOS, SURE_PHOTOS = 100, 80
SECONDS = 20
Answers = dict[str, list[dict[str, Any]]]


def released_answers() -> Answers:
    """Return answers to photos: the first `SURE_PHOTOS` are sure, the others are not."""
    chance = random.Random(1)
    answers = {}
    for number in range(PHOTOS):
        best = chance.uniform(0.4, 0.9) if number < SURE_PHOTOS else chance.uniform(0.05, 0.25)
        answers[f"photo-{number:03}.jpg"] = [
            {"class_id": number, "label": f"class {number}", "probability": best},
            {"class_id": number + 1, "label": f"class {number + 1}", "probability": best / 2},
        ]
    return answers


def changed(numbers: range, change: Callable[[list[dict[str, Any]]], object]) -> Answers:
    """Return the released answers with some photos changed."""
    answers = copy.deepcopy(released_answers())
    for number in numbers:
        change(answers[f"photo-{number:03}.jpg"])
    return answers


def _other_class(predictions: list[dict[str, Any]]) -> None:
    predictions[0], predictions[1] = predictions[1], predictions[0]
    first, second = predictions[0]["probability"], predictions[1]["probability"]
    predictions[0]["probability"], predictions[1]["probability"] = second, first


def _a_little_less(predictions: list[dict[str, Any]]) -> None:
    predictions[0]["probability"] *= 0.99


def _no_number(predictions: list[dict[str, Any]]) -> None:
    predictions[1]["probability"] = math.nan


def _unsure(predictions: list[dict[str, Any]]) -> None:
    predictions[0]["probability"] = 0.2
    predictions[1]["probability"] = 0.1


def check(folder: Path) -> None:
    """Run the script on files of answers.

    Raises:
        Wrong: it lets something pass, or refuses what is right.
    """
    own_module(folder, "gate")
    same = released_answers()
    others = changed(range(10), _other_class)
    for candidate, words in (
        (same, _("The same answers pass.")),
        (
            changed(range(PHOTOS), _a_little_less),
            _("Probabilities that are 1 % lower, with the same first classes, pass."),
        ),
        (
            changed(range(4), _other_class),
            _(
                "4 different first classes for 80 photos that the model is sure of pass: 95 % are "
                "the same."
            ),
        ),
        (
            changed(range(SURE_PHOTOS, PHOTOS), _other_class),
            _("Other first classes of photos that the released model is not sure of pass."),
        ),
    ):
        status, said = _run(folder, same, candidate)
        if status != 0:
            raise Wrong(expected=words, found=_refused(status, said), look=LOOK)
    nothing = changed(range(PHOTOS), _unsure)
    for released, candidate, word, words in (
        (
            same,
            changed(range(5), _other_class),
            "94",
            _("5 different first classes for 80 such photos are refused."),
        ),
        (same, others, "88", _("10 different first classes for 80 such photos are refused.")),
        (
            same,
            changed(range(95, 96), _no_number),
            "photo-095.jpg",
            _("A probability that is NaN is refused, and its photo is named."),
        ),
        (nothing, nothing, "", _("Photos that are all unsure are refused: nothing was compared.")),
    ):
        status, said = _run(folder, released, candidate)
        if status != 1 or not said.startswith("refused: "):
            raise Wrong(expected=words, found=_refused(status, said), look=LOOK)
        if word not in said and not _names_share(said, word):
            raise Wrong(
                expected=_("{words} The line says {word}.").format(words=words, word=word),
                found=said,
                look=LOOK,
            )


def _names_share(said: str, percent: str) -> bool:
    """Tell whether a number in the line, such as 93.8 or 0.9375, is this share, rounded."""
    numbers = [float(one) for one in re.findall(r"\d+(?:\.\d+)?", said)]
    shares = [100 * one if one <= 1 else one for one in numbers]
    return percent.isdigit() and any(abs(one - int(percent)) <= 0.5 for one in shares)


def _refused(status: int, said: str) -> str:
    return _("The script ended with exit status {status}, and said: {said}").format(
        status=status, said=said or _("nothing")
    )


def _run(folder: Path, released: Answers, candidate: Answers) -> tuple[int, str]:
    """Run the script in a process of its own; return its exit status and its last line."""
    for name, answers in (("released.json", released), ("candidate.json", candidate)):
        (folder / name).write_text(json.dumps(answers))
    command = [sys.executable, "gate.py", "released.json", "candidate.json"]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        return -1, _("it was still running after {seconds} s").format(seconds=SECONDS)
    lines = (done.stderr or done.stdout).strip().splitlines()
    return done.returncode, lines[-1][:300] if lines else ""
