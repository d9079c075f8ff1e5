"""The image, really built and run by podman on a base made by debootstrap; and the commands.

The base is cached in /var/tmp. The containers' own settings and storage are left alone. The variant
for GPUs is built where BUILD_GPU_IMAGE is set, and runs on the CPU (docs/gpu.md).
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx2 as httpx
import pytest

from service.artifact.manifest import Environment
from service.artifact.placement import write_manifest
from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.artifact.verify import Bundle
from service.deploy import __main__ as deploy
from service.errors import OperatorError
from service.settings import ROOT
from tests.conftest import wait_until
from tests.service.test_deploy import CONTAINERFILE
from tests.service.web.test_foreign_clients import free_port

CACHE = Path("/var/tmp/model-service-test")
BASE, IMAGE, BUNDLE_IMAGE = "localhost/test-base", "localhost/test-service", "localhost/test-bundle"
GPU_IMAGE = "localhost/test-service-gpu"
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


def build_command(*options: str) -> list[str]:
    """The command of `make image` that builds an image from the base."""
    if CERTIFICATES.is_file():
        options = (*options, "--ca", str(CERTIFICATES))
    own = ("--", "--isolation", "chroot", "--network", "host")
    return [sys.executable, "-m", "service.deploy", "image", "--base", BASE, *options, *own]


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
    call(*build_command("--tag", IMAGE))
    return {name: int(str(inspect(name)["Size"])) for name in (BASE, IMAGE)}


def inspect(name: str) -> dict[str, object]:
    """What podman knows of an image."""
    (found,) = json.loads(call("podman", "image", "inspect", name))
    return dict(found)


@really_built
def test_container_serves_read_only_and_drains(image: dict[str, int]) -> None:
    """With 1 GiB of memory, no writable folder, no capability, as a user without a name."""
    to_ready, output = serve_and_drain(IMAGE)
    ready = next(line for line in output.splitlines() if " ready " in line)
    size = image[IMAGE] - image[BASE]
    print(f"image without base {size / 1e6:.0f} MB; {to_ready:.2f} s to ready; log: {ready}")
    assert size <= MOST_BYTES


@really_built
@pytest.mark.skipif("BUILD_GPU_IMAGE" not in os.environ, reason="downloads 3 GB (docs/gpu.md)")
def test_variant_for_gpus_serves_by_torch_and_drains(image: dict[str, int]) -> None:
    """On the CPU, which must be asked for: without a GPU it refuses to start."""
    # Nothing so large is kept: neither layers nor the image.
    call(*build_command("--gpu", "--tag", GPU_IMAGE), "--layers=false")
    try:
        refused = subprocess.run(
            ["podman", "run", "--rm", "--network", "none", GPU_IMAGE],
            capture_output=True,
            text=True,
        )
        assert refused.returncode == 1
        assert "device cuda: expected an NVIDIA GPU that torch can use" in refused.stderr
        own = (*deploy.TMP, "--env", "SERVICE_DEVICE=cpu", "--env", "SERVICE_ENGINE=eager")
        to_ready, output = serve_and_drain(GPU_IMAGE, *own)
        assert "eager by torch" in output
        size = int(str(inspect(GPU_IMAGE)["Size"])) - image[BASE]
        print(f"variant for GPUs without base {size / 1e9:.1f} GB; {to_ready:.2f} s to ready")
    finally:
        call("podman", "rmi", GPU_IMAGE)


@really_built
@pytest.mark.parametrize(
    ("device", "pillow", "told"),
    [
        ("gpu", None, "DEVICE is gpu: expected cpu or cuda"),
        ("cuda", None, "torch is not installed"),
        ("cuda", "1.0.0", "not the environment that it was validated in: pillow"),
    ],
    ids=["unknown device", "no torch", "other packages"],
)
def test_wrong_build_for_gpus_says_what_is_wrong(
    device: str,
    pillow: str | None,
    told: str,
    image: dict[str, int],
    bundle: Bundle,
    tmp_path: Path,
) -> None:
    """The build of another tree: the list of torch and its libraries is empty there."""
    shutil.copytree(ROOT / "service", tmp_path / "service")
    (tmp_path / "service" / "deploy" / "requirements.cuda.txt").write_text("")
    shutil.copytree(ROOT / "artifacts" / "default", tmp_path / "artifacts" / "default")
    if pillow is not None:
        packages = {**bundle.manifest.environment.packages, "pillow": pillow}
        environment = bundle.manifest.environment.model_copy(update={"packages": packages})
        manifest = bundle.manifest.model_copy(update={"environment": environment})
        write_manifest(tmp_path / "artifacts" / "default", manifest)
    command = [*build_command("--gpu", "--tag", GPU_IMAGE), "--build-arg", f"DEVICE={device}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode != 0
    assert told in done.stdout + done.stderr


def serve_and_drain(tag: str, *more: str) -> tuple[float, str]:
    """Run an image as `make run-image` does, ask it, stop it; seconds to ready, and its log."""
    port = free_port()
    command = deploy.run_command(Namespace(port=port, tag=tag, gpu=False, engine_options=[
        "--network", "host", "--read-only-tmpfs=false", "--env", f"SERVICE_PORT={port}",
        "--env", "SERVICE_HOST=127.0.0.1", "--env", "SERVICE_DRAIN_SECONDS=1",
        "--cidfile", str(CACHE / f"{port}.id"), *more,
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
            health = ("podman", "exec", container, *health_command(tag))
            assert subprocess.run(health).returncode == 0
            write = ("podman", "exec", container, "python", "-c", "open('/var/tmp/new', 'w')")
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
    return to_ready, output


def is_ready(address: str) -> bool:
    """Whether the service answers that it is ready."""
    try:
        return httpx.get(f"{address}/readyz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def health_command(tag: str) -> list[str]:
    """The command of the image's own health check."""
    config = inspect(tag)
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
    call(*build_command("--bundle", "--tag", BUNDLE_IMAGE))
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
        "gpu": False, "index": None, "ca": None, "tag": None, "engine_options": [], **given,
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


