"""The image, really built and run by podman on a base made by debootstrap; and the commands.

The base is cached in /var/tmp. The containers' own settings and storage are left alone.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.artifact.verify import Bundle
from service.deploy import __main__ as deploy
from service.errors import OperatorError
from service.settings import ROOT
from tests.conftest import wait_until
from tests.service.web.test_foreign_clients import free_port

CACHE = Path("/var/tmp/model-service-test")
BASE, IMAGE, BUNDLE_IMAGE = "localhost/test-base", "localhost/test-service", "localhost/test-bundle"
MOST_BYTES = 350e6
MISSING = [name for name in ("podman", "runc", "debootstrap") if shutil.which(name) is None]
RAN_AS_ROOT = os.geteuid() == 0
PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
really_built = pytest.mark.skipif(
    bool(MISSING) or not RAN_AS_ROOT,
    reason=f"not installed: {', '.join(MISSING)}" if MISSING else "debootstrap needs root",
)


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Settings that work inside another container, and a storage of the tests' own."""
    folder = tmp_path_factory.mktemp("containers")
    (folder / "containers.conf").write_text(
        '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
        '[containers]\ndefault_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]\n'
    )
    (folder / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{CACHE}/storage"\nrunroot = "{CACHE}/run"\n'
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONTAINERS_CONF", str(folder / "containers.conf"))
        patch.setenv("CONTAINERS_STORAGE_CONF", str(folder / "storage.conf"))
        yield


def call(*command: str | Path) -> str:
    """Standard output of a command that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout.strip()


def build(*options: str) -> None:
    """Build an image from the base, with the command of `make image`."""
    if CERTIFICATES.is_file():
        options = (*options, "--ca", str(CERTIFICATES))
    own = ("--", "--isolation", "chroot", "--network", "host")
    call(sys.executable, "-m", "service.deploy", "image", "--base", BASE, *options, *own)


@pytest.fixture(scope="module")
def image(podman: None, bundle: Bundle) -> dict[str, int]:
    """The image; bytes of the base and of all."""
    if subprocess.run(["podman", "image", "exists", BASE]).returncode:
        root = CACHE / "root"
        shutil.rmtree(root, ignore_errors=True)
        root.parent.mkdir(parents=True, exist_ok=True)
        call("debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", root)
        call("tar", "--directory", root, "--create", "--file", CACHE / "root.tar", ".")
        call("podman", "import", CACHE / "root.tar", BASE)
        shutil.rmtree(root)
        (CACHE / "root.tar").unlink()
    build("--tag", IMAGE)
    return {name: int(str(inspect(name)["Size"])) for name in (BASE, IMAGE)}


def inspect(name: str) -> dict[str, object]:
    """What podman knows of an image."""
    (found,) = json.loads(call("podman", "image", "inspect", name))
    return dict(found)


@really_built
def test_container_serves_read_only_and_drains(image: dict[str, int]) -> None:
    """With 1 GiB of memory, no writable folder, no capability, as a user without a name."""
    port = free_port()
    command = deploy.run_command(Namespace(port=port, tag=IMAGE, engine_options=[
        "--network", "host", "--read-only-tmpfs=false", "--env", f"SERVICE_PORT={port}",
        "--env", "SERVICE_HOST=127.0.0.1", "--env", "SERVICE_DRAIN_SECONDS=1",
        "--cidfile", str(CACHE / f"{port}.id"),
    ]))  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    began = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as running:
        try:
            wait_until(lambda: running.poll() is not None or is_ready(address), 60)
            to_ready = time.monotonic() - began
            container = (CACHE / f"{port}.id").read_text()
            photo = next(photo for photo in SAMPLE_PHOTOS if photo.name == "coffee")
            answer = httpx.post(f"{address}/predict", content=photo.read(), trust_env=False)
            assert answer.json()["predictions"][0]["label"] == "espresso"
            health = ("podman", "exec", container, *health_command())
            assert subprocess.run(health).returncode == 0
            write = ("podman", "exec", container, "python", "-c", "open('/tmp/new', 'w')")
            assert subprocess.run(write, capture_output=True).returncode != 0
            state = json.loads(call("podman", "inspect", container))[0]
            assert state["HostConfig"]["Memory"] == 2**30
            assert state["HostConfig"]["ReadonlyRootfs"] is True
            assert not state["EffectiveCaps"]
            user = call(
                "podman", "exec", container, "python", "-c", "import os; print(os.getuid())"
            )
            assert user == "10001"
            call("podman", "kill", "--signal", "TERM", container)
            output = running.communicate(timeout=60)[0].decode()
        finally:
            if running.poll() is None:
                running.terminate()
            (CACHE / f"{port}.id").unlink(missing_ok=True)
    assert running.returncode == 0, output
    assert "not ready any more" in output
    ready = next(line for line in output.splitlines() if " ready " in line)
    size = image[IMAGE] - image[BASE]
    print(f"image without base {size / 1e6:.0f} MB; {to_ready:.2f} s to ready; log: {ready}")
    assert size <= MOST_BYTES


def is_ready(address: str) -> bool:
    """Whether the service answers that it is ready."""
    try:
        return httpx.get(f"{address}/readyz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def health_command() -> list[str]:
    """The command of the image's own health check."""
    config = inspect(IMAGE)
    check = config.get("HealthCheck") or config.get("Healthcheck")
    assert isinstance(check, dict), "the image has no health check"
    return list(check["Test"][1:])


@really_built
def test_image_says_what_is_inside(image: dict[str, int], bundle: Bundle) -> None:
    labels = inspect(IMAGE)["Labels"]
    assert isinstance(labels, dict)
    assert labels["model.bundle.digest"] == bundle.digest
    assert labels["model.version"] == bundle.manifest.version
    listing = call(
        "podman", "run", "--rm", "--network", "none", IMAGE, "python", "-c",
        "import os, importlib.util as u; print(*os.listdir('/models'), u.find_spec('torch'))",
    )  # fmt: skip
    found = set(listing.split())
    assert {"manifest.json", "model.onnx", "model.int8.onnx", "None"} <= found
    assert not found & {"weights.safetensors", "model.pt2", "model.torchscript.pt"}


@really_built
def test_bundle_travels_as_an_image(image: dict[str, int], bundle: Bundle) -> None:
    """It holds /models and nothing else, and names the bundle that it was validated from."""
    build("--bundle", "--tag", BUNDLE_IMAGE)
    container = call("podman", "create", BUNDLE_IMAGE, "none")
    try:
        names = subprocess.run(
            f"podman export {container} | tar --list", shell=True, capture_output=True, text=True
        ).stdout.split()
        manifest = CACHE / "manifest.json"
        call("podman", "cp", f"{container}:/models/manifest.json", manifest)
    finally:
        call("podman", "rm", container)
    engines_own = ("dev", "etc", "proc", "run", "sys")
    assert {name.split("/")[0] for name in names} - set(engines_own) == {"models"}
    told = json.loads(manifest.read_text())
    assert told["validated_from"][-1]["digest"] == bundle.digest
    assert set(told["forms"]) == {"onnx-fp32", "onnx-int8"}


def options(**given: object) -> Namespace:
    """The options of `image`, some changed."""
    return Namespace(**{
        "artifact": ROOT / "artifacts" / "default", "base": None, "bundle": False,
        "index": None, "ca": None, "tag": None, "engine_options": [], **given,
    })  # fmt: skip


def test_without_an_engine_one_line_names_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], bundle: Bundle
) -> None:
    monkeypatch.setenv("PATH", "")
    for command in ("image", "run"):
        assert deploy.main([command]) == 1
        assert "none of podman" in capsys.readouterr().err


def test_bundle_that_the_build_cannot_see_is_refused(bundle_copy: Path) -> None:
    with pytest.raises(OperatorError, match="only folder of bundles"):
        deploy.build_command(options(artifact=bundle_copy))


def test_engine_gets_what_was_asked(monkeypatch: pytest.MonkeyPatch, bundle: Bundle) -> None:
    monkeypatch.setattr(deploy, "find_engine", lambda names: "podman")
    with pytest.raises(OperatorError, match="no such file"):
        deploy.build_command(options(ca=Path("/none")))
    command = deploy.build_command(options(index="https://index.example/simple"))
    assert "PIP_INDEX_URL=https://index.example/simple" in command
    assert f"BUNDLE_DIGEST={bundle.digest}" in command
    monkeypatch.setattr(deploy, "find_engine", lambda names: "docker")
    assert "--format" not in deploy.build_command(options())
