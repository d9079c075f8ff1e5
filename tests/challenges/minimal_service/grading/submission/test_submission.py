"""A submission is checked before it is run, copied, and built only when that is needed."""

import subprocess
from pathlib import Path

from tests.challenges.minimal_service.grading.submissions import (
    find_refusal,
    opened,
    write_default,
    write_fake,
)


def test_no_such_folder(tmp_path: Path) -> None:
    assert f"There is no folder {tmp_path / 'none'}" in find_refusal(tmp_path / "none")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "is a file. Name the folder" in find_refusal(tmp_path / "file")


def test_packages_can_be_imported_but_not_the_workshop(tmp_path: Path) -> None:
    submission = opened(write_fake(tmp_path / "mine"), tmp_path / "grade")

    def imports(names: str) -> int:
        command = [str(submission.python), "-c", f"import {names}"]
        return subprocess.run(
            command, cwd=submission.folder, capture_output=True, check=False, env={}
        ).returncode

    assert imports("numpy, PIL, preprocessing") == 0
    for name in ("challenges", "learner", "service", "quizzes", "notebooks"):
        assert imports(name) == 1


def test_the_reference_service_can_be_included(tmp_path: Path) -> None:
    submission = opened(write_default(tmp_path / "mine"), tmp_path / "grade")
    assert submission.modules["preprocessing"] == submission.folder / "service/preprocessing.py"
    assert submission.modules["preprocessing"].is_file()
