"""`python -m service.artifact build | compile | …`: make, check, sign and read bundles."""

import argparse
import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from service.artifact.code import check_code
from service.artifact.progress import Progress
from service.artifact.verify import (
    environment_differences,
    installed_version,
    verify,
)
from service.engines import BF16, FORMS, SCREENED, STANDARD_FORMS
from service.errors import OperatorError, write_command
from service.runner.tuning import let_waiting_threads_sleep
from service.settings import DEFAULT_ARTIFACT

PREPROCESSING_OPTIONS = (
    "mean", "std", "resize", "crop", "interpolation", "colour_order", "activation",
)  # fmt: skip
"""Fields of `recipe.Preprocessing` that the command line can change."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit status: 0, or 1 with one line that says why."""
    options = _make_parser().parse_args(arguments)
    let_waiting_threads_sleep()
    try:
        options.run(options)
    except OperatorError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; nothing was left behind", file=sys.stderr)
        return 130
    except BrokenPipeError:  # inspect | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _build(options: argparse.Namespace) -> None:
    with Progress() as progress:
        _build_shown(options, progress)


def _build_shown(options: argparse.Namespace, progress: Progress) -> None:
    progress.note("[build]", "load packages")
    if options.architecture is None and find_spec("torch") is None:
        from service.artifact.default_model import build_default

        build_default(options.output, progress.say, progress.note)
        return
    from service.engines.torch_versions import check_torch_pair

    check_torch_pair()  # before torchvision is imported and breaks on it
    from service.artifact.build import build
    from service.artifact.placement import check_destination
    from service.artifact.recipe import OwnModel, default_recipe, own_recipe

    own = OwnModel(
        architecture=options.architecture,
        weights=options.weights,
        model=options.model,
        labels=options.labels,
        photos=options.photos,
        answers=options.answers,
        arguments=options.arguments,
        changes={
            name: getattr(options, name)
            for name in PREPROCESSING_OPTIONS
            if getattr(options, name) is not None
        },
        ships_photos=not options.no_photos,
    )
    is_own = bool(own.architecture or own.model)
    if own.architecture and own.model:
        raise OperatorError("--architecture and --model: give one of them")
    if not is_own:
        single = ("weights", "labels", "photos", "answers", "arguments", "name", "version")
        if given := [
            f"--{option.replace('_', '-')}"
            for option in (*single, *PREPROCESSING_OPTIONS, "no_photos")
            if getattr(options, option)
        ]:
            raise OperatorError(
                f"{', '.join(given)}: for a model of your own only; add --architecture or --model"
            )
    if own.architecture and not own.weights:
        raise OperatorError(
            "--architecture needs --weights (safetensors, or seeded:0) and --labels (text)"
        )
    replaces = options.replace or not is_own
    check_destination(options.output, replaces)  # before weights are read
    recipe = (
        own_recipe(
            name=options.name or _make_name(own.architecture or Path(own.model or "").stem),
            version=options.version or "1.0.0",
            own=own,
            forms=options.forms,
        )
        if is_own
        else default_recipe(options.forms)
    )
    build(recipe, options.output, progress.say, replaces, progress.note)


def _make_name(text: str) -> str:
    return text.replace("_", "-")


def _compile(options: argparse.Namespace) -> None:
    from service.engines.torch_versions import check_torch_pair

    check_torch_pair()
    if options.device == "cuda":
        from service.gpu.diagnosis import find_obstacle, read_gpu_facts

        if obstacle := find_obstacle(read_gpu_facts()):
            raise OperatorError(f"--device cuda: {obstacle}")
    from service.artifact.compiled import compile_bundle

    compile_bundle(options.path, options.device, lambda line: print(line, flush=True))


def _verify(options: argparse.Namespace) -> None:
    bundle = verify(options.path, options.digest)
    check_code(bundle)
    words = ["all as recorded", "code and environment match"]
    if options.key is not None:
        from service.artifact.signing import check_signature

        check_signature(bundle, options.key)
        words.insert(1, "signed by that key")
    for name in bundle.manifest.forms:
        packages = FORMS[name].packages
        if missing := [package for package in packages if installed_version(package) is None]:
            words.append(f"{name} not compared, for lack of {', '.join(missing)}")
        elif differences := environment_differences(bundle.manifest, packages):
            raise OperatorError(
                f"{name}: not the environment that it was validated in: {'; '.join(differences)}. "
                "Install the locked one (make setup), or validate the artifact in this one: "
                f"{write_command('service.artifact validate')} {options.path} --output NEW"
            )
    print(
        f"{options.path}: {bundle.manifest.name} {bundle.manifest.version}, "
        f"{len(bundle.manifest.files)} files, {bundle.size:,} bytes, {'; '.join(words)}; "
        f"digest {bundle.digest}"
    )


def _validate(options: argparse.Namespace) -> None:
    from service.artifact.validate import validate

    validate(options.path, options.output, lambda line: print(line, flush=True))


def _sign(options: argparse.Namespace) -> None:
    from service.artifact.signing import sign

    bundle = sign(options.path, options.key)
    print(f"{options.path}: signed by {options.key}; digest {bundle.digest}")


