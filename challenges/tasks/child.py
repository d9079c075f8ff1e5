"""Runs one check in a process of its own: `python child.py TASK FOLDER RESULT`.

What it finds goes to RESULT as JSON, since whatever the learner's code prints goes to the output.
"""

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

from challenges.tasks.checking import Wrong, place_of, said
from learner.language import _


def main() -> None:
    """Check, and write down what was found."""
    name, folder, result = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    found: dict[str, object] = {"passed": True}
    try:
        module = importlib.import_module(f"challenges.tasks.checks.{name.replace('-', '_')}")
        module.check(folder)
    except Wrong as wrong:
        found = _as_content(wrong)
    except NotImplementedError as error:
        found = _as_content(
            Wrong(
                expected=_("The task is written."),
                found=_("It is not written yet: the line of the stub still stands there."),
                look=place_of(error, folder),
            )
        )
    except AttributeError as error:
        found = _as_content(_find_missing(error) or _find_fault(error, folder))
    except BaseException as error:  # of the learner's code, or of an answer it gave
        found = _as_content(_find_fault(error, folder))
    part = result.with_suffix(".part")
    part.write_text(json.dumps(found), encoding="utf-8")
    part.replace(result)


def _find_missing(error: AttributeError) -> Wrong | None:
    """Return a verdict if the check asked a module of the learner for a name that is not there."""
    if not isinstance(error.obj, ModuleType):
        return None
    file = f"{error.obj.__name__}.py"
    return Wrong(
        expected=_("{file} has the name {name}, as the stub had it.").format(
            file=file, name=error.name
        ),
        found=_("There is no {name} in it.").format(name=error.name),
        look=file,
    )


def _find_fault(error: BaseException, folder: Path) -> Wrong:
    return Wrong(
        expected=_("The code runs, and answers as its docstring says."),
        found=said(error),
        look=place_of(error, folder),
    )


def _as_content(wrong: Wrong) -> dict[str, object]:
    return {
        "passed": False,
        "expected": wrong.expected,
        "found": wrong.found,
        "look": wrong.look,
    }


if __name__ == "__main__":
    main()
