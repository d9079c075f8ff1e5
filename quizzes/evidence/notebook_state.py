"""A notebook has state, and needs much memory: compare it with a service.

Both get the same photo and have the same model. In the notebook's namespace the cells run in order,
then the second one again, as happens in every working session. The service gets the photo twice.

For memory, both run the same ONNX file by the same runtime. What differs is what else the process
imports: a service its web framework, a notebook's kernel the packages of the research.
"""

import subprocess
import sys
from io import BytesIO

import httpx2 as httpx
from PIL import Image

from learner.errors import LearnerError
from learner.language import _
from learner.paths import ROOT
from quizzes.evidence import Evidence
from quizzes.evidence.running import REFERENCE, Service
from service.artifact.manifest import MANIFEST, Manifest
from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.engines import FORMS, load_engine
from service.preprocessing import preprocess
from service.settings import DEFAULT_ARTIFACT

CELLS = (
    "photo = open_photo()",
    "width, height = photo.size\n"
    "photo = photo.crop((width // 4, height // 4, width * 3 // 4, height * 3 // 4))  # its middle",
    "answer = classify(photo)",
)
KERNEL = """
import sys
from pathlib import Path
import ipykernel.kernelapp
import matplotlib.pyplot
if sys.argv[1] == "research":
    import torch
    import torchvision
from service.engines import FORMS, load_engine
from service.preprocessing import preprocess

form, file, photo = sys.argv[2:]
engine = load_engine(FORMS[form], Path(file), "cpu", 1)
engine(preprocess(open(photo, "rb").read())[None])
for line in open("/proc/self/status"):
    if line.startswith("VmRSS:"):
        print(int(line.split()[1]) / 1024)
"""
"""A program that loads what a research notebook loads, answers once, and prints its MiB (Linux)."""
SECONDS = 60


def run() -> Evidence:
    """Compare the answers and the memory of a notebook and a service."""
    once, twice = notebook_answers()
    assert once != twice, "running a cell twice changes the answer"
    service = Service(REFERENCE)
    try:
        first, second = (_ask(service.url) for _time in range(2))
        held = _resident_mib(httpx.get(f"{service.url}/metrics").text)
    finally:
        service.kill()
    assert first == second, "the service answers the same request in the same way"
    shown = _(
        "One cell run once more, and the notebook's answer changes from {before} ({p_before:.0%}) "
        "to {after} ({p_after:.0%}). The service, asked twice, gives the same answer twice."
    ).format(before=once[0], p_before=once[1], after=twice[0], p_after=twice[1])
    values: dict[str, float] = {}
    bare, research = _kernel_mib("bare"), _kernel_mib("research")
    if bare is not None and research is not None and held is not None:
        assert research > 1.3 * held, "the kernel holds more memory than the service"
        shown += " " + _(
            "With the same model file, a kernel that has also imported the packages of the "
            "research (torch, torchvision) holds {research:.0f} MiB, without them {bare:.0f} MiB; "
            "the service holds {held:.0f} MiB. So most of the difference is packages that "
            "answering does not need."
        ).format(research=research, bare=bare, held=held)
        values = {
            _("kernel with the packages of the research"): research,
            _("kernel without them"): bare,
            _("service"): held,
        }
    return Evidence(
        shows=shown,
        values=values,
        unit="MiB",
        varies=_(
            "for the answers, one more run of a cell; for the memory, the packages that a process "
            "imports; model file and runtime are the same."
        ),
    )


def notebook_answers() -> tuple[tuple[str, float], tuple[str, float]]:
    """Return label and probability after the cells ran in order, and after cells 2 and 3 again."""
    manifest = Manifest.model_validate_json((DEFAULT_ARTIFACT / MANIFEST).read_bytes())
    form = FORMS["onnx-fp32"]
    engine = load_engine(form, DEFAULT_ARTIFACT / form.file, "cpu", 1)

    def classify(photo: Image.Image) -> tuple[str, float]:
        file = BytesIO()
        photo.save(file, "PNG")
        (probabilities,) = engine(preprocess(file.getvalue(), manifest.preprocessing)[None])
        best = int(probabilities.argmax())
        return manifest.labels[best], float(probabilities[best])

    namespace = {"open_photo": lambda: Image.open(SAMPLE_PHOTOS[1].path), "classify": classify}
    answers = []
    for order in ((0, 1, 2), (1, 2)):
        for number in order:
            # Compile first: Ctrl-C during exec() of a string ends Python, even if it is caught.
            exec(compile(CELLS[number], f"cell {number + 1}", "exec"), namespace)
        answers.append(namespace["answer"])
    return answers[0], answers[1]  # type: ignore[return-value]


def _ask(url: str) -> object:
    photo = SAMPLE_PHOTOS[1].read()
    reply = httpx.post(f"{url}/predict", content=photo, timeout=SECONDS).raise_for_status()
    return reply.json()["predictions"]


def _resident_mib(metrics: str) -> float | None:
    for line in metrics.splitlines():
        if line.startswith("process_resident_memory_bytes "):
            return float(line.split()[1]) / 2**20
    return None  # not Linux


def _kernel_mib(packages: str) -> float | None:
    """Return what a kernel holds after one answer: "bare", or with the packages of "research"."""
    form = FORMS["onnx-int8"]
    file, photo = DEFAULT_ARTIFACT / form.file, SAMPLE_PHOTOS[1].path
    if sys.platform != "linux":
        return None
    done = subprocess.run(
        [sys.executable, "-c", KERNEL, packages, form.name, str(file), str(photo)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=SECONDS,
    )
    if done.returncode:
        raise LearnerError(
            _("The notebook's process failed: {reason}").format(reason=done.stderr.strip()[-300:])
        )
    return float(done.stdout)