def _inspect(options: argparse.Namespace) -> None:
    bundle = verify(options.path)
    print(json.dumps(bundle.manifest.model_dump(mode="json"), indent=2, ensure_ascii=False))


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=write_command("service.artifact"), description=__doc__)
    commands = parser.add_subparsers(
        required=True, metavar="build | compile | validate | sign | verify | inspect"
    )

    build = commands.add_parser("build", help="export, measure and record a model")
    build.set_defaults(run=_build)
    build.add_argument("--output", type=Path, default=DEFAULT_ARTIFACT, help="the bundle's folder")
    build.add_argument(
        "--forms",
        type=_parse_forms,
        default=STANDARD_FORMS,
        help=f"some of {','.join(FORMS)} (default: all but {SCREENED}, which pays for very many "
        f"classes, and {BF16}, which is for a GPU)",
    )
    build.add_argument(
        "--replace", action="store_true", help="replace an older bundle of one's own"
    )
    own = build.add_argument_group("a model of your own (else EfficientNet-Lite0 is built)")
    own.add_argument("--architecture", help="its name in torchvision.models: resnet50, vit_b_16 …")
    own.add_argument("--weights", type=Path, help="safetensors or checkpoint of its state_dict; "
                     "seeded:0 for random ones (load tests)")  # fmt: skip
    own.add_argument("--model", metavar="FILE.py", help="or: a file with build_model(), which "
                     "returns any module and its preprocessing (docs/artifact.md)")  # fmt: skip
    own.add_argument("--labels", type=Path, help="text file with a label a line, by class id")
    own.add_argument("--photos", type=Path, help="folder of photos to calibrate and measure with")
    own.add_argument("--no-photos", action="store_true", help="ship sample photos, not yours, as "
                     "golden photos (else the first 8 of yours)")  # fmt: skip
    own.add_argument("--answers", help="what your own code answers to the photos: a JSON or CSV "
                     "file, or module:function; every form is held against it")  # fmt: skip
    own.add_argument("--name", help="the model's name in every answer")
    own.add_argument("--version", help="its version (1.0.0)")

    used = build.add_argument_group(
        "how your own model takes images (else as torchvision's newest weights, or build_model())"
    )
    used.add_argument("--arguments", type=_parse_pairs, metavar="KEY=VALUE,… | JSON",
                      help="of torchvision's builder: transform_input=true")  # fmt: skip
    for name in ("mean", "std"):
        used.add_argument(f"--{name}", type=_parse_channels, metavar="R,G,B", help="per channel, "
                          "for pixels from 0 to 1; above 1: from 0 to 255")  # fmt: skip
    used.add_argument("--resize", type=int, help="pixels of the shorter side")
    used.add_argument("--crop", type=int, help="pixels of the square cut from the centre")
    used.add_argument("--interpolation", choices=("bilinear", "bicubic"), help="filter of resize")
    used.add_argument("--colour-order", choices=("RGB", "BGR"), help="order of channels; mean and "
                      "std are in the same order")  # fmt: skip
    used.add_argument("--activation", choices=("softmax", "sigmoid", "none"),
                      help="how outputs become probabilities: classes exclude each other, each "
                      "by itself (several labels an image), or they are that")  # fmt: skip

    compiling = commands.add_parser(
        "compile", help="make the bf16 form as fast as it gets on this machine's GPU"
    )
    compiling.set_defaults(run=_compile)
    compiling.add_argument("--device", choices=("cuda", "cpu"), default="cuda")

    again = commands.add_parser("validate", help="is it the same model in this environment, too?")
    again.set_defaults(run=_validate)
    again.add_argument(
        "--output", type=Path, help="write a bundle of the forms that run, for this environment"
    )  # fmt: skip
    signing = commands.add_parser("sign", help="sign the manifest with a private key")
    signing.set_defaults(run=_sign)
    signing.add_argument("--key", type=Path, required=True, help="EC private key (PEM)")
    check = commands.add_parser("verify", help="is it, to the last bit, what was validated?")
    check.set_defaults(run=_verify)
    check.add_argument("--digest", help="the SHA-256 that manifest.json must have")
    check.add_argument("--key", type=Path, help="EC public key (PEM) of whoever must have signed")
    show = commands.add_parser("inspect", help="print the manifest of a verified bundle")
    show.set_defaults(run=_inspect)
    for command in (compiling, again, signing, check, show):
        command.add_argument(
            "path", type=Path, nargs="?", default=DEFAULT_ARTIFACT, metavar="PATH",
            help="the bundle's folder",
        )  # fmt: skip
    return parser


def _parse_channels(text: str) -> tuple[float, float, float]:
    try:
        red, green, blue = (float(value) for value in text.strip("[]() ").split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected three numbers, such as 0.485,0.456,0.406, found {text!r}"
        ) from None
    return red, green, blue


def _parse_pairs(text: str) -> dict[str, Any]:
    try:
        if text.lstrip().startswith("{"):
            pairs: dict[str, Any] = json.loads(text)
            return pairs
        return {
            key.strip(): _parse_value(value.strip())
            for key, value in (pair.split("=") for pair in text.split(","))
        }
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected key=value,key=value or a JSON object, found {text!r}"
        ) from None


def _parse_value(text: str) -> Any:
    try:
        return json.loads(text.lower() if text in ("True", "False") else text)
    except ValueError:
        return text


def _parse_forms(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for name in names:
        if name not in FORMS:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(FORMS)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
