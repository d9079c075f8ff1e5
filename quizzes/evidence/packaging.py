"""What goes into an image, and what moves in it: package versions, sizes, weights, settings."""

import importlib.util
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import zipfile
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from io import BytesIO
from pathlib import Path
from types import ModuleType

import httpx2 as httpx
import numpy as np
import numpy.typing as npt
from packaging.requirements import Requirement
from PIL import Image

from challenges.load.images import distinct_images
from challenges.releases.bundles import Change, make_bundle
from learner.artifact import bundle
from learner.language import _
from learner.paths import ROOT
from quizzes.evidence import Evidence
from quizzes.evidence.preprocessing_skew import engine
from quizzes.evidence.running import REFERENCE, Service
from service.artifact.parity import probabilities_of
from service.artifact.verify import sha256

MB = 1e6
TORCH = ("torch", "torchvision")
PHOTOS, SEED = 60, 5
MONDAY, TUESDAY = ("1.0", "BICUBIC"), ("1.1", "NEAREST")
"""Two versions of a small package, and the one word in which their code differs."""
TOOL = "phototool"
_CODE = '''"""Resizes photos."""
from PIL import Image


def square(photo):
    """Return the middle of a photo, 224 × 224 pixels."""
    scale = 256 / min(photo.size)
    size = [round(side * scale) for side in photo.size]
    left, top = (size[0] - 224) // 2, (size[1] - 224) // 2
    return photo.resize(size, Image.Resampling.{filter}).crop((left, top, left + 224, top + 224))
'''


def publish(shop: Path, version: str, resampling: str) -> Path:
    """Write a version of the small package as a wheel, which is a ZIP file; return its path."""
    shop.mkdir(exist_ok=True)
    path, info = shop / f"{TOOL}-{version}-py3-none-any.whl", f"{TOOL}-{version}.dist-info"
    tag = "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{TOOL}.py", _CODE.format(filter=resampling))
        wheel.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {TOOL}\nVersion: {version}\n"
        )
        wheel.writestr(f"{info}/WHEEL", tag)
        wheel.writestr(f"{info}/RECORD", "")
    return path


def install(shop: Path, lines: str, target: Path) -> subprocess.CompletedProcess[str]:
    """Run `pip install --requirement` on these lines, with the wheels of a folder only."""
    file = target.with_suffix(".txt")
    file.write_text(lines)
    options = ["--no-index", "--find-links", str(shop), "--target", str(target), "--quiet"]
    options += ["--disable-pip-version-check", "--no-compile", "--no-deps"]
    return subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--requirement", str(file)],
        capture_output=True,
        text=True,
    )


def classes_with(target: Path) -> npt.NDArray[np.int64]:
    """Return the first class of each photo, resized by the package that is installed in a folder.

    Returns:
        int64, `PHOTOS`.
    """
    tool = _load(target / f"{TOOL}.py")
    pixels = np.stack([np.asarray(tool.square(photo)) for photo in _photos()])
    classes: npt.NDArray[np.int64] = probabilities_of(engine(), pixels).argmax(axis=1)
    return classes


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def _photos() -> list[Image.Image]:
    files = distinct_images(PHOTOS, seed=SEED)
    return [Image.open(BytesIO(file)).convert("RGB") for file in files]


def moving_version() -> Evidence:
    """Install the same requirement before and after a new version comes out, and a lock file."""
    with tempfile.TemporaryDirectory() as folder:
        shop, places = Path(folder) / "shop", [Path(folder) / name for name in "abcd"]
        first = publish(shop, *MONDAY)
        lock = f"{TOOL}==1.0 --hash=sha256:{sha256(first)}"
        done = [install(shop, f"{TOOL}>=1.0", places[0])]
        publish(shop, *TUESDAY)
        done += [install(shop, f"{TOOL}>=1.0", places[1]), install(shop, lock, places[2])]
        assert [one.returncode for one in done] == [0, 0, 0], done[-1].stderr
        monday, tuesday, locked = (classes_with(place) for place in places[:3])
        publish(shop, "1.0", TUESDAY[1])  # another file under the version that was locked
        refused = install(shop, lock, places[3])
    changed = int((monday != tuesday).sum())
    assert changed > 0, "another filter changes answers"
    assert (monday == locked).all(), "locked, nothing changes"
    assert refused.returncode != 0, "another file under the same version is refused"
    return Evidence(
        shows=_(
            "The same line, `{line}`, installed version 1.0 on Monday and 1.1 on Tuesday. Then "
            "{changed} of {n} photos had another first class. With a lock file Tuesday's install "
            "was Monday's, and another file under the same version was refused."
        ).format(line=f"{TOOL}>=1.0", changed=changed, n=PHOTOS),
        values={
            _("a range: answers that changed"): changed,
            _("a lock file: answers that changed"): 0,
        },
        unit=_("photos"),
        varies=_(
            "the line that names the package: a range, or a version with its hash; the package "
            "index, the weights and the photos are the same."
        ),
    )


