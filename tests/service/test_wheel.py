"""The service in other places: installed from a wheel without torch, and with folders deleted."""

import os
import re
import shutil
import signal
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from importlib import metadata
from pathlib import Path
from zipfile import ZipFile

import httpx2 as httpx
import pytest

from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.artifact.verify import Bundle
from service.settings import ROOT
from tests.conftest import ServiceProcess

PACKAGES = ("authoring", "challenges", "learner", "notebooks", "quizzes", "service")
REQUIREMENTS = ROOT / "service" / "deploy" / "requirements.txt"
PHOTO = next(photo for photo in SAMPLE_PHOTOS if photo.name == "coffee")
BUILT = ("__pycache__", ".*", "*.egg-info")
"""What may lie in a working tree and is not part of the project."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built from a copy: setuptools writes into the folder that it builds."""
    source = tmp_path_factory.mktemp("source")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    caches = source / "service" / "__pycache__"
    caches.mkdir(exist_ok=True)
    (caches / "settings.cpython-311.pyc").touch()
    built = source / "challenges" / "minimal_service" / "starter" / "artifact"
    built.mkdir(exist_ok=True)
    (built / "model.onnx").touch()
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source))
    (path,) = folder.iterdir()
    return path


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    subprocess.run([*command, "--no-index"], check=True)


@pytest.fixture
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that sees the packages of the container, and nothing else of this environment."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True, with_pip=False)
    packages = folder / "packages"
    packages.mkdir()
    for name in re.findall(r"^([\w.-]+)(?:\[.*?\])?==", REQUIREMENTS.read_text(), re.MULTILINE):
        distribution = metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            link = packages / top
            if not link.exists():  # some share a folder
                link.symlink_to(str(distribution.locate_file(top)))
    (site_packages,) = folder.glob("lib/python*/site-packages")
    (site_packages / "packages.pth").write_text(f"{packages}\n")
    return folder / "bin" / "python"


@contextmanager
def served(command: list[str], folder: Path, bundle: Bundle) -> Iterator[ServiceProcess]:
    """A service that is started in `folder`, outside this environment."""
    environment = {name: value for name, value in os.environ.items() if "PYTHON" not in name}
    log = folder / "service.log"
    options = ["--port", "0", "--artifact", str(bundle.path), "--device", "cpu"]
    with log.open("w") as file:
        process = subprocess.Popen(
            [*command, *options, "--drain-seconds", "0"],
            stdout=file, stderr=file, text=True, cwd=folder, env=environment,
        )  # fmt: skip
    try:
        yield ServiceProcess(process, log)
    finally:
        process.kill()
        process.wait()


def check_service(service: ServiceProcess) -> None:
    """It answers a photo right, and ends with 0 when it is told to."""
    answer = httpx.post(f"{service.url}/predict", content=PHOTO.read(), timeout=30)
    assert answer.json()["predictions"][0]["label"] in PHOTO.labels
    assert service.stop(signal.SIGTERM) == 0


def test_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    held = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    files = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file()
        and "starter/artifact" not in str(path)
        and not any(fnmatch(part, one) for one in BUILT for part in path.relative_to(ROOT).parts)
    }
    assert held == files
    assert "service/py.typed" in held


def test_installed_wheel_serves_without_torch(
    wheel: Path, python: Path, bundle: Bundle, tmp_path: Path
) -> None:
    pip("--python", str(python), "install", "--no-deps", str(wheel))
    gone = subprocess.run([python, "-c", "import torch"], capture_output=True, text=True)
    assert "No module named 'torch'" in gone.stderr
    with served([str(python.with_name("model-service"))], tmp_path, bundle) as service:
        check_service(service)


def test_service_alone_serves(python: Path, bundle: Bundle, tmp_path: Path) -> None:
    """All other folders can be deleted, and of the service what a CPU does not need."""
    shutil.copytree(ROOT / "service", tmp_path / "service")
    for name in ("gpu", "front_ends", "console", "client", "protocols"):
        shutil.rmtree(tmp_path / "service" / name)
    with served([str(python), "-m", "service.inference_service"], tmp_path, bundle) as service:
        check_service(service)
