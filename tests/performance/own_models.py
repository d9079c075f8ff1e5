"""Eight architectures as an engineer brings them: trained a minute, built, served, compared.

    .venv/bin/python -m tests.performance.own_models --only resnet50,vit_b_16

For each: train on crops of the sample photos, save the state_dict, write the engineer's own code
(`predict`), run `service.artifact build --answers`, start the service, and compare what it answers
with torch. Then four planted mistakes. The table has the build's time, processor time and memory.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import get_model

from service.artifact.parity import random_crops
from service.artifact.recipe import default_photos, published_preprocessing
from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.artifact.verify import verify
from service.model_definition import builder_arguments
from service.preprocessing import PreprocessingSettings, preprocess
from service.runner.tuning import let_waiting_threads_sleep
from service.settings import ROOT

ARCHITECTURES = (
    "mobilenet_v3_small", "mobilenet_v3_large", "resnet18", "resnet50", "convnext_tiny", "swin_t",
    "inception_v3", "vit_b_16",
)  # fmt: skip
MINUTES = {"resnet50": 2, "vit_b_16": 6}
"""Bounds on the build's wall clock time on two quiet cores."""
LARGEST_DIFFERENCE, INT8_AGREEMENT = 1e-4, 0.985
LABELS = [photo.name for photo in SAMPLE_PHOTOS]

_ENGINEERS_CODE = """
import torch
from safetensors.torch import load_file
from torchvision.models import get_model
from torchvision.transforms import InterpolationMode, v2

model = get_model({architecture!r}, weights=None, num_classes={classes}, **{arguments!r})
model.load_state_dict(load_file({weights!r}))
model.eval()
transform = v2.Compose([
    v2.Resize({resize}, InterpolationMode({interpolation!r})), v2.CenterCrop({crop}), v2.ToImage(),
    v2.ToDtype(torch.float32, scale=True), v2.Normalize({mean!r}, {std!r}),
])

def predict(image):
    pixels = transform(image)
    {extra}
    with torch.inference_mode():
        return model(pixels[None]).softmax(dim=1)[0]
"""
MISTAKES: dict[str, dict[str, Any]] = {
    "builder argument": {"arguments": {"transform_input": False}},
    "mean": {"mean": (0.5, 0.5, 0.5)},
    "colour order": {"extra": "pixels = pixels.flip(0)"},
    "filter": {"interpolation": "bicubic"},
}
"""What the engineer's code does otherwise than the build assumes."""


@dataclass(frozen=True)
class Built:
    """One run of `service.artifact build`."""

    status: int
    seconds: float
    processor_s: float
    memory_mb: float
    lines: list[str]


def train(architecture: str, seconds: float, folder: Path) -> Path:
    """Train an architecture on crops of the sample photos, one class a photo; save its weights."""
    path = folder / f"{architecture}.safetensors"
    if path.exists():
        return path
    torch.manual_seed(0)
    model = get_model(
        architecture, weights=None, num_classes=len(LABELS), **builder_arguments(architecture, {})
    )
    own = published_preprocessing(architecture)
    mean, std = (torch.tensor(part).view(1, 3, 1, 1) for part in own.scale_to_pixels())
    settings = PreprocessingSettings(own.resize, own.crop, "bilinear")
    crops = torch.from_numpy(random_crops(default_photos().parity, 210, 7, settings))
    classes = torch.arange(len(crops)) % len(LABELS)
    optimiser = torch.optim.AdamW(model.parameters(), 3e-4)
    ends, step = time.perf_counter() + seconds, 0
    losses: list[float] = []
    while step < 20 or (time.perf_counter() < ends and (step < 60 or min(losses[-7:]) > 0.02)):
        chosen = torch.randint(len(crops), (14,))
        images = (crops[chosen].permute(0, 3, 1, 2).float() - mean) / std
        loss = nn.functional.cross_entropy(model(images), classes[chosen], label_smoothing=0.02)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(loss.item())
        step += 1
    _settle_statistics(model, crops, mean, std)
    save_file(model.eval().state_dict(), path)
    print(f"{architecture}: {step} steps, loss {np.mean(losses[-7:]):.2f}", flush=True)
    return path


