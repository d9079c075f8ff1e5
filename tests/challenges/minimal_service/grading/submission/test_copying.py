"""Nothing in a copy leads out of it."""

import os
from pathlib import Path

import pytest

from tests.challenges.minimal_service.grading.submissions import (
    find_refusal,
    opened,
    write_fake,
)


@pytest.mark.parametrize("target", ["/etc/passwd", "nowhere", "../secret"])
def test_a_link_out_of_the_folder_is_refused(tmp_path: Path, target: str) -> None:
    folder = write_fake(tmp_path / "mine")
    (tmp_path / "secret").write_text("")
    (folder / "data").symlink_to(target)
    assert str(folder / "data") in find_refusal(folder)


def test_links_within_become_files_and_pipes_stay_out(tmp_path: Path) -> None:
    folder = write_fake(tmp_path / "mine")
    (folder / "again.py").symlink_to(folder / "preprocessing.py")
    (folder / ".git").mkdir()
    os.mkfifo(folder / "pipe")
    submission = opened(folder, tmp_path / "grade")
    copied = submission.folder / "again.py"
    assert copied.is_file()
    assert not copied.is_symlink()
    assert not (submission.folder / "pipe").exists()
    assert not (submission.folder / ".git").exists()


def test_the_copy_is_whole_and_the_original_untouched(tmp_path: Path) -> None:
    folder = write_fake(tmp_path / "mine")
    before = {path: path.read_bytes() for path in folder.rglob("*")}
    submission = opened(folder, tmp_path / "grade")
    assert submission.name == "mine"
    assert submission.artifact == submission.folder / "artifact"
    assert submission.weights == [submission.artifact / "weights.bin"]
    assert (submission.folder / "server.py").read_bytes() == before[folder / "server.py"]
    assert submission.command(5)[1:4] == ["server.py", "--port", "5"]
    assert {path: path.read_bytes() for path in before} == before
