"""Damage anywhere in a bundle is found before anything of it is deserialised."""

import errno
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from service import startup
from service.artifact.manifest import (
    MANIFEST,
    MANIFEST_DIGEST,
    Manifest,
    digest_line,
)
from service.artifact.verify import (
    Bundle,
    environment_differences,
    read_bundle,
    verify,
)
from service.engines import FORMS, load_engine
from service.engines.base import Engine
from service.errors import OperatorError
from service.settings import Settings

BIT_FLIPS, TRUNCATIONS = 1000, 100


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_default_artifact_is_whole(bundle: Bundle) -> None:
    listed = {*bundle.manifest.files, MANIFEST, MANIFEST_DIGEST}
    assert {path.relative_to(bundle.path).as_posix() for path in files_of(bundle.path)} == listed
    assert bundle.digest == hashlib.sha256((bundle.path / MANIFEST).read_bytes()).hexdigest()


def test_every_bit_counts(bundle_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand random bits, a hundred random cuts: all refused, nothing deserialised.

    Half of the bits fall anywhere (so mostly into the large files), half into a file chosen first
    (so into small ones too).
    """
    deserialised: list[Path] = []
    monkeypatch.setattr(startup, "load_engine", lambda _, path, *__: deserialised.append(path))
    settings = Settings(artifact=bundle_copy, device="cpu")
    dice = random.Random(0)
    files = files_of(bundle_copy)
    sizes = [path.stat().st_size for path in files]

    def pick(number: int) -> tuple[Path, int]:
        path = dice.choice(files) if number % 2 else dice.choices(files, sizes)[0]
        return path, dice.randrange(path.stat().st_size)

    refused = 0
    for number in range(BIT_FLIPS):
        path, position = pick(number)
        with path.open("r+b") as file:
            file.seek(position)
            (byte,) = file.read(1)
            file.seek(position)
            file.write(bytes([byte ^ 1 << dice.randrange(8)]))
            file.flush()
            with pytest.raises(OperatorError):
                startup.load_model(settings)
            refused += 1
            file.seek(position)
            file.write(bytes([byte]))
    for number in range(TRUNCATIONS):
        path, length = pick(number)
        whole = path.read_bytes()
        with path.open("r+b") as file:
            file.truncate(length)
        with pytest.raises(OperatorError):
            startup.load_model(settings)
        refused += 1
        path.write_bytes(whole)
    print(f"{BIT_FLIPS} bit flips, {TRUNCATIONS} truncations: {refused} refusals")
    assert refused == BIT_FLIPS + TRUNCATIONS
    assert deserialised == []
    verify(bundle_copy)  # every change was undone, so it was each change that was refused


def test_a_changed_manifest_is_not_even_parsed(
    bundle_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parse(_: object) -> Manifest:
        raise AssertionError("parsed before it was verified")

    monkeypatch.setattr(Manifest, "model_validate_json", parse)
    (bundle_copy / MANIFEST).write_bytes((bundle_copy / MANIFEST).read_bytes() + b" ")
    with pytest.raises(OperatorError, match=r"manifest\.json was changed"):
        verify(bundle_copy)


def test_refusals_say_what_expected_found_and_what_to_do(bundle_copy: Path) -> None:
    model = bundle_copy / "model.onnx"
    data = model.read_bytes()
    model.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(OperatorError) as fault:
        verify(bundle_copy)
    expected, found = (hashlib.sha256(one).hexdigest() for one in (data, model.read_bytes()))
    for words in (str(model), f"expected the SHA-256 {expected}", f"found {found}", "Restore it"):
        assert words in str(fault.value)


def test_missing_added_and_linked_files(bundle_copy: Path, tmp_path: Path) -> None:
    model = bundle_copy / "model.onnx"
    elsewhere = tmp_path / "elsewhere.onnx"
    model.rename(elsewhere)
    with pytest.raises(OperatorError, match=r"model\.onnx is missing"):
        verify(bundle_copy)
    model.symlink_to(elsewhere)
    with pytest.raises(OperatorError, match=r"model\.onnx is a link, expected a file"):
        verify(bundle_copy)
    model.unlink()
    shutil.copyfile(elsewhere, model)
    verify(bundle_copy)
    (bundle_copy / "code" / "extra.so").touch()
    with pytest.raises(OperatorError, match=r"extra\.so does not belong to the artifact"):
        verify(bundle_copy)


@pytest.mark.parametrize("name", [MANIFEST, MANIFEST_DIGEST])
def test_incomplete_bundle(bundle_copy: Path, name: str) -> None:
    (bundle_copy / name).unlink()
    with pytest.raises(OperatorError, match=f"expected a file {name}, found none"):
        verify(bundle_copy)


def test_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"no such folder.*/python -m service\.artifact build"):
        verify(tmp_path / "nothing")


def test_pinned_digest(bundle: Bundle) -> None:
    assert verify(bundle.path, bundle.digest).digest == bundle.digest
    with pytest.raises(OperatorError, match=f"expected the digest {'0' * 64}, found"):
        verify(bundle.path, "0" * 64)


def rewrite_manifest(folder: Path, **changes: object) -> None:
    """Change a manifest as its builder could: its digest is right."""
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest.update(changes)
    (folder / MANIFEST).write_text(json.dumps(manifest))
    sign_off(folder)


def sign_off(folder: Path) -> None:
    digest = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    (folder / MANIFEST_DIGEST).write_bytes(digest_line(digest))


def record_file(folder: Path, name: str) -> None:
    """Make a changed file a part of the bundle, as its builder could."""
    files = json.loads((folder / MANIFEST).read_text())["files"]
    data = (folder / name).read_bytes()
    files[name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    rewrite_manifest(folder, files=files)


def test_manifest_that_is_too_large_or_of_no_version(
    bundle_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = json.loads((bundle_copy / MANIFEST).read_text())
    del manifest["schema_version"]
    (bundle_copy / MANIFEST).write_text(json.dumps(manifest))
    sign_off(bundle_copy)
    with pytest.raises(OperatorError, match="schema_version: Field required"):
        verify(bundle_copy)
    with (bundle_copy / MANIFEST).open("r+b") as file:
        file.truncate(300 * 2**20)  # sparse: it takes no disk
    monkeypatch.setattr(hashlib, "sha256", None)  # so much is not even hashed
    with pytest.raises(OperatorError, match="is too large: expected at most 67,108,864 bytes"):
        verify(bundle_copy)


def test_folder_or_pipe_in_the_place_of_a_file(bundle_copy: Path) -> None:
    (bundle_copy / "more").mkdir()
    with pytest.raises(OperatorError, match="more does not belong to the artifact"):
        verify(bundle_copy)
    (bundle_copy / "more").rmdir()
    model = bundle_copy / "model.onnx"
    model.unlink()
    for make, remove in ((os.mkfifo, os.unlink), (os.mkdir, os.rmdir)):
        make(model)
        with pytest.raises(OperatorError, match=r"model\.onnx is a folder, a pipe or a device"):
            verify(bundle_copy)
        with pytest.raises(OperatorError, match=r"model\.onnx cannot be read: it is no file"):
            read_bundle(bundle_copy, None).read("model.onnx")
        remove(model)


def test_folder_that_is_reached_through_a_link(bundle: Bundle, tmp_path: Path) -> None:
    """KServe's modelcar hands over a link. What is read through it is hashed all the same."""
    (tmp_path / "models").symlink_to(bundle.path)
    assert verify(tmp_path / "models").digest == bundle.digest


def test_file_that_cannot_be_read(bundle_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path, *_: int) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    bundle = verify(bundle_copy)
    monkeypatch.setattr(os, "open", denied)
    for read in (lambda: verify(bundle_copy), lambda: bundle.read("model.onnx")):
        with pytest.raises(OperatorError, match=r"cannot be read: Permission denied\. Give this"):
            read()


def test_adapters_import_the_model_definition_only_where_it_is_run() -> None:
    script = (
        "import importlib, sys\n"
        "from service.engines import FORMS\n"
        "for form in sorted(FORMS.values(), key=lambda form: form.runs_model_definition):\n"
        "    importlib.import_module(form.adapter)\n"
        "    imported = 'service.model_definition' in sys.modules\n"
        "    assert imported == form.runs_model_definition, form.name"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_other_environment(bundle: Bundle) -> None:
    manifest, packages = bundle.manifest, ("pillow", "onnxruntime")
    assert environment_differences(manifest, packages) == []
    validated = {**manifest.environment.packages, "pillow": "1.0"}
    other = manifest.environment.model_copy(update={"packages": validated, "python": "3.4"})
    found = environment_differences(manifest.model_copy(update={"environment": other}), packages)
    assert len(found) == 2
    assert found[0].endswith("(validated with 3.4)")
    assert found[1].startswith("pillow ")
    assert found[1].endswith("(validated with 1.0)")


INT8, FP32 = "model.int8.onnx", "model.onnx"


class Swapper:
    """A program that may write to a bundle's folder: it changes a file while a service starts."""

    def __init__(self, folder: Path) -> None:
        self.target = folder / INT8
        self.right, self.other = self.target.read_bytes(), (folder / FP32).read_bytes()
        self._beside = folder.with_name("beside")

    def replace(self, data: bytes) -> None:
        self._beside.write_bytes(data)
        self._beside.replace(self.target)

    def overwrite(self, data: bytes) -> None:
        with self.target.open("r+b") as file:
            file.write(data)
            file.truncate(len(data))


def answer(engine: Engine) -> list[float]:
    pixels = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), np.uint8)
    return [float(probability) for probability in engine(pixels)[0]]


