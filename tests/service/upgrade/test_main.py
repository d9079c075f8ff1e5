"""The commands of an upgrade, and the one line in which each says what is wrong."""

from pathlib import Path

import pytest

from service.upgrade.__main__ import main
from service.upgrade.supervisor import STATE


def refuse(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(list(arguments)) == 1
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    return line.removeprefix("error: ")


def test_no_supervisor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["status"], ["back"], ["to", "bundle"]):
        line = refuse(capsys, *command, "--folder", str(tmp_path))
        assert line.startswith(f"no supervisor takes commands at {tmp_path}/control: No such file")


def test_settings_that_cannot_be_served(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = ("--folder", str(tmp_path))
    assert "setting --port (SERVICE_PORT)" in refuse(capsys, "serve", *folder, "--port", "x")
    assert "--front-ends 2 binds sockets of its" in refuse(
        capsys, "serve", *folder, "--front-ends", "2"
    )
    assert "no artifact at" in refuse(capsys, "serve", *folder, "--artifact", str(tmp_path / "no"))
    (tmp_path / STATE).write_text("{}")
    assert "state.json is damaged" in refuse(capsys, "serve", *folder)


def test_key_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = str(tmp_path / "key")
    line = refuse(capsys, "to", "bundle", "--api-key-file", missing, "--folder", str(tmp_path))
    assert line == f"--api-key-file {missing}: No such file or directory\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["to", "bundle", "--min-agreement", "98"], "98 is not from 0 to 1"),
        (["to", "bundle", "--overlap-seconds", "-1"], "-1 is not from 0 to 86400"),
        (["to", "bundle", "--port", "1"], "unrecognized arguments: --port 1"),
        ([], "serve | to | back | status"),
    ],
)
def test_wrong_usage(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_status:
        main(arguments)
    assert exit_status.value.code == 2
    assert words in capsys.readouterr().err
