"""A torch and a torchvision that do not fit are found, with a line that names the fix."""

from importlib import metadata

import pytest

from service.engines import torch_versions as torch_pair
from service.engines.torch_versions import check_torch_pair
from service.errors import OperatorError


def install(monkeypatch: pytest.MonkeyPatch, requires: list[str], **versions: str) -> None:
    """Have the metadata say that these are installed."""

    def version(package: str) -> str:
        if package not in versions:
            raise metadata.PackageNotFoundError(package)
        return versions[package]

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(metadata, "requires", lambda _: requires)


def test_installed_pair_fits() -> None:
    pair = check_torch_pair()
    assert metadata.version("torch") in pair
    assert metadata.version("torchvision") in pair


@pytest.mark.parametrize(
    "requirement", ["torch==2.15.0", "torch (==2.15.0)", "torch == 2.15.0 ; a"]
)
def test_wrong_pair(monkeypatch: pytest.MonkeyPatch, requirement: str) -> None:
    requires = ["numpy", "torchdata==1.0", requirement]
    install(monkeypatch, requires, torch="2.13.0+cpu", torchvision="0.29.2")
    with pytest.raises(OperatorError) as fault:
        check_torch_pair()
    assert str(fault.value) == (
        "torchvision 0.29.2 was built for torch 2.15.0, but torch 2.13.0+cpu is installed. "
        "Fix: pip install torch==2.15.0, or make setup door=workshop for the locked pair"
    )


def test_local_version_is_the_same_release(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, ["torch==2.15.0"], torch="2.15.0+cu130", torchvision="0.29.2+cu130")
    assert check_torch_pair() == "torch 2.15.0+cu130, torchvision 0.29.2+cu130"


@pytest.mark.parametrize("missing", ["torch", "torchvision"])
def test_missing(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    versions = {"torch": "2.15.0", "torchvision": "0.29.2"}
    del versions[missing]
    install(monkeypatch, [], **versions)
    with pytest.raises(
        OperatorError, match=f"^{missing} is not installed.*make setup door=workshop$"
    ):
        check_torch_pair()


def test_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    torch_pair.main()
    assert "they import together" in capsys.readouterr().out
    install(monkeypatch, ["torch==2.15.0"], torch="2.13.0", torchvision="0.29.2")
    with pytest.raises(
        SystemExit, match=r"^error: torchvision 0\.29\.2 was built for torch 2.15.0"
    ):
        torch_pair.main()
