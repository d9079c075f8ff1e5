"""Coverage-guided mutation with atheris, in an environment of its own.

`python -m tests.faults.guided SECONDS` installs atheris into .peers/atheris, and starts itself
there. atheris (github.com/google/atheris) sees which lines a mutant reaches in the service's and in
Pillow's Python code, and goes on from the mutants that reach new ones.
"""

import argparse
import importlib
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PEERS = ROOT / ".peers"
_CHILD = "--in-its-environment"


def main() -> int:
    """Return the exit status: not 0 if a mutant was judged wrongly."""
    if sys.argv[1:2] == [_CHILD]:
        hunt(sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seconds", type=int, help="how long to look for inputs")
    seconds = parser.parse_args().seconds
    python = install(PEERS / "atheris")
    if python is None:
        return 1
    from tests.faults.inputs import list_seeds

    with tempfile.TemporaryDirectory(prefix="atheris-") as folder:
        for number, seed in enumerate(list_seeds()):
            (Path(folder) / f"seed-{number}").write_bytes(seed)
        command = [str(python), "-m", "tests.faults.guided", _CHILD, folder, "-max_len=20000"]
        limits = [f"-max_total_time={seconds}", "-rss_limit_mb=2048", "-timeout=10"]
        return subprocess.run([*command, *limits, "-print_final_stats=1"], cwd=ROOT).returncode


def install(folder: Path) -> Path | None:
    """Return the Python of an environment with atheris, or None where it cannot be installed."""
    python = folder / "bin" / "python"
    if not python.exists():
        PEERS.mkdir(exist_ok=True)
        (PEERS / ".gitignore").write_text("*\n")
        same = [f"{name}=={metadata.version(name)}" for name in ("numpy", "Pillow")]
        uv = [sys.executable, "-m", "uv"]
        for command in (
            [*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)],
            [*uv, "pip", "install", "--quiet", "--python", str(python), "atheris>=3", *same],
        ):
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                print(f"error: atheris cannot be installed: {done.stderr[-300:]}", file=sys.stderr)
                return None
    return python


def hunt(options: list[str]) -> None:
    """Run in the environment of atheris; ends the process."""
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["service.preprocessing", "PIL"]):
        from tests.faults import inputs

    def judge(data: bytes) -> None:
        for file in {data, inputs.mend_checksums(data) if data.startswith(b"\x89PNG") else data}:
            result = inputs.Result()
            inputs.judge(file, result)
            if result.wrong or result.crashed:
                raise AssertionError(*result.wrong, *result.crashed)

    atheris.Setup([sys.argv[0], *options], judge)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
