"""A bundle from another environment is validated here, without torch, or refused with a reason."""

import subprocess
import sys
from pathlib import Path

import pytest

from service import startup
from service.artifact import parity, validate
from service.artifact.__main__ import main
from service.artifact.manifest import FormRecord
from service.artifact.validate import choose_default
from service.artifact.verify import Bundle, verify
from service.errors import OperatorError
from service.settings import ROOT, Settings
from tests.service.artifact.test_verify import rewrite_manifest

WITHOUT_TORCH = """
import sys
from importlib import metadata
ABSENT = ("torch", "torchvision", "safetensors", "onnx", "scikit-image", "scikit-learn")
for name in ("torch", "torchvision", "safetensors", "onnx", "skimage", "sklearn"):
    sys.modules[name] = None
find = metadata.version
def version(name):
    if name in ABSENT:
        raise metadata.PackageNotFoundError(name)
    return find(name)
metadata.version = version
from service.artifact import validate
validate.CROPS = 30
from service.artifact.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def run_without_torch(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT_TORCH, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


@pytest.fixture
def foreign(bundle_copy: Path, bundle: Bundle) -> Path:
    """A bundle that was validated on a Mac, with another Pillow."""
    environment = bundle.manifest.environment.model_dump()
    environment |= {"system": "Darwin", "machine": "arm64"}
    environment["packages"]["pillow"] = "1.0"
    rewrite_manifest(bundle_copy, environment=environment)
    return bundle_copy


def test_bundle_of_another_machine_is_validated_without_torch(
    foreign: Path, tmp_path: Path
) -> None:
    output = tmp_path / "here"
    with pytest.raises(OperatorError, match=r"service\.artifact validate"):
        startup.load_model(Settings(artifact=foreign, device="cpu"))
    done = run_without_torch("validate", str(foreign), "--output", str(output))
    assert done.returncode == 0, done.stderr
    assert "eager: left out: torch is not installed" in done.stdout
    assert "onnx-int8: 7 golden photos as at the build" in done.stdout
    old, new = verify(foreign), verify(output)
    assert f"digest {new.digest}" in done.stdout
    assert set(new.manifest.forms) == {"onnx-fp32", "onnx-int8"}
    assert set(old.manifest.files) - set(new.manifest.files) == {
        old.manifest.forms[name].file for name in ("eager", "torchscript", "exported-program")
    }
    (origin,) = new.manifest.validated_from
    assert (origin.digest, origin.environment) == (old.digest, old.manifest.environment)
    assert "torch" not in new.manifest.environment.packages
    model = startup.load_model(Settings(artifact=output, device="cpu"))
    assert model.environment_differences == []
    model.close()
    checked = run_without_torch("verify", str(output))
    assert (checked.returncode, checked.stderr) == (0, "")


def test_verify_compares_what_is_installed(bundle: Bundle, foreign: Path) -> None:
    """Without torch, its forms are not compared; another Pillow is found all the same."""
    done = run_without_torch("verify", str(bundle.path))
    assert done.returncode == 0, done.stderr
    assert "eager not compared, for lack of torch, torchvision, safetensors" in done.stdout
    refused = run_without_torch("verify", str(foreign))
    assert refused.returncode == 1
    assert "onnx-fp32: not the environment that it was validated in: system Linux" in refused.stderr
    assert f"service.artifact validate {foreign} --output NEW" in refused.stderr


def test_form_with_other_answers_is_left_out(
    foreign: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the golden photos, or by the crops; a bundle with no right form is refused."""
    monkeypatch.setattr(validate, "CROPS", 21)
    monkeypatch.setattr(parity, "FEWEST_SURE_CROPS", 1)
    forms = {
        name: form
        for name, form in verify(foreign).manifest.model_dump(mode="json")["forms"].items()
        if name in ("onnx-fp32", "onnx-int8")
    }
    rewrite_manifest(foreign, forms=forms)
    monkeypatch.setattr(parity, "INT8_SURE_AGREEMENT", 1.1)
    assert main(["validate", str(foreign)]) == 0
    out = capsys.readouterr().out
    assert "onnx-int8: left out: form onnx-int8 is not the validated model" in out
    assert "default form: onnx-fp32" in out
    golden = next(iter(forms["onnx-fp32"]["golden"].values()))
    golden[next(iter(golden))] += 0.01
    rewrite_manifest(foreign, forms={"onnx-fp32": forms["onnx-fp32"]}, default_form="onnx-fp32")
    assert main(["validate", str(foreign)]) == 1
    captured = capsys.readouterr()
    assert "[validate 1/1] onnx-fp32: left out: golden photo" in captured.out
    assert "no form could be validated here; the lines above say why" in captured.err
    assert captured.err.count("\n") == 1


def test_output_that_is_something_else(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    assert main(["validate", str(bundle.path), "--output", str(tmp_path)]) == 1
    assert (tmp_path / "mine").read_text() == "mine"


def test_default_form_is_the_fastest_worthy_one(bundle: Bundle) -> None:
    records: dict[str, FormRecord] = {
        name: bundle.manifest.forms[name].model_copy(update={"milliseconds_per_image": time})
        for name, time in (("eager", 1.0), ("onnx-fp32", 3.0), ("onnx-int8", 2.0))
    }
    assert choose_default(records)[0] == "onnx-int8"
    unsure = records["onnx-int8"].parity.model_copy(update={"top1_agreement_sure": 0.9})
    records["onnx-int8"] = records["onnx-int8"].model_copy(update={"parity": unsure})
    assert choose_default(records)[0] == "onnx-fp32"
    del records["onnx-fp32"]
    assert choose_default(records)[0] == "eager"
    assert choose_default(records)[1].startswith("fastest on the machine")
