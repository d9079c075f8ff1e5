"""The command `python -m authoring.translations`."""

import json
from pathlib import Path

import pytest

from authoring.translations import __main__ as command
from authoring.translations.sources import Workshop
from tests.authoring.translations.a_workshop import (
    build,
)


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workshop = build(tmp_path)
    monkeypatch.setattr(Workshop, "of_repository", lambda: workshop)
    assert command.main(["--check"]) == 1
    assert "ja: missing: notebooks/01_one.ipynb/title/0\n" in capsys.readouterr().out
    assert command.main([]) == 0
    assert "ja: 14 missing\n  missing: notebooks/01_one" in capsys.readouterr().out
    assert command.main(["todo", "ja", "--place", "glossary/title"]) == 0
    items = json.loads(capsys.readouterr().out)
    items[0]["translation"] = "用語集"
    (tmp_path / "todo.json").write_text(json.dumps(items))
    assert command.main(["fill", "ja", str(tmp_path / "todo.json")]) == 0
    assert capsys.readouterr().out == "1 accepted, 0 refused, 0 left empty\n"
    (tmp_path / "todo.json").write_text("[")
    assert command.main(["fill", "ja", str(tmp_path / "todo.json")]) == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path}/todo.json: ")


def test_the_workshop_is_completely_translated(capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m authoring.translations --check` on this repository."""
    status = command.main(["--check"])
    assert status == 0, capsys.readouterr().out
