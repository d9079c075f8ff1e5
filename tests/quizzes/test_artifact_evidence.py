"""The small parts of lesson 3's experiments; the lint runs the experiments themselves."""

from pathlib import Path

import numpy as np
import pytest

from quizzes.evidence import first_answer, preprocessing_skew, tampering
from service.engines.base import Probabilities


def _first_classes(*classes: int) -> Probabilities:
    probabilities = np.zeros((len(classes), 1000), np.float32)
    probabilities[range(len(classes)), classes] = 1
    return probabilities


def test_flips_one_bit_and_back(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\x00\x0f\x00")
    tampering.flip_bit(path, 1, 7)
    assert path.read_bytes() == b"\x00\x8f\x00"
    tampering.flip_bit(path, 1, 7)
    assert path.read_bytes() == b"\x00\x0f\x00"


def test_text_to_replace_must_be_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("a b")
    tampering.replace_text(path, "a", "c")
    assert path.read_text() == "c b"
    with pytest.raises(AssertionError, match="file contains a"):
        tampering.replace_text(path, "a", "c")


def test_whole_copy_is_accepted_and_changed_one_refused() -> None:
    assert tampering.refusal(lambda copy: None) is None
    refused = tampering.refusal(lambda copy: (copy / "golden/coffee.png").unlink())
    assert refused is not None
    assert refused.startswith("golden/coffee.png is missing")


def test_replaced_bundle_needs_a_pinned_digest() -> None:
    with tampering.copy_of_bundle() as copy:
        tampering.replace_text(copy / "manifest.json", '"bicubic"', '"bilinear"')
        assert "manifest.json was changed" in str(tampering.said_of(copy))
        tampering.sign_again(copy)
        assert tampering.said_of(copy) is None
        assert "another artifact" in str(tampering.said_of(copy, "0" * 64))


def test_shares_count_first_classes() -> None:
    espresso, tabby, tench = 967, 281, 0
    validated = _first_classes(espresso, tabby)
    assert preprocessing_skew.right_share(validated) == 1
    assert preprocessing_skew.right_share(_first_classes(espresso, tench)) == 0.5
    assert preprocessing_skew.changed_share(validated, _first_classes(tench, tabby)) == 0.5


def test_same_normalisation_gives_the_same_answers() -> None:
    pixels = preprocessing_skew.cuts()[:7]
    same = preprocessing_skew.with_normalisation([127 / 255] * 3, [128 / 255] * 3)
    np.testing.assert_allclose(same(pixels), preprocessing_skew.engine()(pixels), atol=1e-5)


def test_peak_memory_is_that_of_a_python_process() -> None:
    assert 10 < first_answer.peak_mib() < 100_000