@pytest.mark.parametrize("how", ["replace", "overwrite"])
@pytest.mark.parametrize("moment", ["environment_differences", "load_engine", "replay"])
def test_model_swapped_after_the_check_is_not_served(
    bundle: Bundle, bundle_copy: Path, monkeypatch: pytest.MonkeyPatch, moment: str, how: str
) -> None:
    """At the worst moments: after the hashes, before the load, after it.

    The other model is a right one, whose answers differ so little that the replay lets it pass.
    """
    swapper = Swapper(bundle_copy)
    step = getattr(startup, moment)

    def swap_first(*arguments: object) -> object:
        getattr(swapper, how)(swapper.other)
        return step(*arguments)

    monkeypatch.setattr(startup, moment, swap_first)
    settings = Settings(artifact=bundle_copy, engine="onnx-int8", device="cpu", threads=1)
    if moment != "replay":
        with pytest.raises(OperatorError, match=r"model\.int8\.onnx was changed"):
            startup.load_model(settings)
    else:
        model = startup.load_model(settings)
        validated = load_engine(FORMS["onnx-int8"], bundle.path / INT8, "cpu", 1)
        assert answer(model.plan.engine) == answer(validated)
        model.close()
    assert swapper.target.read_bytes() == swapper.other


@pytest.mark.parametrize("how", ["replace", "overwrite"])
def test_what_is_read_was_hashed_while_files_are_swapped(bundle_copy: Path, how: str) -> None:
    """At random moments, also in the middle of reading: right bytes, or a refusal."""
    swapper = Swapper(bundle_copy)
    bundle = verify(bundle_copy)
    read: list[bytes] = []
    refusals = 0
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            for data in (swapper.other, swapper.right):
                getattr(swapper, how)(data)

    with ThreadPoolExecutor() as pool:
        swapping = pool.submit(swap)
        while not swapping.done() and (refusals < 20 or len(read) < 20):
            try:
                read = [*read, bundle.file(INT8).read_bytes()]
            except OperatorError:
                refusals += 1
        done.set()
        swapping.result()
    assert set(read) == {swapper.right}
