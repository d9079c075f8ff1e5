"""The gate passes the same answers, and refuses others with exit status 1 and one line."""

import sys
from pathlib import Path

import numpy as np
import pytest

from challenges.releases import gate
from challenges.releases.bundles import Change, make_bundle
from learner.artifact import bundle
from service.artifact.verify import verify
from service.errors import OperatorError


def run(monkeypatch: pytest.MonkeyPatch, *folders: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["gate", *map(str, folders)])
    gate.main()


def test_share_counts_first_classes_and_no_nan() -> None:
    released = np.eye(4, 5, dtype=np.float32)
    candidate = released.copy()
    assert gate.share_of_same(released, candidate) == 1
    candidate[0] = candidate[0, ::-1]
    assert gate.share_of_same(released, candidate) == 0.75
    candidate[1, 4] = np.nan
    assert gate.share_of_same(released, candidate) == 0.5


def test_another_form_passes_and_a_skew_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gate, "PHOTOS", 40)
    good, bad = Change("1.1.0"), Change("1.1.1", skewed=True)
    folders = [make_bundle(tmp_path / change.version, change) for change in (good, bad)]
    run(monkeypatch, bundle().path, folders[0])
    assert "1.1.0 may be released" in capsys.readouterr().out
    with pytest.raises(SystemExit, match=r"error: .* 1\.1\.1 is refused: .* at least 95%"):
        run(monkeypatch, bundle().path, folders[1])


def test_other_labels_are_refused() -> None:
    released = verify(bundle().path)
    labels = tuple(reversed(released.manifest.labels))
    other = released.manifest.model_copy(update={"labels": labels})
    candidate = type(released)(released.path, other, released.digest)
    with pytest.raises(OperatorError, match="has different labels"):
        gate.judge(released, candidate)


def test_no_bundle_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match=r"^error: no artifact at .*none"):
        run(monkeypatch, bundle().path, tmp_path / "none")