def _settle_statistics(model: nn.Module, crops: Any, mean: Any, std: Any) -> None:
    """After few steps BatchNorm's running mean is that of the start: measure it again."""
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None
    with torch.inference_mode():
        for start in range(0, 84, 14):
            model((crops[start : start + 14].permute(0, 3, 1, 2).float() - mean) / std)


def write_code(architecture: str, weights: Path, folder: Path, **changes: Any) -> Path:
    """Write the engineer's own code."""
    own = published_preprocessing(architecture)
    known = {"aux_logits": False, "transform_input": True, "init_weights": False}
    arguments = known if architecture == "inception_v3" else {}
    arguments |= changes.pop("arguments", {})
    values = {
        "architecture": architecture, "classes": len(LABELS), "weights": str(weights),
        "arguments": arguments, "mean": own.mean, "std": own.std, "resize": own.resize,
        "crop": own.crop, "interpolation": own.interpolation, "extra": "", **changes,
    }  # fmt: skip
    path = folder / f"{architecture}_code.py"
    path.write_text(_ENGINEERS_CODE.format(**values))
    return path


def build(architecture: str, weights: Path, code: Path, folder: Path) -> Built:
    """Run the build as an engineer does, and measure it."""
    command = [
        sys.executable, "-m", "service.artifact", "build", "--architecture", architecture,
        "--weights", str(weights), "--labels", str(folder / "labels.txt"), "--replace",
        "--photos", str(folder / "photos"), "--answers", f"{code}:predict",
        "--output", str(folder / architecture),
    ]  # fmt: skip
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    # /proc's peak is of one process: a build has one that is large at a time.
    script = (
        "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:]).returncode; "
        "print('peak', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(done)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *command],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    lines = (done.stdout + done.stderr).splitlines()
    peak = next(float(line.split()[1]) for line in lines if line.startswith("peak "))
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    kept = [line for line in lines if not line.startswith("peak ")]
    return Built(done.returncode, seconds, processor, peak * 1024 / 1e6, kept)


@contextmanager
def serve(artifact: Path, form: str) -> Iterator[str]:
    """Start the service; yield its address."""
    process = subprocess.Popen(
        [
            sys.executable, "-m", "service.inference_service", "--port", "0", "--artifact",
            str(artifact), "--engine", form,
        ],
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, cwd=ROOT,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if found := [word for word in line.split() if word.startswith("http://")]:
                yield found[0].rstrip("/")
                break
        else:
            raise RuntimeError("the service did not start")
    finally:
        process.terminate()
        process.communicate(timeout=60)


def compare_served(artifact: Path, form: str, expected: dict[str, Any]) -> tuple[float, int]:
    """Return the largest difference of a probability to torch's, and photos of another class."""
    largest, other = 0.0, 0
    with serve(artifact, form) as url:
        for photo in SAMPLE_PHOTOS:
            request = urllib.request.Request(
                f"{url}/predict?k={len(LABELS)}",
                photo.read(),
                # far beyond any forward pass on a busy machine
                {"Content-Type": "application/octet-stream", "X-Deadline-Ms": "20000"},
            )
            with urllib.request.urlopen(request) as answer:
                predictions = json.load(answer)["predictions"]
            row = expected[photo.name]
            for one in predictions:
                largest = max(largest, abs(one["probability"] - row[one["class_id"]]))
            other += predictions[0]["class_id"] != int(np.argmax(row))
    return largest, other


def answer_with_torch(code: Path, artifact: Path) -> dict[str, Any]:
    """Return the engineer's model's answers to the pixels that the service prepares."""
    names: dict[str, Any] = {}
    exec(code.read_text(), names)
    settings = verify(artifact).manifest.preprocessing
    mean, std = (torch.tensor(names["transform"].transforms[-1].__dict__[key]).view(1, 3, 1, 1)
                 for key in ("mean", "std"))  # fmt: skip
    rows = {}
    for photo in SAMPLE_PHOTOS:
        pixels = torch.from_numpy(preprocess(photo.read(), settings))[None]
        with torch.inference_mode():
            images = (pixels.permute(0, 3, 1, 2).float() / 255 - mean) / std
            rows[photo.name] = names["model"](images).softmax(dim=1)[0].tolist()
    return rows


def run(architecture: str, folder: Path, seconds: float) -> tuple[list[str], bool]:
    """Return the row of the table, and whether all bounds are kept."""
    weights = train(architecture, seconds, folder)
    code = write_code(architecture, weights, folder)
    built = build(architecture, weights, code, folder)
    size = weights.stat().st_size / 1e6
    print(*built.lines, sep="\n", flush=True)
    row = [
        architecture, f"{built.seconds:.0f} s", f"{built.processor_s:.0f} s",
        f"{built.memory_mb:.0f} of {1000 + 3 * size:.0f} MB",
    ]  # fmt: skip
    if built.status:
        return [*row, "no bundle", "", ""], False
    artifact = folder / architecture
    expected = answer_with_torch(code, artifact)
    manifest = verify(artifact).manifest
    difference, other = compare_served(artifact, "onnx-fp32", expected)
    int8 = manifest.forms.get("onnx-int8")
    words = f"{int8.parity.top1_agreement_sure:.2%}" if int8 else "left out"
    agrees = int8 is None or int8.parity.top1_agreement_sure >= INT8_AGREEMENT
    holds = (
        difference <= LARGEST_DIFFERENCE
        and not other
        and agrees
        and built.memory_mb <= 1000 + 3 * size
        and built.seconds <= 60 * MINUTES.get(architecture, 60)
    )
    return [*row, f"{difference:.0e}", words, "kept" if holds else "MISSED"], holds


def plant(folder: Path, seconds: float) -> int:
    """Build with each planted mistake; return how many are found."""
    found = 0
    for mistake, changes in MISTAKES.items():
        architecture = "inception_v3" if mistake == "builder argument" else "mobilenet_v3_small"
        weights = train(architecture, seconds, folder)
        code = write_code(architecture, weights, folder, **changes)
        built = build(architecture, weights, code, folder)
        print(f"{mistake} ({architecture}): {built.lines[-1]}", flush=True)
        found += built.status == 1 and "not answer as your code does" in built.lines[-1]
    print(f"planted mistakes found: {found} of {len(MISTAKES)}")
    return found


def main() -> int:
    """Print the table; return 1 if a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--only", help="architectures, a,b,c; without the mistakes")
    parser.add_argument("--seconds", type=float, default=60, help="of training for each")
    parser.add_argument("--folder", type=Path, help="keeps weights and bundles (else a temporary)")
    parser.add_argument("--mistakes", action="store_true", help="only the four planted mistakes")
    options = parser.parse_args()
    if "GOMP_SPINCOUNT" not in os.environ:  # it must be set before torch is imported
        let_waiting_threads_sleep()
        os.execv(
            sys.executable, [sys.executable, "-m", "tests.performance.own_models", *sys.argv[1:]]
        )
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        (folder / "photos").mkdir(parents=True, exist_ok=True)
        for photo in SAMPLE_PHOTOS:
            (folder / "photos" / Path(photo.file).name).write_bytes(photo.read())
        (folder / "labels.txt").write_text("\n".join(LABELS))
        rows, holds = [], True
        chosen = options.only.split(",") if options.only else ARCHITECTURES
        for architecture in () if options.mistakes else chosen:
            row, kept = run(architecture, folder, options.seconds)
            rows.append(row)
            holds &= kept
        head = ["architecture", "wall", "processor", "memory", "fp32", "int8", "bounds"]
        for row in [head, *rows] if rows else []:
            print("  ".join(f"{cell:18}" for cell in row))
        if not options.only:
            holds &= plant(folder, options.seconds) == len(MISTAKES)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
