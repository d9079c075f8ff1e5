"""Compile a bundle's bf16 form for this machine's device, by the method that is fastest here.

The exported program, torch.compile and AOTInductor run the same batches and are timed. The record
of the comparison becomes part of the bundle, and so does AOTInductor's package if that is fastest.
Their hashes go into the manifest, so the bundle gets a new digest.
"""

import gc
import json
import shutil
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
import torch._inductor

from service.artifact.manifest import File, Manifest
from service.artifact.placement import put_in_place, sync, temporary_sibling, write_manifest
from service.artifact.verify import sha256, verify
from service.engines import BF16
from service.engines.base import PixelBatch, Probabilities
from service.engines.exported_program import load_program
from service.errors import OperatorError, write_command
from service.gpu.compilation import COMPILED_FOLDER, METHODS, Choice, Method, device_key
from service.gpu.engine import DeviceEngine, make_engine
from service.gpu.streams import Device, open_devices
from service.preprocessing import preprocess

MARGIN = 0.97
"""Times whose ratio is above this count as equal; the method that starts quickest is taken."""
_QUICKEST_START: tuple[Method, ...] = ("AOTInductor", "program", "torch.compile")
_REPEATS = 10

Milliseconds = Mapping[int, float]
"""Time of a batch in milliseconds, by batch size."""


def compile_bundle(path: Path, device: str, say: Callable[[str], None] = print) -> Method:
    """Compare the methods, choose one, and add the outcome to the bundle at `path`.

    Raises:
        OperatorError: the bundle is damaged or has no bf16 form.
    """
    bundle = verify(path)
    if BF16 not in bundle.manifest.forms:
        raise OperatorError(
            f"{path} holds no form {BF16}, which is what is compiled for a device. Build it: "
            + write_command(f"service.artifact build --forms eager,{BF16}")
        )
    target = open_devices(device)[0]
    key = device_key(target)
    with temporary_sibling(path) as folder:
        shutil.copytree(path, folder, dirs_exist_ok=True)
        compiled = folder / COMPILED_FOLDER
        compiled.mkdir(exist_ok=True)
        package, record = compiled / f"{key}.pt2", compiled / f"{key}.json"
        record.unlink(missing_ok=True)
        package.unlink(missing_ok=True)
        program = folder / bundle.manifest.forms[BF16].file
        pixels = _load_golden_pixels(folder, bundle.manifest)
        tolerance = bundle.manifest.forms[BF16].golden_tolerance
        costs = _compare(program, package, target, pixels, tolerance, say)
        method = choose(costs)
        if method != "AOTInductor":
            package.unlink(missing_ok=True)
        facts = {"method": method, "device": key, "image_shape": pixels.shape[1:],
                 "milliseconds": costs}  # fmt: skip
        record.write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
        _renew_manifest(folder, bundle.manifest)
        sync(folder)
        verify(folder)
        put_in_place(folder, path)
    say(f"{key}: {method}; digest {verify(path).digest}")
    return method


def choose(costs: Mapping[Method, Milliseconds]) -> Method:
    """Return the fastest method at the largest common batch; of equals, the quickest to start."""
    common = set.intersection(*(set(cost) for cost in costs.values()))
    at_most = {method: cost[max(common)] for method, cost in costs.items()}
    fastest = min(at_most.values())
    return next(
        method
        for method in _QUICKEST_START
        if method in at_most and fastest >= MARGIN * at_most[method]
    )


def _compare(
    program: Path,
    package: Path,
    device: Device,
    pixels: PixelBatch,
    tolerance: float,
    say: Callable[[str], None],
) -> dict[Method, Milliseconds]:
    costs: dict[Method, Milliseconds] = {}
    reference: Probabilities | None = None
    for method in METHODS:
        started = time.perf_counter()
        try:
            if method == "AOTInductor":
                _write_package(program, package, device, pixels.shape[1:])
            choice = Choice(method, "to compare", package if method == "AOTInductor" else None)
            engine = make_engine(program, [device], choice)
        except OperatorError:
            raise
        except Exception as error:  # no compiler, an unsupported operator …
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            say(f"{method}: does not work here: {first}")
            continue
        if not engine.compiled_by.startswith(method):
            continue  # it fell back to the program, and logged it
        answers = engine(pixels)
        reference = answers if reference is None else reference
        difference = float(np.abs(answers - reference).max())
        if not difference <= tolerance:  # "not <=": NaN must not pass
            say(f"{method}: another answer than the program's, by {difference:.1e}: not taken")
            continue
        costs[method] = _time_buckets(engine, pixels)
        say(
            f"{method}: "
            + ", ".join(f"batch {size}: {cost:.2f} ms" for size, cost in costs[method].items())
            + f" · {time.perf_counter() - started:.0f} s"
        )
        del engine
        gc.collect()  # frees the memory of its weights
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    return costs


def _write_package(
    program: Path, package: Path, device: Device, image_shape: tuple[int, ...]
) -> None:
    exported = load_program(program, device.torch_name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the compiler's internals
        torch._inductor.aoti_compile_and_package(exported, package_path=str(package))
    # The engine reads the shape from the record next to the package.
    package.with_suffix(".json").write_text(json.dumps({"image_shape": image_shape}), "utf-8")


def _time_buckets(engine: DeviceEngine, pixels: PixelBatch) -> dict[int, float]:
    """Return the best time of a batch of each bucket, with the copies."""
    times = {}
    for bucket in engine.buckets:
        batch = np.resize(pixels, (bucket, *pixels.shape[1:]))
        engine(batch)
        seconds = []
        for _ in range(_REPEATS):
            started = time.perf_counter()
            engine(batch)
            seconds.append(time.perf_counter() - started)
        times[bucket] = min(seconds) * 1000
    return times


def _load_golden_pixels(folder: Path, manifest: Manifest) -> PixelBatch:
    photos = manifest.forms[BF16].golden
    return np.stack(
        [preprocess((folder / photo).read_bytes(), manifest.preprocessing) for photo in photos]
    )


def _renew_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest's compiled files by those in the folder."""
    files = {
        name: file
        for name, file in manifest.files.items()
        if not name.startswith(f"{COMPILED_FOLDER}/")
    }
    for path in sorted((folder / COMPILED_FOLDER).iterdir()):
        files[f"{COMPILED_FOLDER}/{path.name}"] = File(
            sha256=sha256(path), bytes=path.stat().st_size
        )
    write_manifest(folder, manifest.model_copy(update={"files": files}))
