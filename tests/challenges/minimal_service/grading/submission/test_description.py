"""A bad service.toml is refused with a sentence that names the fault."""

from pathlib import Path

import pytest

from challenges.minimal_service.grading.submission.description import read_description
from challenges.minimal_service.grading.submission.submission import OWN
from tests.challenges.minimal_service.grading.submissions import (
    TOML,
    find_refusal,
    write_fake,
)


def test_a_folder_without_description(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    assert "has no service.toml" in find_refusal(tmp_path / "mine")


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
    assert words in find_refusal(folder)


@pytest.mark.parametrize("name", OWN)
def test_the_workshops_own_descriptions_are_right(name: str) -> None:
    assert "{port}" in " ".join(read_description(OWN[name]).start)
