"""What runs the program on a device: chosen by a record of the bundle, compiled, or as it is."""

import json
import logging
import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
import torch
from torch import Tensor

from service.artifact import compiled
from service.artifact.compiled import choose
from service.artifact.verify import verify
from service.errors import OperatorError
from service.gpu import compilation
from service.gpu import engine as device_program
from service.gpu.compilation import COMPILED_FOLDER, Choice, device_key, prepare, read_choice
from service.gpu.streams import HostDevice
from tests.service.small_vit import CLASSES, SIDE, random_pixels, write_program

HOST = HostDevice()


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_program(tmp_path_factory.mktemp("program"))


def test_the_record_for_such_a_device_is_followed(program: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(program, tmp_path))
    assert read_choice(copy, HOST).method == "program"
    (tmp_path / COMPILED_FOLDER).mkdir()
    record = tmp_path / COMPILED_FOLDER / f"{device_key(HOST)}.json"
    record.write_text(json.dumps({"method": "torch.compile"}))
    assert read_choice(copy, HOST).method == "torch.compile"
    record.write_text(json.dumps({"method": "AOTInductor", "image_shape": [SIDE, SIDE, 3]}))
    choice = read_choice(copy, HOST)
    assert choice.package == record.with_suffix(".pt2")
    record.rename(record.with_name("another-gpu-torch-2.15.json"))
    assert read_choice(copy, HOST).method == "program"


def test_a_package_is_loaded_for_one_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "some-gpu.pt2"
    package.write_bytes(b"machine code")
    package.with_suffix(".json").write_text(json.dumps({"image_shape": [SIDE, SIDE, 3]}))
    asked: dict[str, object] = {}

    def load_package(file: BytesIO, **options: object) -> Callable[..., None]:
        asked.update(options, content=file.read())
        return lambda pixels: None

    monkeypatch.setattr(torch._inductor, "aoti_load_package", load_package)
    prepared = prepare(tmp_path / "missing.pt2", HOST, Choice("AOTInductor", "", package))
    assert prepared.image_shape == (SIDE, SIDE, 3)
    assert asked == {"content": b"machine code", "run_single_threaded": True, "device_index": -1}


def test_without_a_compiler_the_program_runs_as_it_is(
    program: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("no C++ compiler\nand a long story")

    monkeypatch.setattr(compilation, "_compile", fails)
    with caplog.at_level(logging.WARNING):
        prepared = prepare(program, HOST, Choice("torch.compile", ""))
    assert prepared.method == "program"
    (line,) = caplog.messages
    assert "no C++ compiler" in line
    assert "long story" not in line
    pixels = torch.from_numpy(random_pixels(2))
    with torch.inference_mode():
        assert prepared.program(pixels).shape == (2, CLASSES)


def test_the_fastest_or_the_quickest_to_start_is_chosen() -> None:
    slow = {1: 3.0, 8: 20.0}
    assert choose({"program": slow, "torch.compile": {1: 2.0, 8: 10.0}}) == "torch.compile"
    assert choose({"program": slow, "AOTInductor": {1: 9.0, 8: 20.2}}) == "AOTInductor"
    assert choose({"program": slow, "AOTInductor": {1: 9.0, 8: 21.0}}) == "program"
    # A batch that only one could hold is no comparison.
    assert choose({"program": {1: 3.0, 8: 20.0, 16: 21.0}, "torch.compile": {8: 15.0}}) == (
        "torch.compile"
    )


COSTS = {"program": {1: 2.0, 8: 4.0}, "AOTInductor": {1: 1.0, 8: 2.0}}


@pytest.mark.parametrize(("off", "winner"), [(0.0, "AOTInductor"), (0.5, "program")])
def test_the_fastest_right_method_joins_the_bundle(
    off: float,
    winner: str,
    small_bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Real compilers take minutes: here one is missing, and another one is a fake."""

    def no_compiler(*_: object) -> None:
        raise RuntimeError("no C++ compiler")

    def write_package(program: Path, package: Path, _: object, shape: tuple[int, ...]) -> None:
        shutil.copy(program, package)
        package.with_suffix(".json").write_text(json.dumps({"image_shape": shape}))

    def load_package(path: str, **_: object) -> Callable[[Tensor], Tensor]:
        module = torch.export.load(path).module()
        return lambda pixels: module(pixels) + off

    monkeypatch.setattr(compilation, "_compile", no_compiler)
    monkeypatch.setattr(compiled, "_write_package", write_package)
    monkeypatch.setattr(compiled, "_time_buckets", lambda engine, _: COSTS[engine.compiled_by])
    monkeypatch.setattr("torch._inductor.aoti_load_package", load_package)
    bundle = Path(shutil.copytree(small_bundle, tmp_path / "bundle"))
    before, lines = verify(bundle).digest, list[str]()
    assert compiled.compile_bundle(bundle, "cpu", lines.append) == winner
    assert ("another answer than the program's" in "".join(lines)) == (winner == "program")
    after = verify(bundle)
    assert after.digest != before
    packages = [name for name in after.manifest.files if name.startswith("compiled/")]
    assert [name.rsplit(".", 1)[1] for name in packages] == (
        ["json", "pt2"] if winner == "AOTInductor" else ["json"]
    )
    engine = device_program.load(bundle / "model.bf16.pt2", "cpu", 1)
    assert engine.compiled_by == winner
    compiled.compile_bundle(bundle, "cpu", lines.append)  # again: it replaces the first result
    assert verify(bundle).manifest.files.keys() == after.manifest.files.keys()
    (bundle / packages[0]).write_text("{}")
    with pytest.raises(OperatorError, match="was changed"):
        verify(bundle)
