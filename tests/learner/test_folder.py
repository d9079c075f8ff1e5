"""The learner's folder: nothing in it is overwritten by accident."""

import json
from pathlib import Path

import pytest
from pydantic import BaseModel

from learner.errors import LearnerError
from learner.folder import folder, read_json, read_model, set_aside, write_json


class Progress(BaseModel):
    done: int = 0


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORKSHOP_FOLDER", str(tmp_path / "work"))
    monkeypatch.setenv("WORKSHOP_LANGUAGE", "en")
    return tmp_path / "work"


def test_the_folder_is_created_when_it_is_asked_for(work: Path) -> None:
    assert not work.exists()
    assert folder() == work
    assert work.is_dir()


def test_what_is_written_is_read_again(work: Path) -> None:
    assert read_json("a.json") == {}
    write_json("a.json", {"word": "日本語"})
    assert read_json("a.json") == {"word": "日本語"}
    assert "日本語" in (work / "a.json").read_text(encoding="utf-8")
    assert read_model("b.json", Progress) == Progress()
    write_json("b.json", {"done": 3})
    assert read_model("b.json", Progress) == Progress(done=3)


@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff\xfe"])
def test_a_damaged_file_is_kept_and_the_learner_told(
    content: bytes, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder() / "a.json").write_bytes(content)
    assert read_json("a.json") == {}
    (kept,) = work.iterdir()
    assert kept.name.startswith("a.damaged-")
    assert kept.read_bytes() == content
    assert f"a.json was damaged. It is kept as {kept.name}" in capsys.readouterr().out


def test_a_file_that_does_not_fit_its_model_is_damaged(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder() / "b.json").write_text(json.dumps({"done": "many"}))
    assert read_model("b.json", Progress) == Progress()
    assert [path.suffix for path in work.glob("b.damaged-*")] == [".json"]
    assert "b.json was damaged" in capsys.readouterr().out


def test_set_aside_twice_within_a_second_keeps_both(work: Path) -> None:
    kept = set()
    for content in ("one", "two"):
        (folder() / "notes.txt").write_text(content)
        kept.add(set_aside(work / "notes.txt", "old"))
    assert {path.read_text() for path in kept} == {"one", "two"}
    (folder() / "challenge").mkdir()
    assert set_aside(work / "challenge", "old").name.startswith("challenge.old-")
    with pytest.raises(LearnerError, match="Cannot rename"):
        set_aside(work / "challenge", "old")


def test_a_folder_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("WORKSHOP_FOLDER", str(tmp_path / "file" / "work"))
    with pytest.raises(LearnerError, match=r"Cannot write to .*set WORKSHOP_FOLDER"):
        folder()


def test_a_file_that_cannot_be_written_is_one_sentence(work: Path) -> None:
    (folder() / "a.json").mkdir()
    with pytest.raises(LearnerError, match=r"Cannot write to .*a\.json: Is a directory"):
        write_json("a.json", {})
