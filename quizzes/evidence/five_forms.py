"""One model in five forms, each in a fresh process: what must be imported, what does it take?"""

import json
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from learner.artifact import bundle
from learner.language import _
from learner.processes import Program
from quizzes.evidence.base import Evidence
from service.engines import STANDARD_FORMS

PHOTO = "golden/coffee.png"
AT_ONCE = 2
"""Processes side by side, each of one computing thread: the workshop's laptops have two cores."""
SECONDS = 90
"""Longest wait for one process; a quiet machine needs under 5."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a fresh process took to answer with one form."""

    file_mb: float
    """Size of the form's file in the bundle, in megabytes (10⁶ bytes)."""
    load_ms: float
    """From the request for the engine to the loaded model, with the imports that this needs."""
    first_ms: float
    """The first forward pass."""
    steady_ms: float
    """Median of the forward passes after it; one thread, one image."""
    answered_s: float
    """From the command to the first answer, the start of Python included."""
    peak_mib: float
    """Most memory that the process held at once, in MiB."""
    imported: tuple[str, ...]
    """Which of torch, torchvision, service.model_definition and onnxruntime it had imported."""
    class_id: int
    """The most probable class of the photo."""
    probability: float
    """Its probability, 0–1."""


def in_fresh_process(name: str) -> Taken:
    """Start a process, load the form `name` in it, have it classify a photo.

    Raises:
        LearnerError: the bundle is not built, or the process failed; the message has its last line.
    """
    whole = bundle()
    path = whole.path / whole.manifest.forms[name].file
    command = [sys.executable, "-m", "quizzes.evidence.first_answer", name, str(path)]
    with Program([*command, str(whole.path / PHOTO)]) as process:
        answered = process.wait_for("answered", SECONDS)
        found = json.loads(process.wait_for("load_ms", SECONDS).text)
    found["imported"] = tuple(found["imported"])
    return Taken(file_mb=path.stat().st_size / 1e6, answered_s=answered.at, **found)


def measure(names: Iterable[str] = STANDARD_FORMS) -> dict[str, Taken]:
    """What each form takes, by its name."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        names = list(names)
        return dict(zip(names, pool.map(in_fresh_process, names), strict=True))


def check(taken: dict[str, Taken]) -> None:
    """Raise AssertionError unless ONNX needs no torch, no class, and far less memory and time."""
    eager, onnx = taken["eager"], taken["onnx-fp32"]
    assert onnx.imported == ("onnxruntime",), "ONNX Runtime needs neither torch nor the class"
    assert "service.model_definition" in eager.imported, "eager needs the model's class"
    for name in ("torchscript", "exported-program"):
        assert taken[name].imported == ("torch",), "a torch graph needs torch, but not the class"
    assert eager.peak_mib > 2 * onnx.peak_mib, "torch takes more than twice the memory"
    assert eager.answered_s > 1.5 * onnx.answered_s, "with torch the first answer comes later"
    for one in taken.values():
        assert one.class_id == eager.class_id, "every form gives the same first class"


def run() -> Evidence:
    """Start the five processes and show the memory that each took."""
    taken = measure()
    check(taken)
    eager, onnx = taken["eager"], taken["onnx-fp32"]
    return Evidence(
        shows=_(
            "The ONNX process imported neither torch nor the model's class. It held {onnx:.0f} MiB "
            "and answered after {onnx_s:.1f} s; eager PyTorch held {eager:.0f} MiB and answered "
            "after {eager_s:.1f} s. Both needed the preprocessing code for the photo."
        ).format(
            onnx=onnx.peak_mib,
            onnx_s=onnx.answered_s,
            eager=eager.peak_mib,
            eager_s=eager.answered_s,
        ),
        values={name: one.peak_mib for name, one in taken.items()},
        unit="MiB",
    )
