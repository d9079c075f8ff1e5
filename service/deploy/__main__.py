"""`python -m service.deploy image | run`: build and start the container image of the service.

podman, buildah or docker does the work, whichever is found first; it prints its own progress.
"""

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from service.artifact.manifest import Manifest
from service.artifact.verify import read_bundle
from service.engines import FORMS
from service.errors import OperatorError, write_command
from service.settings import ROOT

BUILDERS = ("podman", "buildah", "docker")
RUNNERS = ("podman", "docker")
TAG = "model-service"
CONTAINERFILE = ROOT / "service" / "deploy" / "Containerfile"
MEMORY = "1g"
GPUS = {"podman": ("--device", "nvidia.com/gpu=all"), "docker": ("--gpus", "all")}
"""Options that give a container all GPUs; NVIDIA's container toolkit must be set up."""
TMP = ("--tmpfs", "/tmp:exec")
"""torch unpacks compiled models there, and loads them as libraries."""
GRACE_SECONDS = 40
"""More than the service drains (5 s) and then waits for requests in flight (30 s) at most."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status: 0, the engine's, or 1 with a line that says why."""
    options = _make_parser().parse_args(arguments)
    try:
        command = options.command(options)
        return subprocess.run(command, cwd=ROOT).returncode
    except OperatorError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def find_engine(names: Sequence[str]) -> str:
    """Return the first of these programs that is installed.

    Raises:
        OperatorError: none is.
    """
    for name in names:
        if shutil.which(name):
            return name
    raise OperatorError(f"none of {', '.join(names)} is installed. Install one of them")


def build_command(options: argparse.Namespace) -> list[str]:
    """Return the engine's command that builds the image.

    Raises:
        OperatorError: the artifact is damaged or outside the repository, or does not fit the
            variant for GPUs, or there is no engine.
    """
    bundle = read_bundle(options.artifact, None)
    if options.gpu:
        _check_fits_gpu_image(bundle.manifest, options.base)
    try:
        inside = options.artifact.resolve().relative_to(ROOT / "artifacts")
    except ValueError:
        raise OperatorError(
            f"--artifact {options.artifact} is not in {ROOT / 'artifacts'}, the only folder of "
            "bundles that the build may see. Copy the bundle there"
        ) from None
    engine = find_engine(BUILDERS)
    arguments = {
        "ARTIFACT": Path("artifacts") / inside,
        "BUNDLE_DIGEST": bundle.digest,
        "MODEL_NAME": bundle.manifest.name,
        "MODEL_VERSION": bundle.manifest.version,
        "DEVICE": "cuda" if options.gpu else "cpu",
        "BASE_IMAGE": options.base,
        "PIP_INDEX_URL": options.index,
    }
    command = [engine, "build", "--file", str(CONTAINERFILE)]
    command += ["--tag", options.tag or (f"{TAG}-bundle" if options.bundle else _tag(options))]
    if options.bundle:
        command += ["--target", "bundle"]
    if engine != "docker":  # whose own format keeps the health check
        ignored = f"{CONTAINERFILE}.dockerignore"
        command += ["--format", "docker", "--ignorefile", ignored]
    if options.ca:
        if not options.ca.is_file():
            raise OperatorError(f"--ca {options.ca}: there is no such file")
        command += ["--secret", f"id=ca,src={options.ca.resolve()}"]
    for name, value in arguments.items():
        if value is not None:
            command += ["--build-arg", f"{name}={value}"]
    return [*command, *options.engine_options, "."]


def _check_fits_gpu_image(manifest: Manifest, base: str | None) -> None:
    """Find out before gigabytes are loaded what the build of the variant for GPUs would refuse."""
    if not any(FORMS[name].needs_torch for name in manifest.forms):
        raise OperatorError(
            f"--gpu: the artifact has no form that runs on a GPU, only {', '.join(manifest.forms)}"
            f". Build it where torch is installed: {write_command('service.artifact build')}"
        )
    system, python = manifest.environment.system, manifest.environment.python
    if system != "Linux":
        raise OperatorError(
            f"--gpu: the artifact was validated on {system}, and the variant for GPUs takes it as "
            f"it is. Build it on Linux: {write_command('service.artifact build')}"
        )
    (pinned,) = re.findall(r"^ARG BASE_IMAGE=.*/python:(\d+\.\d+)", CONTAINERFILE.read_text(), re.M)
    if base is None and python != pinned:
        raise OperatorError(
            f"--gpu: the artifact was validated with Python {python}, and the base image has "
            f"{pinned}. Name a base with {python}: "
            f"--base docker.io/library/python:{python}-slim-trixie"
        )


def run_command(options: argparse.Namespace) -> list[str]:
    """Return the engine's command that starts the image as docs/service.md says."""
    engine = find_engine(RUNNERS)
    return [
        engine, "run", "--rm", "--read-only", "--cap-drop", "ALL",
        "--security-opt", "no-new-privileges",
        *((*GPUS[engine], *TMP) if options.gpu else ("--memory", MEMORY)),
        "--stop-timeout", str(GRACE_SECONDS), "--publish", f"127.0.0.1:{options.port}:8000",
        *options.engine_options, options.tag or _tag(options),
    ]  # fmt: skip


def _tag(options: argparse.Namespace) -> str:
    return f"{TAG}-gpu" if options.gpu else TAG


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=write_command("service.deploy"), description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="image | run")
    image = commands.add_parser("image", help="build the image")
    image.set_defaults(command=build_command)
    image.add_argument(
        "--artifact", type=Path, default=ROOT / "artifacts" / "default", help="a bundle"
    )
    image.add_argument("--base", help="another base image, with a Python")
    kind = image.add_mutually_exclusive_group()
    kind.add_argument("--bundle", action="store_true", help="an image of the bundle alone")
    kind.add_argument("--gpu", action="store_true", help="the variant for NVIDIA GPUs")
    image.add_argument("--index", help="URL of the package index for pip")
    image.add_argument("--ca", type=Path, help="file of CA certificates for pip")
    run = commands.add_parser("run", help="start it on 127.0.0.1")
    run.set_defaults(command=run_command)
    run.add_argument("--port", type=int, default=8000)
    run.add_argument("--gpu", action="store_true", help="the variant for GPUs, with all of them")
    for command in (image, run):
        command.add_argument("--tag", help="the image's name")
        command.add_argument(
            "engine_options", nargs="*", metavar="-- OPTION", help="more options of the engine"
        )
    return parser


if __name__ == "__main__":
    sys.exit(main())
