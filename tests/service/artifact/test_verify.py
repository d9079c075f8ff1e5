"""Damage anywhere in a bundle is found before anything of it is deserialised."""

import ast
import errno
import hashlib
import json
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Protocol

import pytest

from service import startup
from service.artifact import verify as verification
from service.artifact.manifest import (
    MANIFEST,
    MANIFEST_DIGEST,
    MODEL_DEFINITION,
    PREPROCESSING,
    Manifest,
    code_files,
    digest_line,
)
from service.artifact.verify import Bundle, check_code, environment_differences, verify
from service.engines import FORMS
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
    digest = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    (folder / MANIFEST_DIGEST).write_bytes(digest_line(digest))


def test_file_that_cannot_be_read(bundle_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path) -> str:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(verification, "sha256", denied)
    with pytest.raises(OperatorError, match=r"cannot be read: Permission denied\. Give this user"):
        verify(bundle_copy)


class Run(Protocol):
    """Has another source run in the place of one of the two files."""

    def __call__(self, name: str, source: str) -> Path: ...


@pytest.fixture
def run_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    def run(name: str, source: str) -> Path:
        path = tmp_path / Path(name).name
        path.write_text(source, "utf-8")
        monkeypatch.setattr(verification, "code_files", lambda: {**code_files(), name: path})
        return path

    return run


EAGER, ONNX = FORMS["eager"], FORMS["onnx-fp32"]


@pytest.mark.parametrize("name", [PREPROCESSING, MODEL_DEFINITION])
def test_code_that_does_the_same_is_accepted(bundle: Bundle, run_code: Run, name: str) -> None:
    """Another comment, layout and docstring, of the module, a function, a class, a value."""
    check_code(bundle)
    tree = ast.parse((bundle.path / name).read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value.value = "Something else."
    code = ast.unparse(tree)
    assert code.count("Something else.") > 5
    run_code(name, "# A licence.\n\n" + code.replace("\n", "\n\n"))
    for form in (None, EAGER, ONNX):
        check_code(bundle, form)


@pytest.mark.parametrize(
    ("name", "before", "after", "expected", "found"),
    [
        (PREPROCESSING, "MIN_SIDE = 16", "MIN_SIDE = 8", "MIN_SIDE = 16", "MIN_SIDE = 8"),
        (PREPROCESSING, "crop: int = 224", "crop: int = 225", "crop: int = 224", "crop: int = 225"),
        (PREPROCESSING, "    image.load()\n", "", "image.load()", "return (width, height)"),
        (MODEL_DEFINITION, "eps=1e-3", "eps=1e-5", "eps=0.001", "eps=1e-05"),
    ],
)
def test_code_that_does_something_else_is_refused(
    bundle: Bundle, run_code: Run, name: str, before: str, after: str, expected: str, found: str
) -> None:
    shipped = bundle.path / name
    source = shipped.read_text("utf-8")
    assert source.count(before) == 1
    running = run_code(name, source.replace(before, after))
    words = (
        rf"{running} is not the code that the artifact was validated with: expected "
        rf"`.*{re.escape(expected)}.*` \({shipped}\), found `.*{re.escape(found)}.*`\. "
        r"Check out that version, or validate the new one: \S*python -m service\.artifact build"
    )
    with pytest.raises(OperatorError, match=words):
        check_code(bundle, EAGER)
    with pytest.raises(OperatorError, match=words):
        check_code(bundle)


def test_code_that_ends_early_is_refused(bundle: Bundle, run_code: Run) -> None:
    source = (bundle.path / PREPROCESSING).read_text("utf-8")
    run_code(PREPROCESSING, source.rsplit("\n", 2)[0])
    with pytest.raises(OperatorError, match=r"found the end of the file\. Check out"):
        check_code(bundle, ONNX)


def test_code_for_a_newer_python_is_refused(
    bundle_copy: Path, bundle: Bundle, run_code: Run
) -> None:
    (bundle_copy / PREPROCESSING).write_text("match = lambda: !")
    run_code(PREPROCESSING, "MIN_SIDE = 16")
    with pytest.raises(OperatorError, match=r"preprocessing\.py is no code for Python 3\."):
        check_code(Bundle(bundle_copy, bundle.manifest, bundle.digest), ONNX)


def test_only_eager_needs_the_model_definition(bundle: Bundle, run_code: Run) -> None:
    run_code(MODEL_DEFINITION, "# gone")
    for form in FORMS.values():
        if not form.runs_model_definition:
            check_code(bundle, form)
    with pytest.raises(OperatorError, match=r"model_definition\.py is not the code"):
        check_code(bundle, EAGER)


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
