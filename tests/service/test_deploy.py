"""The container file: what it installs, sets and asks. tests/service/deploy builds it."""

import json
import os
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from authoring.lock import CUDA
from service.engines import FORMS
from service.settings import ROOT, Settings

DEPLOY = ROOT / "service" / "deploy"
CONTAINERFILE = (DEPLOY / "Containerfile").read_text()
Pinned = dict[str, tuple[str, frozenset[str]]]


def pinned(text: str) -> Pinned:
    """Name → version with its marker, and hashes."""
    found: Pinned = {}
    for block in re.findall(r"^\w.*?(?=^\w|\Z)", text, re.MULTILINE | re.DOTALL):
        name, version = block.splitlines()[0].rstrip("\\ ").split("==", 1)
        hashes = frozenset(re.findall(r"--hash=(sha256:[0-9a-f]{64})", block))
        found[canonicalize_name(name.partition("[")[0])] = (version, hashes)
    return found


REQUIREMENTS = pinned((DEPLOY / "requirements.txt").read_text())
CUDA_REQUIREMENTS = pinned((DEPLOY / "requirements.cuda.txt").read_text())


def needed(name: str, extras: frozenset[str] = frozenset()) -> Iterator[str]:
    """A package of the service and, on this machine, whatever that needs."""
    yield canonicalize_name(name)
    for text in metadata.requires(name) or []:
        requirement = Requirement(text)
        environments = [{"extra": extra} for extra in (extras or {""})]
        if requirement.marker is None or any(map(requirement.marker.evaluate, environments)):
            yield from needed(requirement.name, frozenset(requirement.extras))


def test_container_gets_exactly_the_locked_packages_of_the_service() -> None:
    """`make lock` writes both files."""
    lock = pinned((ROOT / "requirements.lock").read_text())
    assert REQUIREMENTS.items() <= lock.items(), "run: make lock"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [Requirement(text) for text in project["dependencies"]]
    here = {name for one in asked for name in needed(one.name, frozenset(one.extras))}
    assert REQUIREMENTS.keys() == here, "run: make lock"
    assert not {"torch", "torchvision", "safetensors", "onnx"} & REQUIREMENTS.keys()
    assert all(hashes for _version, hashes in REQUIREMENTS.values())


@pytest.mark.skipif(sys.platform != "linux", reason="there is no CUDA on this system")
def test_container_for_gpus_gets_what_it_needs_besides() -> None:
    """Torch and NVIDIA's libraries in the locked versions, and nothing twice."""
    lock = pinned((ROOT / "requirements.lock").read_text())
    assert CUDA_REQUIREMENTS.items() <= lock.items(), "run: make lock"
    here = {name for package in CUDA for name in needed(package)}
    assert CUDA_REQUIREMENTS.keys() == here - REQUIREMENTS.keys(), "run: make lock"
    assert all(hashes for _version, hashes in CUDA_REQUIREMENTS.values())
    assert {"nvidia-cudnn-cu13", "nvidia-cublas"} <= CUDA_REQUIREMENTS.keys()
    imported = {package for form in FORMS.values() for package in form.packages}
    assert imported <= REQUIREMENTS.keys() | CUDA_REQUIREMENTS.keys()


def test_linter_has_nothing_to_say() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [hadolint, "--format", "json", "--failure-threshold", "style", DEPLOY / "Containerfile"],
        capture_output=True,
        text=True,
    )
    assert json.loads(done.stdout) == []
    assert done.returncode == 0


def list_devices() -> list[str]:
    """The variants that the build knows; the first one is the default."""
    (default,) = re.findall(r"^ARG DEVICE=(\w+)$", CONTAINERFILE, re.MULTILINE)
    cases = re.findall(r"^ +(\w+)\) .*;; \\$", CONTAINERFILE, re.MULTILINE)
    return sorted(cases, key=lambda name: name != default)


def test_build_knows_the_device_of_each_variant() -> None:
    assert list_devices() == ["cpu", "cuda"]


@pytest.mark.parametrize("device", list_devices())
def test_settings_of_the_container_exist(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = re.findall(r"\bSERVICE_([A-Z_]+)=(\S+)", CONTAINERFILE)
    assert {name.lower() for name, _value in pairs} == {"artifact", "device", "host", "port"}
    for name, value in pairs:
        monkeypatch.setenv(f"SERVICE_{name}", value.replace("${DEVICE}", device))
    settings = Settings()
    assert (settings.host, str(settings.artifact)) == ("0.0.0.0", "/models")
    assert settings.device == device
    assert re.search(rf"^EXPOSE {settings.port}$", CONTAINERFILE, re.MULTILINE)


def test_signals_reach_a_module_that_exists() -> None:
    (command,) = re.findall(r"^CMD (.*)$", CONTAINERFILE, re.MULTILINE)
    python, flag, module = json.loads(command)
    assert (python, flag) == ("python", "-m")
    assert (ROOT / f"{module.replace('.', '/')}.py").is_file()


@contextmanager
def answering(status: int) -> Iterator[tuple[int, list[str]]]:
    """A server that answers every GET with this status; its port, and the paths asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        try:
            yield server.server_port, asked
        finally:
            server.shutdown()


def health_check(port: int) -> int:
    """Exit status of the health check's command where the service has this port."""
    joined = CONTAINERFILE.replace("\\\n", " ")
    (words,) = re.findall(r"^HEALTHCHECK .*? CMD (\[.*\])$", joined, re.MULTILINE)
    command = [sys.executable, *json.loads(words)[1:]]
    environment = os.environ | {"SERVICE_HOST": "0.0.0.0", "SERVICE_PORT": str(port)}
    return subprocess.run(command, env=environment, stderr=subprocess.DEVNULL).returncode


def test_health_check_tells_live_from_not() -> None:
    with answering(200) as (port, asked):
        assert health_check(port) == 0
    assert asked == ["/livez"]
    assert health_check(port) != 0  # nobody listens there any more
    with answering(503) as (port, _asked):
        assert health_check(port) != 0


def test_build_sees_only_what_it_needs() -> None:
    """The ignore file lets in what COPY names, and keeps out the rest of the repository."""
    lines = (DEPLOY / "Containerfile.dockerignore").read_text().splitlines()
    kept = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--)(\S+)", CONTAINERFILE, re.MULTILINE)
    (artifact,) = re.findall(r"^ARG ARTIFACT=(\S+)", CONTAINERFILE, re.MULTILINE)
    sources = {source.replace("${ARTIFACT}", artifact).partition("/")[0] for source in copied}
    assert "*" in lines
    assert sources == kept
