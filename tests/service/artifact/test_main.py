"""`python -m service.artifact`: its commands, and the one line in which each says what is wrong."""

import json
from pathlib import Path

import pytest

from service.artifact.__main__ import main
from service.artifact.verify import Bundle
from service.engines import BF16, SCREENED, STANDARD_FORMS


def test_verify_and_inspect(
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


def test_own_model_needs_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "--architecture", "resnet18"]) == 1
    assert "needs --weights (safetensors, or seeded:0) and --labels" in capsys.readouterr().err
    assert main(["build", "--labels", "labels.txt"]) == 1
    assert (
        "--labels: for a model of your own only; add --architecture or --model"
        in capsys.readouterr().err
    )
    assert main(["build", "--crop", "64", "--no-photos"]) == 1
    assert "--crop, --no-photos: for a model of your own only" in capsys.readouterr().err
    assert main(["build", "--architecture", "resnet18", "--model", "mine.py"]) == 1
    assert "--architecture and --model: give one" in capsys.readouterr().err
    for option, words in (
        ("--mean=0.4,0.4", "expected three numbers, such as 0.485,0.456,0.406, found '0.4,0.4'"),
        ("--arguments=aux", "expected key=value,key=value or a JSON object, found 'aux'"),
    ):
        with pytest.raises(SystemExit):
            main(["build", option])
        assert words in capsys.readouterr().err
    with pytest.raises(SystemExit) as exit_status:
        main(["build", "--forms", "onnx-fp64"])
    assert exit_status.value.code == 2
    assert "'onnx-fp64' is none of eager, torchscript" in capsys.readouterr().err


def test_help_names_the_commands_and_the_default_forms(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    for command in ("build", "compile", "verify", "inspect"):
        assert text.count(command) >= 2
    with pytest.raises(SystemExit):
        main(["build", "--help"])
    words = " ".join(capsys.readouterr().out.split())
    assert f"all but {SCREENED}, which pays for very many classes, and {BF16}," in words
    assert not {SCREENED, BF16} & set(STANDARD_FORMS)
