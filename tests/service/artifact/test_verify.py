"""Damage anywhere in a bundle is found before anything of it is deserialised."""

import errno
import hashlib
import json
import random
import re
import shutil
from pathlib import Path

import pytest

from service import startup
from service.artifact import verify as verification
from service.artifact.__main__ import main
from service.artifact.manifest import MANIFEST, MANIFEST_DIGEST, Manifest, digest_line
from service.artifact.verify import Bundle, check_code, environment_differences, verify
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
    with pytest.raises(OperatorError, match=r"no such folder.*python -m service\.artifact build"):
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
    digest = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    (folder / MANIFEST_DIGEST).write_bytes(digest_line(digest))


def test_manifest_of_another_version(bundle_copy: Path) -> None:
    rewrite_manifest(bundle_copy, schema_version=2)
    with pytest.raises(OperatorError, match="does not fit this version of the service: schema_ver"):
        verify(bundle_copy)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("forms", "eager", "file"), "../eager", "forms.eager.file is not among the files"),
        (("forms", "eager", "golden"), {}, "forms.eager.golden is empty"),
        (("forms", "eager", "golden"), {"../secret": {1: 0.5}}, "photo ../secret is not among"),
        (("forms", "eager", "golden_tolerance"), 5, "golden_tolerance"),
        (("forms", "tensorrt"), None, "tensorrt"),
        (("labels",), ["cat", "dog"], "has no label"),
        (("output", "shape"), ["batch", 7], "there is not one label a class"),
        (("default_form",), "none", "default form none is not there"),
        (("files", "code/preprocessing.py"), None, "code/ is incomplete"),
    ],
)
def test_manifest_that_contradicts_itself(
    bundle_copy: Path, path: tuple[str, ...], value: object, words: str
) -> None:
    manifest = json.loads((bundle_copy / MANIFEST).read_text())
    place = manifest
    for name in path[:-1]:
        place = place[name]
    if path == ("forms", "tensorrt"):
        value = place["eager"]
    place[path[-1]] = value
    if value is None:
        del place[path[-1]]
    rewrite_manifest(bundle_copy, **manifest)
    with pytest.raises(OperatorError, match=re.escape(words)):
        verify(bundle_copy)


def test_file_that_cannot_be_read(bundle_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path) -> str:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(verification, "sha256", denied)
    with pytest.raises(OperatorError, match=r"cannot be read: Permission denied\. Give this user"):
        verify(bundle_copy)


def test_other_code(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_code(bundle)
    changed = tmp_path / "preprocessing.py"
    changed.write_text("# another filter\n")
    monkeypatch.setattr(verification, "code_files", lambda: {"code/preprocessing.py": changed})
    with pytest.raises(OperatorError, match="not the code that the artifact was validated with"):
        check_code(bundle)


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


def test_command_line(
    bundle: Bundle, bundle_copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(bundle.path)]) == 0
    assert bundle.digest in capsys.readouterr().out
    assert main(["inspect", str(bundle.path)]) == 0
    assert json.loads(capsys.readouterr().out) == bundle.manifest.model_dump(mode="json")
    (bundle_copy / "model.onnx").write_bytes(b"")
    for command in ("verify", "inspect"):
        assert main([command, str(bundle_copy)]) == 1
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.count("\n") == 1
        assert captured.err.startswith("error: ")
