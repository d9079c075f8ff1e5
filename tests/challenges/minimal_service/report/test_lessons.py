"""A criterion's link leads to a section that is there."""

import re
from pathlib import Path

import pytest

from challenges.minimal_service.report.lessons import LAB, section
from learner.language import speaking
from learner.paths import ROOT


def test_links_lead_to_cells_that_are_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    report = tmp_path / "reports" / "report.html"
    with speaking("ja"):
        found = section("04_model_service.ipynb#cell-id=explain-drain", report)
        lab = f"{LAB}/ja/04_model_service.ipynb#cell-id=explain-drain"
        assert found is not None
        assert found.href.endswith("04_model_service.html#cell-id=explain-drain") or (
            found.href == lab
        )
        notebook = (ROOT / "notebooks/ja/04_model_service.ipynb").read_text(encoding="utf-8")
        heading = re.findall("[“「](.+)[”」]", found.text)[0]
        assert f". {heading}" in notebook
        page = tmp_path / "ja" / "04_model_service.html"
        page.parent.mkdir()
        page.touch()
        monkeypatch.setattr("challenges.minimal_service.report.lessons.SITE", tmp_path)
        built = section("04_model_service.ipynb#cell-id=drain", report)
        assert built is not None
        assert built.href == "../ja/04_model_service.html#cell-id=drain"
    assert section("javascript:alert(1)", report) is None
    assert section(None, report) is None
