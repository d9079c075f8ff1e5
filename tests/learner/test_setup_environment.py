"""Setting up names what is missing, and goes on after an interruption."""

from pathlib import Path

import pytest

from learner import setup_environment


@pytest.mark.parametrize("version", [(3, 10), (3, 14), (2, 7)])
def test_unsupported_python_is_named_with_the_fix(
    version: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.version_info", (*version, 0))
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(
        setup_environment.SetupError, match=r"this is Python \d.*make setup PYTHON="
    ):
        setup_environment.find_python()


def test_interrupted_set_up_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run starts over with what is missing; the stamp is written last."""
    steps: list[str] = []
    stamp = tmp_path / "stamp"
    monkeypatch.setattr(setup_environment, "STAMP", str(stamp))
    monkeypatch.setattr(setup_environment, "create_virtual_environment", steps.append)
    monkeypatch.setattr(setup_environment, "run", lambda *_: None)

    def interrupted(*_: str) -> None:
        steps.append("pip")
        if steps.count("pip") == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(setup_environment, "pip", interrupted)
    with pytest.raises(SystemExit, match="run the same command again"):
        setup_environment.main()
    assert not stamp.exists()
    setup_environment.main()
    assert stamp.read_text() == setup_environment.digest_of_inputs()
    assert steps.count("pip") == 3  # one interrupted; then the packages and the project
    setup_environment.main()
    assert steps.count("pip") == 3
