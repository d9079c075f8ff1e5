"""Validate a bundle again in another environment: `python -m service.artifact validate BUNDLE`.

A bundle names the environment that it was validated in, and a service refuses to start in another
one. Here each form that this environment can run answers the golden photos as it did at the build,
and agrees over random crops of them with the form in fp32, which the golden photos have tied to the
build. This needs no torch if the bundle has ONNX forms.
"""

import platform
import shutil
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path

from service.artifact import parity
from service.artifact.code import check_code
from service.artifact.manifest import Environment, FormRecord, Manifest, Origin
from service.artifact.placement import (
    DISK_FAULTS,
    check_destination,
    explain_disk_fault,
    put_in_place,
    sync,
    temporary_sibling,
    write_manifest,
)
from service.artifact.verify import (
    Bundle,
    installed_version,
    replay,
    running_python,
    verify,
)
from service.engines import BF16, FORMS, load_engine
from service.engines.base import Engine, Form, PixelBatch, Probabilities
from service.errors import OperatorError, write_command
from service.machine import available_cores

CROPS = 200
_BOUNDS = {"fp32": parity.FP32, "int8": parity.INT8, "bf16": parity.BF16}

Say = Callable[[str], None]


def validate(path: Path, output: Path | None, say: Say = print) -> Manifest:
    """Validate each form that can run here, and write a bundle of these forms.

    Args:
        path: the bundle's folder; it is not changed.
        output: folder of the new bundle, which has another digest and names that of the old one in
            `validated_from`; None: only find out.
        say: called with a line of text for each step.

    Raises:
        OperatorError: the bundle is damaged, or no form answers here as it did at the build.
    """
    if output is not None:
        check_destination(output)
    bundle = verify(path)
    engines = _load_forms(bundle, say)
    crops = parity.random_crops(
        [BytesIO(bundle.read(photo)) for photo in _list_golden(bundle.manifest, engines)],
        CROPS, 0, bundle.manifest.preprocessing,
    )  # fmt: skip
    _compare(bundle.manifest, engines, crops, say)
    say("timing the forms, in turns")
    manifest = _renew(bundle, parity.milliseconds_per_image(engines, crops))
    say(f"default form: {manifest.default_form}, {manifest.default_form_reason}")
    if output is not None:
        say(f"written: {output}, digest {_write(bundle, manifest, output).digest}")
    return manifest


def _load_forms(bundle: Bundle, say: Say) -> dict[str, Engine]:
    """Load each form that answers the golden photos here as at the build; say why others do not."""
    engines: dict[str, Engine] = {}
    for number, (name, record) in enumerate(bundle.manifest.forms.items(), 1):
        form, start = FORMS[name], f"[validate {number}/{len(bundle.manifest.forms)}] {name}"
        try:
            check_code(bundle, form)
            _check_packages(form)
            engine = load_engine(
                form, bundle.file(record.file), record.parity.device, available_cores()
            )
            largest = replay(bundle, form, engine)
        except Exception as error:  # of each runtime another one
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            say(f"{start}: left out: {reason}")
            continue
        engines[name] = engine
        say(
            f"{start}: {len(record.golden)} golden photos as at the build, largest difference of a "
            f"probability {largest:.1e}, tolerance {record.golden_tolerance:g}"
        )
    if not engines:
        raise OperatorError(
            f"{bundle.path}: no form could be validated here; the lines above say why. Build the "
            f"artifact in this environment: {write_command('service.artifact build')}"
        )
    return engines


def _check_packages(form: Form) -> None:
    for package in form.packages:
        if installed_version(package) is None:
            raise OperatorError(f"{package} is not installed")


def _list_golden(manifest: Manifest, forms: Mapping[str, object]) -> list[str]:
    return sorted({photo for name in forms for photo in manifest.forms[name].golden})


