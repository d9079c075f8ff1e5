"""Imports are read from the source, and followed within the submission."""

from pathlib import Path

from challenges.minimal_service.grading.criteria.module_imports import read_imports


def test_imports_are_followed_through_packages(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/__init__.py").write_text("")
    (tmp_path / "mine/a.py").write_text("from . import b\nfrom mine.c import x\nimport numpy.fft")
    (tmp_path / "mine/b.py").write_text("def later():\n    import torch\n    import fastapi")
    (tmp_path / "mine/c.py").write_text("from PIL import Image, ImageOps")
    found = read_imports(tmp_path / "mine/a.py", tmp_path)
    assert {path.name for path in found.files} == {"__init__.py", "a.py", "b.py", "c.py"}
    assert sorted(found.libraries) == ["PIL.Image", "PIL.ImageOps", "numpy.fft"]
    assert found.service == {}
