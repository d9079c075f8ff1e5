"""Packages, layers and volumes: what the sums count, and what an install brings."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from quizzes.evidence import packaging
from service.artifact.verify import sha256


def installed(target: Path) -> str:
    return (target / f"{packaging.TOOL}.py").read_text()


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    packaging.publish(tmp_path / "shop", *packaging.MONDAY)
    return tmp_path / "shop"


def test_a_range_brings_the_newest_and_a_lock_the_named_one(shop: Path, tmp_path: Path) -> None:
    lock = f"phototool==1.0 --hash=sha256:{sha256(next(shop.iterdir()))}"
    packaging.publish(shop, *packaging.TUESDAY)
    for number, (lines, filter_) in enumerate(
        {"phototool>=1.0": "NEAREST", lock: "BICUBIC"}.items()
    ):
        done = packaging.install(shop, lines, tmp_path / str(number))
        assert done.returncode == 0, done.stderr
        assert filter_ in installed(tmp_path / str(number))


def test_another_file_under_a_locked_version_is_refused(shop: Path, tmp_path: Path) -> None:
    lock = f"phototool==1.0 --hash=sha256:{sha256(next(shop.iterdir()))}"
    packaging.publish(shop, "1.0", "NEAREST")
    done = packaging.install(shop, lock, tmp_path / "target")
    assert done.returncode != 0
    assert not (tmp_path / "target").exists()


def test_the_two_versions_resize_otherwise(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 500, 3), np.uint8)
    squares = []
    for _version, filter_ in (packaging.MONDAY, packaging.TUESDAY):
        (tmp_path / "phototool.py").write_text(packaging._CODE.format(filter=filter_))
        tool = packaging._load(tmp_path / "phototool.py")
        squares.append(np.asarray(tool.square(Image.fromarray(noise))))
    assert squares[0].shape == squares[1].shape == (224, 224, 3)
    assert (squares[0] != squares[1]).mean() > 0.5


def test_the_packages_are_those_asked_for_and_what_they_need() -> None:
    found = packaging.closure(["uvicorn[standard]>=0.1"])
    assert {"uvicorn", "h11", "uvloop"} <= found
    assert "uvloop" not in packaging.closure(["uvicorn"])
    assert packaging.closure(["no-such-package"]) == set()
    assert "torch" not in packaging.service_packages()


def test_a_folder_counts_files_and_no_caches(tmp_path: Path) -> None:
    (tmp_path / "__pycache__").mkdir()
    for name, size in (("a.py", 10), ("__pycache__/a.pyc", 99), ("b.txt", 5)):
        (tmp_path / name).write_bytes(b"x" * size)
    assert packaging.folder_bytes(tmp_path) == 15


def test_layers_after_a_change_are_sent_again() -> None:
    sizes = {"packages": 200, "artifact": 80, "code": 1, "torch": 5000}
    assert packaging.bytes_to_send(sizes) == {"code-first": 281, "code-last": 1}


def test_a_copy_is_whole(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "weights").write_bytes(b"x" * 1000)
    assert packaging.fetch(tmp_path / "store", tmp_path / "volume") > 0
    assert (tmp_path / "volume" / "weights").read_bytes() == b"x" * 1000
