"""What a conversion buys: three processes, one a form, each timed from its start to its answer.

Eager needs torch and the model's Python class; TorchScript needs torch; ONNX needs neither. And
what has become of TorchScript: torch itself is asked, by loading one with all warnings shown.
"""

import json
import sys
from typing import Any

from learner.language import _
from learner.processes import Program
from quizzes.evidence.base import Evidence
from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.engines import FORMS
from service.settings import DEFAULT_ARTIFACT

LOAD_SCRIPT = """
import sys, warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import torch
    torch.jit.load(sys.argv[1])
print("torch", torch.__version__.partition("+")[0])
print("deprecated" if any("deprecated" in str(w.message) for w in caught) else "silent")
"""


def run() -> Evidence:
    """One process after another, each on one thread."""
    found = {name: first_answer(name) for name in ("eager", "torchscript", "onnx-fp32")}
    eager, script, onnx = found.values()
    assert eager["class_id"] == script["class_id"] == onnx["class_id"], "one model, one answer"
    assert "torch" in eager["imported"]
    assert "torch" in script["imported"]
    assert "service.model_definition" in eager["imported"], "eager needs the Python class"
    assert "service.model_definition" not in script["imported"], "TorchScript does not"
    assert onnx["imported"] == ["onnxruntime"], "ONNX needs neither torch nor the class"
    assert onnx["seconds"] < eager["seconds"], "the ONNX form is the first to answer"
    version, deprecated = torchscript_today()
    shows = _(
        "From the start of a fresh process to its first answer: {eager:.1f} s eager, {onnx:.1f} s "
        "as ONNX, which imports no torch. Then an image takes {eager_ms:.0f} ms eager, "
        "{onnx_ms:.0f} ms as ONNX."
    ).format(
        eager=eager["seconds"],
        onnx=onnx["seconds"],
        eager_ms=eager["steady_ms"],
        onnx_ms=onnx["steady_ms"],
    )
    if deprecated:
        shows += " " + _(
            "TorchScript answers too, but torch {version} says while loading it: deprecated."
        ).format(version=version)
    return Evidence(
        shows=shows,
        values={
            _("eager: torch and the Python class"): eager["seconds"],
            _("TorchScript: torch, no class"): script["seconds"],
            _("ONNX: neither"): onnx["seconds"],
        },
        unit="s",
    )


def first_answer(name: str) -> dict[str, Any]:
    """What `quizzes.evidence.first_answer` tells of one form, and `seconds` to its answer."""
    form = FORMS[name]
    photo = SAMPLE_PHOTOS[0].path
    module = "quizzes.evidence.first_answer"
    command = [sys.executable, "-m", module, name, str(DEFAULT_ARTIFACT / form.file), str(photo)]
    with Program(command) as process:
        seconds = process.wait_for("answered").at
        line = process.wait_for("{")
    return {**json.loads(line.text), "seconds": seconds}


def torchscript_today() -> tuple[str, bool]:
    """The version of torch here, and whether it calls TorchScript deprecated."""
    file = DEFAULT_ARTIFACT / FORMS["torchscript"].file
    with Program([sys.executable, "-c", LOAD_SCRIPT, str(file)]) as process:
        version = process.wait_for("torch ").text.removeprefix("torch ")
        process.wait(60)
        process.kill()
        return version, any(line.text == "deprecated" for line in process.lines)
