"""Settings from the command line and the environment, and how a wrong one is refused."""

import subprocess
import sys
from pathlib import Path

import pytest

from service.errors import OperatorError
from service.settings import ROOT, Settings, settings_from
from tests.conftest import refuse_start


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--artifact", "/no/such"], "no artifact at /no/such: there is no such folder. Build one"),
        (["--engine", "tensorrt"], "setting --engine (SERVICE_ENGINE) is 'tensorrt': Input should"),
        (
            ["--device", "cuda"],
            "device cuda: expected an NVIDIA GPU that torch can use, found",
        ),
        (["--port", "99999"], "setting --port (SERVICE_PORT) is '99999': Input should be less"),
        (["--artifact-digest", "0" * 64], "is another artifact than the one asked for"),
        (["--host", "203.0.113.1"], "cannot listen on 203.0.113.1 port 0"),
        (["--host", "exämple.."], "cannot listen on exämple.. port 0"),
        (["--root-path", "models/"], "setting --root-path (SERVICE_ROOT_PATH) is 'models/'"),
        (["--cors-origins", "https://example.org/"], "setting --cors-origins"),
        (["--drain-seconds", "inf"], "setting --drain-seconds (SERVICE_DRAIN_SECONDS) is 'inf'"),
    ],
)
def test_wrong_settings(arguments: list[str], words: str) -> None:
    environment = {"CUDA_VISIBLE_DEVICES": ""}
    assert words in refuse_start(*arguments, environment=environment)


def test_settings_from_the_environment() -> None:
    line = refuse_start(environment={"SERVICE_THREADS": "0"})
    assert "setting --threads (SERVICE_THREADS) is '0'" in line


def test_file_gives_way_to_environment_and_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "service.toml"
    file.write_text(
        'port = 1\nmax-requests = 2\ntarget_ms = 3.5\nconsole = true\nengine = "auto"\n'
    )
    monkeypatch.setenv("SERVICE_MAX_REQUESTS", "20")
    settings = settings_from(["--config", str(file), "--port", "10"])
    assert (settings.port, settings.max_requests, settings.target_ms) == (10, 20, 3.5)
    assert settings.console
    monkeypatch.setenv("SERVICE_CONFIG", str(file))
    assert settings_from([]).port == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "No such file or directory. Name a TOML file"),
        ("port 8000", "Expected '=' after a key"),
        ("port = 99999", "setting --port (SERVICE_PORT) is 99999: Input should be less"),
        ("prot = 8000", "prot is no setting, --help lists them"),
        ("cli_args = 1", "cli_args is no setting, --help lists them"),
    ],
)
def test_wrong_file_of_settings(text: str | None, words: str, tmp_path: Path) -> None:
    file = tmp_path / "service.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(OperatorError) as refused:
        settings_from(["--config", str(file)])
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_links_of_kubernetes_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Services "service" and "service-admin" beside the pod set these variables in it."""
    monkeypatch.setenv("SERVICE_PORT", "tcp://10.0.0.1:80")
    monkeypatch.setenv("SERVICE_ADMIN_PORT", "tcp://10.0.0.2:80")
    monkeypatch.setenv("SERVICE_CORES", "3")
    settings = settings_from([])
    assert (settings.port, settings.admin_port, settings.cores) == (8000, None, 3)


def test_help_lists_every_setting() -> None:
    command = [sys.executable, "-m", "service.inference_service", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0
    for name in Settings.model_fields:
        assert f"--{name.replace('_', '-')}" in done.stdout
