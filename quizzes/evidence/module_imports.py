"""What do the service's modules need? Each is imported where certain packages cannot be found."""

import subprocess
import sys
from collections.abc import Sequence

from learner.language import _
from learner.paths import ROOT
from quizzes.evidence.base import Evidence

MODULES = ("service.preprocessing", "service.model_definition", "service.inference_runner")
"""The three modules that a research script is taken apart into."""
HIDDEN = ("torch", "onnxruntime", "fastapi", "IPython")
_PROGRAM = """
import importlib, sys
module, *hidden = sys.argv[1:]
asked = []

class NotInstalled:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in hidden:
            asked.append(name)
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NotInstalled)
try:
    importlib.import_module(module)
except ModuleNotFoundError as error:
    assert error.name in hidden, error
print(*asked)
"""


def needs(module: str, hidden: Sequence[str] = HIDDEN) -> list[str]:
    """Which packages a module asks for in a fresh process that finds none of `hidden`.

    Args:
        module: what to import.
        hidden: packages that are treated as not installed.

    Returns:
        Those of `hidden` that it asked for, until its import ended or failed.
    """
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _PROGRAM, module, *hidden],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return ended.stdout.split()


def run() -> Evidence:
    """Import each of the three modules by itself, as if torch were not installed."""
    needed = {module: needs(module) for module in MODULES}
    with_torch = [module for module in MODULES if "torch" in needed[module]]
    assert with_torch == ["service.model_definition"], "torch is needed elsewhere"
    return Evidence(
        shows=_(
            "Of the three modules only {module} asks for torch. Preprocessing and the inference "
            "runner do without, so that what they hand on is plain pixels, not normalised tensors."
        ).format(module=with_torch[0]),
        values={module: int("torch" in packages) for module, packages in needed.items()},
    )
