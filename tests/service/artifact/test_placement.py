"""A bundle takes its place only when it is complete, and takes no other folder's."""

from pathlib import Path

import pytest

from service.artifact.placement import check_destination, put_in_place, temporary_sibling
from service.artifact.verify import verify
from service.errors import OperatorError


def test_a_killed_build_leaves_no_artifact(tmp_path: Path) -> None:
    left_over = tmp_path / ".artifact.building-abc"
    left_over.mkdir()
    with pytest.raises(OperatorError, match="no complete artifact"):
        verify(left_over)
    with temporary_sibling(tmp_path / "artifact") as folder:
        assert [path for path in tmp_path.iterdir() if path.is_dir()] == [folder]


def test_other_folders_are_not_overwritten(tmp_path: Path) -> None:
    check_destination(tmp_path / "new")
    check_destination(tmp_path)  # empty
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(OperatorError, match="exists and is no artifact"):
        check_destination(tmp_path)
    (tmp_path / "manifest.json").touch()
    check_destination(tmp_path)  # an older artifact
    with pytest.raises(OperatorError, match=r"holds an artifact already.*or add --replace"):
        check_destination(tmp_path, replaces=False)


def test_an_older_bundle_is_replaced_as_a_whole(tmp_path: Path) -> None:
    destination = tmp_path / "artifact"
    destination.mkdir()
    (destination / "old").touch()
    with temporary_sibling(destination) as folder:
        (folder / "new").touch()
        put_in_place(folder, destination)
    assert [path.name for path in destination.iterdir()] == ["new"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".artifact.lock", "artifact"]


def test_a_folder_that_cannot_be_created_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(OperatorError, match=r"cannot write the artifact .*: Not a directory"),
        temporary_sibling(tmp_path / "file" / "deeper" / "artifact"),
    ):
        pass
