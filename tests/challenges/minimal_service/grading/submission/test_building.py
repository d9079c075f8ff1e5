"""An artifact is built when it is missing or old, and a failed build says why."""

from pathlib import Path

import pytest

from challenges.minimal_service.grading.submission.submission import open_submission
from learner.errors import LearnerError
from tests.challenges.minimal_service.grading.submissions import (
    TOML,
    find_refusal,
    opened,
    write_fake,
    write_model,
)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import sys; print('no disk'); sys.exit(3)", "exit status 3. The last that it said: no d"),
        ("raise KeyError('head.weight')", "KeyError: 'head.weight'"),
        ("pass", "there is no artifact in"),
        ("import os, sys; os.mkdir(sys.argv[2])", "there is no artifact in"),
        (
            "import os, sys; os.mkdir(sys.argv[2]); open(sys.argv[2] + '/a', 'w')",
            "No file of the artifact",
        ),
    ],
)
def test_a_build_that_fails_says_why(tmp_path: Path, code: str, words: str) -> None:
    folder = write_fake(tmp_path / "mine", build_artifact=code)
    assert words in find_refusal(folder)
    assert not list(folder.glob(".artifact.part*"))


def test_a_build_that_hangs_is_ended(tmp_path: Path) -> None:
    folder = write_fake(tmp_path / "mine", build_artifact="import signal; signal.pause()")
    (tmp_path / "grade").mkdir()
    with pytest.raises(LearnerError, match="not done after 1 s"):
        open_submission(str(folder), tmp_path / "grade", write_model(tmp_path / "m"), print, 1)


def test_a_build_command_that_does_not_exist(tmp_path: Path) -> None:
    toml = TOML.replace('build = ["{python}"', 'build = ["no-such-program"')
    assert "cannot be started: no-such-program" in find_refusal(
        write_fake(tmp_path / "m", toml=toml)
    )


def test_without_a_build_command_there_must_be_an_artifact(tmp_path: Path) -> None:
    toml = "\n".join(line for line in TOML.splitlines() if not line.startswith("build"))
    assert "has no build command" in find_refusal(write_fake(tmp_path / "mine", toml=toml))


def test_the_artifact_is_built_again_only_for_changed_code(tmp_path: Path) -> None:
    folder = write_fake(tmp_path / "mine")
    built: list[list[str]] = []
    for number in range(4):
        if number == 2:
            (folder / "preprocessing.py").write_text("def preprocess(image):\n    return 3\n")
        said: list[str] = []
        opened(folder, tmp_path / f"grade{number}", said.append)
        built.append(said)
    assert [bool(said) for said in built] == [True, False, True, False]
    assert "built" in built[0]
    assert not list(folder.glob(".artifact.part*"))


def test_only_changes_of_built_from_count(tmp_path: Path) -> None:
    toml = 'built_from = ["build_*.py"]\n' + TOML
    folder = write_fake(tmp_path / "mine", toml=toml)
    opened(folder, tmp_path / "grade0")
    (folder / "server.py").write_text("# changed")
    said: list[str] = []
    opened(folder, tmp_path / "grade1", said.append)
    assert not said
