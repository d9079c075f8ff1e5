"""ONNX Runtime: exact int8 products on every processor."""

from pathlib import Path

import pytest

from service.engines import onnx_runtime


@pytest.mark.parametrize(
    ("processor", "flags", "exact"),
    [
        ("x86_64", "flags : avx2 avx512f avx512_vnni", True),
        ("x86_64", "flags : avx2 avx_vnni", True),
        ("x86_64", "flags : avx2 avx512f", False),
        ("AMD64", None, False),
        ("aarch64", None, True),
    ],
)
def test_int8_products(
    processor: str, flags: str | None, exact: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if flags is not None:
        (tmp_path / "cpuinfo").write_text(flags)
    monkeypatch.setattr(onnx_runtime, "_CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr("platform.machine", lambda: processor)
    assert onnx_runtime.adds_int8_products_exactly() is exact
