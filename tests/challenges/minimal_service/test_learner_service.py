"""Changes of the learner's code are noticed; comments, layout and what is built do not count."""

import os
from pathlib import Path

import pytest

from challenges.minimal_service.learner_service import (
    code_digest,
    fingerprints,
    is_own,
    own_folder,
)

pytestmark = pytest.mark.usefixtures("own")


def test_comments_and_layout_are_no_change(own: Path) -> None:
    before = fingerprints(own)
    for file in (own / "server.py", own / "service.toml"):
        file.write_text("# a word\n\n" + file.read_text(encoding="utf-8"), encoding="utf-8")
    assert fingerprints(own) == before
    (own / "server.py").write_text("port = 1\n")
    assert set(before) == set(fingerprints(own))
    assert code_digest(before) != code_digest(fingerprints(own))


def test_what_is_built_or_hidden_is_no_code(own: Path) -> None:
    before = fingerprints(own)
    for name in ("artifact", "__pycache__", ".venv", "venv"):
        (own / name).mkdir()
        (own / name / "module.py").write_text("1")
    (own / "weights.safetensors").write_bytes(b"1")
    (own / ".hidden.py").write_text("1")
    assert fingerprints(own) == before
    (own / "parts").mkdir()
    (own / "parts" / "module.py").write_text("1")
    (own / "Containerfile.gpu").write_text("FROM scratch\n")
    assert set(fingerprints(own)) - set(before) == {"parts/module.py", "Containerfile.gpu"}


def test_the_artifact_is_where_service_toml_says(own: Path) -> None:
    (own / "built" / "code").mkdir(parents=True)
    (own / "built" / "code" / "module.py").write_text("1")
    assert "built/code/module.py" in fingerprints(own)
    (own / "service.toml").write_text('artifact = "built"\n')
    assert "built/code/module.py" not in fingerprints(own)


@pytest.mark.parametrize("content", [b"def (", b"\xff\xfe", b"\0", b"'\\d'", b""])
def test_unfinished_code_is_taken_as_it_is(own: Path, content: bytes) -> None:
    (own / "server.py").write_bytes(content)
    one = fingerprints(own)
    (own / "server.py").write_bytes(content + b"\nx = 1\n")
    assert fingerprints(own)["server.py"] != one["server.py"]


def test_a_line_of_c_that_begins_like_a_comment_is_code(own: Path) -> None:
    (own / "fast.c").write_text("#define N 1\n")
    one = fingerprints(own)
    (own / "fast.c").write_text("#define N 2\n")
    assert fingerprints(own) != one


def test_what_is_no_file_is_left_out(own: Path) -> None:
    """A pipe would be read for ever."""
    before = fingerprints(own)
    os.mkfifo(own / "pipe.py")
    (own / "gone.py").symlink_to(own / "nowhere.py")
    assert fingerprints(own) == before


def test_a_service_of_an_earlier_version_is_still_found(own: Path) -> None:
    """As long as it is alone, it is what is graded; beside the tasks' folder it can be named."""
    assert own.name == "service"
    earlier = own.with_name("challenge")
    own.rename(earlier)
    assert own_folder() == earlier
    assert is_own(earlier)
    own.mkdir()
    assert own_folder() == own
    assert is_own(own)
    assert is_own(earlier)
    assert not is_own(own.parent)