@pytest.mark.parametrize(
    ("engine", "wanted"),
    [("podman", ["--device", "nvidia.com/gpu=all"]), ("docker", ["--gpus", "all"])],
)
def test_variant_for_gpus_is_built_and_started_with_them(
    engine: str, wanted: list[str], monkeypatch: pytest.MonkeyPatch, bundle: Bundle
) -> None:
    monkeypatch.setattr(deploy, "find_engine", lambda names: engine)
    for gpu, device, tag in [(False, "cpu", "model-service"), (True, "cuda", "model-service-gpu")]:
        command = deploy.build_command(options(gpu=gpu))
        assert f"DEVICE={device}" in command
        assert command[command.index("--tag") + 1] == tag
        run = deploy.run_command(Namespace(port=8000, tag=None, gpu=gpu, engine_options=[]))
        assert run[-1] == tag
        assert (" ".join([*wanted, "--tmpfs", "/tmp:exec"]) in " ".join(run)) == gpu
        assert ("--memory" in run) != gpu
        assert {"--read-only", "--cap-drop", "--security-opt"} <= set(run)


def test_bundle_that_does_not_fit_gpus_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch, bundle: Bundle
) -> None:
    monkeypatch.setattr(deploy, "find_engine", lambda names: "podman")
    manifest, (pinned,) = bundle.manifest, re.findall(r"python:([\d.]+)", CONTAINERFILE)

    def build_with(*, base: str | None = None, **changes: object) -> list[str]:
        changed = replace(bundle, manifest=manifest.model_copy(update=changes))
        monkeypatch.setattr(deploy, "read_bundle", lambda *_: changed)
        return deploy.build_command(options(gpu=True, base=base))

    def environment(**changes: str) -> Environment:
        return manifest.environment.model_copy(
            update={"system": "Linux", "python": pinned, **changes}
        )

    assert build_with(environment=environment())
    with pytest.raises(OperatorError, match=r"no form that runs on a GPU, only onnx-fp32\. Build"):
        build_with(forms={"onnx-fp32": manifest.forms["onnx-fp32"]})
    with pytest.raises(OperatorError, match="validated on Darwin"):
        build_with(environment=environment(system="Darwin"))
    with pytest.raises(OperatorError, match=r"--base docker.io/library/python:3\.9-slim"):
        build_with(environment=environment(python="3.9"))
    assert build_with(environment=environment(python="3.9"), base="python:3.9-slim")


def test_bundle_alone_has_no_variant_for_gpus(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        deploy.main(["image", "--gpu", "--bundle"])
    assert "not allowed with argument" in capsys.readouterr().err
