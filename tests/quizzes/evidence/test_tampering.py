"""Changes of a copy of the bundle, and what notices them."""

from pathlib import Path

import pytest

from quizzes.evidence import tampering


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
