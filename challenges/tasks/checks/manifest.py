"""Task manifest: whatever is changed in an artifact, is noticed, and named."""

import hashlib
import json
import random
import shutil
from pathlib import Path
from types import ModuleType

from challenges.tasks.checking import Wrong, own_module, place_of, said
from challenges.tasks.graphs import run_own
from learner.language import _

WRITE, VERIFY = "manifest.py, write_manifest", "manifest.py, verify"
FILES = {
    "features.onnx": random.Random(1).randbytes(300_000),
    "labels.txt": b"espresso\nEgyptian cat\n",
    "preprocessing.py": b"RESIZE, CROP = 256, 224\n",
}
FLIPS = 12
"""Bits that are flipped in each file, one at a time."""


def check(folder: Path) -> None:
    """Write the manifest of an artifact, then damage the artifact in many ways.

    Raises:
        Wrong: damage is not noticed, or a whole artifact is refused.
    """
    module = own_module(folder, "manifest")
    names = str(module.MANIFEST), str(module.OWN)
    artifact = folder / "checked"
    artifact.mkdir()
    for name, content in FILES.items():
        (artifact / name).write_bytes(content)
    run_own(folder, "write_manifest", module.write_manifest, artifact)
    _check_written(artifact, *names)
    _demand_accepted(module, artifact, folder)
    for name in (*FILES, *names):
        _check_flips(module, artifact, name, names)
        _check_missing(module, artifact, name, names)
    _check_exchanged(module, artifact, *names)
    _demand_accepted(module, artifact, folder)


def _check_written(artifact: Path, manifest: str, own: str) -> None:
    for name, content in FILES.items():
        if not (artifact / name).is_file() or (artifact / name).read_bytes() != content:
            raise Wrong(
                expected=_("The files themselves stay as they are."),
                found=_("{file} was changed.").format(file=name),
                look=WRITE,
            )
    for name in (manifest, own):
        if not (artifact / name).is_file():
            raise Wrong(
                expected=_("`write_manifest` writes {file}.").format(file=name),
                found=_("There is no such file."),
                look=WRITE,
            )
    try:
        found = json.loads((artifact / manifest).read_bytes())
    except ValueError:
        found = None
    right = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    if found != right:
        raise Wrong(
            expected=_('The manifest is JSON, {{"labels.txt": "{digest}…", …}}, all files.').format(
                digest=right["labels.txt"][:6]
            ),
            found=(artifact / manifest).read_text("utf-8", "replace")[:200],
            look=WRITE,
        )


def _demand_accepted(module: ModuleType, artifact: Path, folder: Path) -> None:
    try:
        module.verify(artifact)
    except Exception as error:
        raise Wrong(
            expected=_("`verify` accepts an artifact that nobody has changed."),
            found=said(error),
            look=place_of(error, folder),
        ) from error


def _check_flips(module: ModuleType, artifact: Path, name: str, names: tuple[str, str]) -> None:
    path = artifact / name
    whole = path.read_bytes()
    chance = random.Random(name)
    for _flip in range(FLIPS):
        at, bit = chance.randrange(min(len(whole), 1 << 30)), chance.randrange(8)
        damaged = bytearray(whole)
        damaged[at] ^= 1 << bit
        path.write_bytes(damaged)
        change = _("Bit {bit} of byte {at:,} of {file} was flipped.")
        change = change.format(bit=bit, at=at, file=name)
        _demand_refusal(module, artifact, name, names, change)
        path.write_bytes(whole)


def _check_missing(module: ModuleType, artifact: Path, name: str, names: tuple[str, str]) -> None:
    path, aside = artifact / name, artifact.with_name("aside")
    path.rename(aside)
    change = _("{file} was taken away.").format(file=name)
    _demand_refusal(module, artifact, name, names, change)
    aside.rename(path)


def _check_exchanged(module: ModuleType, artifact: Path, manifest: str, own: str) -> None:
    """Another file, and a manifest that fits it: only the manifest's own digest tells."""
    kept = artifact.with_name("kept")
    shutil.copytree(artifact, kept)
    (artifact / "labels.txt").write_bytes(b"banana\nbanana\n")
    run_own(artifact.parent, "write_manifest", module.write_manifest, artifact)
    shutil.copyfile(kept / own, artifact / own)
    change = _("labels.txt was exchanged, and {manifest} made to fit it.").format(manifest=manifest)
    _demand_refusal(module, artifact, manifest, (manifest, own), change)
    shutil.rmtree(artifact)
    kept.rename(artifact)


def _demand_refusal(
    module: ModuleType, artifact: Path, name: str, names: tuple[str, str], change: str
) -> None:
    """`verify` must raise, and name the file; of manifest and digest either, as both may be it."""
    known = names if name in names else (name,)
    expected = _("{change} `verify` raises ValueError, and names the file.").format(change=change)
    try:
        module.verify(artifact)
    except (ValueError, OSError) as error:
        if not any(one in str(error) for one in known):
            raise Wrong(expected=expected, found=said(error), look=VERIFY) from error
    except Exception as error:
        raise Wrong(expected=expected, found=said(error), look=VERIFY) from error
    else:
        raise Wrong(expected=expected, found=_("It was accepted."), look=VERIFY)