def closure(names: Iterable[str]) -> set[str]:
    """Return the installed packages that these need, with themselves.

    Args:
        names: requirements, such as "uvicorn[standard]>=0.54".
    """
    found: set[str] = set()
    waiting = [Requirement(name) for name in names]
    while waiting:
        wanted = waiting.pop()
        name = wanted.name.lower().replace("_", "-")
        if name in found:
            continue
        try:
            needs = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        found.add(name)
        for need in map(Requirement, needs):
            extras = [{"extra": extra} for extra in ("", *wanted.extras)]
            if need.marker is None or any(need.marker.evaluate(extra) for extra in extras):
                waiting.append(need)
    return found


def requirements() -> list[str]:
    """Return what the service asks for: the lines of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return list(project["dependencies"])


def service_packages() -> set[str]:
    """Return the packages that the service gets: those it asks for, and what they need."""
    return closure(requirements())


@cache
def installed_bytes(name: str) -> int:
    """Return the size of an installed package's files in bytes."""
    paths = [Path(str(file.locate())) for file in metadata.files(name) or []]
    return sum(path.stat().st_size for path in paths if path.is_file())


def folder_bytes(folder: Path) -> int:
    """Return the size of the files in a folder in bytes; caches of Python do not count."""
    files = (path for path in folder.rglob("*") if "__pycache__" not in path.parts)
    return sum(path.stat().st_size for path in files if path.is_file())


def layer_sizes() -> dict[str, int]:
    """Return the bytes of what a container file copies into the image, by part."""
    small = service_packages()
    return {
        "packages": sum(map(installed_bytes, small)),
        "torch": sum(map(installed_bytes, closure(TORCH) - small)),
        "artifact": bundle().size,
        "code": folder_bytes(ROOT / "service"),
    }


def bytes_to_send(sizes: Mapping[str, int]) -> dict[str, int]:
    """Return the bytes that a machine must fetch when one line of code has changed.

    A layer is made again, and sent again, if it or a layer before it has changed.

    Args:
        sizes: of `layer_sizes`.
    """
    rest = sizes["packages"] + sizes["artifact"]
    return {"code-first": sizes["code"] + rest, "code-last": sizes["code"]}


def layer_order() -> Evidence:
    """Compare what must be sent after a change of code, with the code's layer first or last."""
    sent = bytes_to_send(layer_sizes())
    first, last = sent["code-first"] / MB, sent["code-last"] / MB
    assert first > 10 * last, "packages and weights are much larger than the code"
    return Evidence(
        shows=_(
            "With the code in the first layer, a change of one line sends {first:,.0f} MB, because "
            "all layers after it are made again. With the code in the last layer it sends "
            "{last:.1f} MB."
        ).format(first=first, last=last),
        values={_("code first"): first, _("code last"): last},
        unit="MB",
        varies=_("the order of the layers; their files are the same."),
    )


def ready_seconds(artifact: Path, *arguments: str) -> float:
    """Start the reference service with an artifact; return the seconds until it was ready."""
    with Service(REFERENCE, "--artifact", str(artifact), *arguments) as service:
        return service.wait_for(" ready ").at


def fetch(store: Path, volume: Path) -> float:
    """Copy a bundle into a volume, as a first step before a start; return the seconds."""
    started = time.perf_counter()
    shutil.copytree(store, volume)
    return time.perf_counter() - started


def exchanged_volume() -> Evidence:
    """Put another whole bundle into the volume; start with the digest pinned, and without."""
    with tempfile.TemporaryDirectory() as folder:
        other = make_bundle(Path(folder) / "volume", Change("9.9.9", skewed=True))
        pinned = ("--artifact-digest", bundle().digest)
        seconds = ready_seconds(other)
        with Service(REFERENCE, "--artifact", str(other), *pinned) as service:
            said = service.wait_for("error: ").text
            status = service.wait(30)
    assert status == 1, "the pinned digest is another one"
    return Evidence(
        shows=_(
            "The image was the same. With another whole bundle in the volume the service was ready "
            "after {seconds:.1f} s, and served it. With the digest as a setting it refused to "
            "start: {said}"
        ).format(seconds=seconds, said=said[:100]),
        varies=_("whether the digest is named; image and volume are the same."),
    )


def settings_outside() -> Evidence:
    """Start the same code and bundle twice; only the environment differs."""
    (photo,) = distinct_images(1)
    statuses = []
    for environment in ({}, {"SERVICE_MAX_BODY_BYTES": "1000"}):
        with Service(REFERENCE, environment=environment) as service:
            statuses.append(httpx.post(f"{service.url}/predict", content=photo).status_code)
    with Service(REFERENCE, environment={"SERVICE_TARGET_MS": "fast"}) as service:
        refused = service.wait(30)
    assert statuses == [200, 413], "the limit comes from the environment"
    assert refused == 1, "a wrong value ends the start"
    return Evidence(
        shows=_(
            "The same photo was answered with {first}, and with {second} where "
            "SERVICE_MAX_BODY_BYTES was 1000. With SERVICE_TARGET_MS=fast the start ended with "
            "exit status {refused}."
        ).format(first=statuses[0], second=statuses[1], refused=refused),
        varies=_("one environment variable; code and bundle are the same."),
    )
