"""A submission is checked before it is run, copied, and built only when that is needed."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from challenges.minimal_service.grading.submission.description import read_description
from challenges.minimal_service.grading.submission.submission import OWN, open_submission
from learner.errors import LearnerError
from learner.language import speaking
from tests.challenges.minimal_service.grading.submissions import (
    TOML,
    opened,
    write_default,
    write_fake,
    write_model,
)


@pytest.fixture(autouse=True)
def _in_english() -> Iterator[None]:
    with speaking("en"):
        yield


def refusal(folder: Path) -> str:
    """What a learner reads who wants that folder graded."""
    place = folder.parent / "grade"
    place.mkdir(exist_ok=True)
    with pytest.raises(LearnerError) as raised:
        open_submission(str(folder), place, write_model(folder.parent / "model"), print, 20)
    return str(raised.value)


def test_no_such_folder(tmp_path: Path) -> None:
    assert f"There is no folder {tmp_path / 'none'}" in refusal(tmp_path / "none")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "is a file. Name the folder" in refusal(tmp_path / "file")


def test_a_folder_without_description(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    assert "has no service.toml" in refusal(tmp_path / "mine")


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("start = [", "not valid TOML"),
        ("start = '\xff'", "not valid TOML"),
        (TOML.replace("artifact =", "artefact ="), "the key artefact, which means nothing"),
        (TOML.replace('weights = ["weights.bin"]', ""), "lacks the key weights"),
        (TOML.replace('preprocessing = "preprocessing.py"', ""), "lacks the key modules.prepro"),
        (TOML.replace('["weights.bin"]', '"weights.bin"'), "weights must be a list"),
        (TOML.replace('["weights.bin"]', "[3]"), "weights.0 must be a text"),
        (TOML.replace('["weights.bin"]', "[]"), "weights is empty"),
        (TOML.replace('"artifact"', '""'), "artifact is empty"),
        (TOML.replace("{port}", "8000"), "does not contain {port}"),
        (TOML.replace('"preprocessing.py"', '"../x.py"'), "leads out of the folder"),
        (TOML.replace('"preprocessing.py"', '"/etc/passwd"'), "leads out of the folder"),
        (TOML.replace('"artifact"', '"a/../../b"'), "leads out of the folder"),
        (TOML.replace('"weights.bin"', '"../*"'), "leads out of the folder"),
        (TOML.replace("[modules]", 'include = ["challenges"]\n[modules]'), "only name the folder"),
        (TOML.replace("[modules]", 'container = "../C"\n[modules]'), "leads out of the folder"),
        (TOML.replace("[modules]", 'training = ["../C"]\n[modules]'), "leads out of the folder"),
        (TOML.replace('"artifact"', '"."'), "a folder of its own"),
        (TOML.replace('"preprocessing.py"', '"artifact/x.py"'), "a folder of its own"),
    ],
)
def test_a_bad_description_is_named(tmp_path: Path, toml: str, words: str) -> None:
    folder = write_fake(tmp_path / "mine")
    (folder / "service.toml").write_bytes(toml.encode("latin-1"))
    assert words in refusal(folder)


@pytest.mark.parametrize("target", ["/etc/passwd", "nowhere", "../secret"])
def test_a_link_out_of_the_folder_is_refused(tmp_path: Path, target: str) -> None:
    folder = write_fake(tmp_path / "mine")
    (tmp_path / "secret").write_text("")
    (folder / "data").symlink_to(target)
    assert str(folder / "data") in refusal(folder)


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
    assert words in refusal(folder)
    assert not list(folder.glob(".artifact.part*"))


def test_a_build_that_hangs_is_ended(tmp_path: Path) -> None:
    folder = write_fake(tmp_path / "mine", build_artifact="import time; time.sleep(600)")
    (tmp_path / "grade").mkdir()
    with pytest.raises(LearnerError, match="not done after 1 s"):
        open_submission(str(folder), tmp_path / "grade", write_model(tmp_path / "m"), print, 1)


def test_a_build_command_that_does_not_exist(tmp_path: Path) -> None:
    toml = TOML.replace('build = ["{python}"', 'build = ["no-such-program"')
    assert "cannot be started: no-such-program" in refusal(write_fake(tmp_path / "m", toml=toml))


def test_without_a_build_command_there_must_be_an_artifact(tmp_path: Path) -> None:
    toml = "\n".join(line for line in TOML.splitlines() if not line.startswith("build"))
    assert "has no build command" in refusal(write_fake(tmp_path / "mine", toml=toml))


def test_the_artifact_is_built_once_and_again_when_the_code_changed(tmp_path: Path) -> None:
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


def test_only_what_it_is_built_from_counts_if_that_is_said(tmp_path: Path) -> None:
    toml = 'built_from = ["build_*.py"]\n' + TOML
    folder = write_fake(tmp_path / "mine", toml=toml)
    opened(folder, tmp_path / "grade0")
    (folder / "server.py").write_text("# changed")
    said: list[str] = []
    opened(folder, tmp_path / "grade1", said.append)
    assert not said


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


@pytest.mark.parametrize("name", OWN)
def test_the_workshops_own_descriptions_are_right(name: str) -> None:
    assert "{port}" in " ".join(read_description(OWN[name]).start)