def _compare(manifest: Manifest, engines: dict[str, Engine], crops: PixelBatch, say: Say) -> None:
    """Compare the forms over crops; one that misses its bound is removed from `engines`."""
    reference: Probabilities | None = None
    for name in [form for form in FORMS if form in engines]:  # the forms in fp32 come first
        precision = manifest.forms[name].precision
        if reference is None and precision != "fp32":
            say(f"{name}: no form in fp32 to compare it with over crops; the golden photos count")
            continue
        found = parity.probabilities_of(engines[name], crops)
        if reference is None:
            reference = found
            continue
        sure = int((reference.max(axis=1) > parity.SURE).sum())
        if precision == "int8" and sure < parity.FEWEST_SURE_CROPS:
            say(f"{name}: only {sure} sure crops, too few to judge; the golden photos count")
            continue
        device = manifest.forms[name].parity.device
        try:
            measured = parity.measure_parity(name, _BOUNDS[precision], reference, found, device)
        except OperatorError as error:
            say(f"{name}: left out: {error}")
            del engines[name]
            continue
        say(
            f"{name}: same first class as fp32 on {measured.top1_agreement:.2%} of "
            f"{measured.crops} crops ({measured.top1_agreement_sure:.2%} of the sure ones)"
        )


def _renew(bundle: Bundle, times: Mapping[str, float]) -> Manifest:
    """Return the manifest of what was validated here, without the other forms and their files."""
    old = bundle.manifest
    forms = {
        name: record.model_copy(update={"milliseconds_per_image": times[name]})
        for name, record in old.forms.items()
        if name in times
    }
    left_out = [old.forms[name].file for name in old.forms.keys() - forms.keys()]
    places = {file if "/" not in file else f"{Path(file).parent}/" for file in left_out}
    if BF16 not in forms:
        places.add("compiled/")  # what was made from it
    default, reason = choose_default(forms)
    origin = Origin(digest=bundle.digest, environment=old.environment)
    return old.model_copy(
        update={
            "environment": describe_environment(),
            "validated_from": (*old.validated_from, origin),
            "forms": forms,
            "default_form": default,
            "default_form_reason": reason,
            "files": {
                name: file
                for name, file in old.files.items()
                if not any(name == place or name.startswith(place) for place in places)
            },
        }
    )


def _write(bundle: Bundle, manifest: Manifest, output: Path) -> Bundle:
    try:
        with temporary_sibling(output) as folder:
            for name in manifest.files:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(bundle.path / name, folder / name)  # and verified below
            write_manifest(folder, manifest)
            sync(folder)
            verify(folder)
            put_in_place(folder, output)
    except OSError as error:
        if error.errno not in DISK_FAULTS:
            raise
        raise explain_disk_fault(error, output) from error
    return verify(output)


def choose_default(records: Mapping[str, FormRecord]) -> tuple[str, str]:
    """Return the fastest form that keeps the accuracy floor and needs no torch, and the reason.

    If there is none, torch forms are candidates too; if there is still none, all forms.
    """
    worthy = [name for name, record in records.items() if parity.may_be_default(record.parity)]
    without_torch = [name for name in worthy if not FORMS[name].needs_torch]
    candidates = without_torch or worthy or list(records)
    ranking = sorted(candidates, key=lambda name: records[name].milliseconds_per_image)
    times = ", ".join(f"{name} {records[name].milliseconds_per_image:.1f}" for name in ranking)
    floor = (
        f"the forms that agree with eager fp32 on at least {parity.DEFAULT_SURE_AGREEMENT:.0%} of "
        f"the sure and {parity.DEFAULT_AGREEMENT:.0%} of all crops"
        if worthy
        else "all forms, none of which keeps the accuracy floor"
    )
    return ranking[0], (
        f"fastest on the machine that validated it ({available_cores()} cores, ms an image: "
        f"{times}) of {floor}{', and need no torch' if without_torch else ''}"
    )


def describe_environment() -> Environment:
    """Return the versions of all that can take part in an answer here."""
    packages = sorted({package for form in FORMS.values() for package in form.packages})
    versions = {package: installed_version(package) for package in packages}
    return Environment(
        python=running_python(),
        system=platform.system(),
        machine=platform.machine(),
        packages={package: version for package, version in versions.items() if version},
    )
