"""One model in five forms, each in a fresh process: its imports, memory and times."""

import json
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from learner.artifact import bundle
from learner.language import _
from learner.processes import Program
from quizzes.evidence import Evidence
from service.engines import STANDARD_FORMS

PHOTO = "golden/coffee.png"
AT_ONCE = 2
"""Processes at the same time, each with one computing thread, for laptops with two cores."""
SECONDS = 90
"""Longest wait for one process; an idle machine needs less than 5 s."""
LOAD_SCRIPT = """
import sys, warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import torch
    torch.jit.load(sys.argv[1])
print("torch", torch.__version__.partition("+")[0])
print("deprecated" if any("deprecated" in str(w.message) for w in caught) else "silent")
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """Imports, memory and times of a fresh process that answers with one form."""

    file_mb: float
    """Size of the form's file in the bundle, in megabytes (10⁶ bytes)."""
    load_ms: float
    """Loading the model, including the imports for it."""
    first_ms: float
    """The first forward pass."""
    steady_ms: float
    """Median of later forward passes; one thread, one image."""
    answered_s: float
    """From the command to the first answer, including the start of Python."""
    peak_mib: float
    """Most memory that the process held at once, in MiB."""
    imported: tuple[str, ...]
    """Those of torch, torchvision, service.model_definition and onnxruntime that it imported."""
    class_id: int
    """The most probable class of the photo."""
    probability: float
    """Its probability, 0–1."""


def in_fresh_process(name: str) -> Taken:
    """Load the form `name` in a fresh process, and let it classify a photo.

    Raises:
        LearnerError: the bundle is not built, or the process failed; the message contains its last
            line of output.
    """
    whole = bundle()
    path = whole.path / whole.manifest.forms[name].file
    command = [sys.executable, "-m", "quizzes.evidence.first_answer", name, str(path)]
    with Program([*command, str(whole.path / PHOTO)]) as process:
        answered = process.wait_for("answered", SECONDS)
        told = json.loads(process.wait_for("load_ms", SECONDS).text)
    told["imported"] = tuple(told["imported"])
    return Taken(file_mb=path.stat().st_size / 1e6, answered_s=answered.at, **told)


def measure(names: Iterable[str] = STANDARD_FORMS) -> dict[str, Taken]:
    """Return the measurements by name of form."""
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
    """Compare the memory of the five forms."""
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
        varies=_("the form of the model, and with it the runtime; weights and photo are the same."),
    )


def why_convert() -> Evidence:
    """Compare eager PyTorch, TorchScript and ONNX: imports, and the time to the first answer."""
    eager, script, onnx = map(in_fresh_process, ("eager", "torchscript", "onnx-fp32"))
    assert eager.class_id == script.class_id == onnx.class_id, "one model, one answer"
    assert "torch" in eager.imported
    assert "torch" in script.imported
    assert "service.model_definition" in eager.imported, "eager needs the Python class"
    assert "service.model_definition" not in script.imported, "TorchScript does not"
    assert onnx.imported == ("onnxruntime",), "ONNX needs neither torch nor the class"
    assert onnx.answered_s < eager.answered_s, "the ONNX form is the first to answer"
    version, deprecated = torchscript_today()
    shows = _(
        "From the start of a fresh process to its first answer: {eager:.1f} s eager, {onnx:.1f} s "
        "as ONNX, which imports no torch, {script:.1f} s as TorchScript, which does. Then an image "
        "takes {eager_ms:.0f} ms eager, {onnx_ms:.0f} ms as ONNX, {script_ms:.0f} ms as "
        "TorchScript. So here ONNX keeps both promises of the answer, TorchScript hardly either."
    ).format(
        eager=eager.answered_s,
        onnx=onnx.answered_s,
        script=script.answered_s,
        eager_ms=eager.steady_ms,
        onnx_ms=onnx.steady_ms,
        script_ms=script.steady_ms,
    )
    if deprecated:
        shows += " " + _(
            "TorchScript answers too, but torch {version} says while loading it: deprecated."
        ).format(version=version)
    return Evidence(
        shows=shows,
        values={
            _("eager: torch and the Python class"): eager.answered_s,
            _("TorchScript: torch, no class"): script.answered_s,
            _("ONNX: neither"): onnx.answered_s,
        },
        unit="s",
        varies=_("the form of the model, and with it the runtime; weights and photo are the same."),
    )


def torchscript_today() -> tuple[str, bool]:
    """Return the installed version of torch, and whether it calls TorchScript deprecated."""
    whole = bundle()
    file = whole.path / whole.manifest.forms["torchscript"].file
    with Program([sys.executable, "-c", LOAD_SCRIPT, str(file)]) as process:
        version = process.wait_for("torch ").text.removeprefix("torch ")
        process.wait(60)
        process.kill()
        return version, any(line.text == "deprecated" for line in process.lines)
