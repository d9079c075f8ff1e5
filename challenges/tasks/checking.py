"""What the checks share: the verdict on wrong code, and the learner's code as a module."""

import importlib
import sys
import traceback
from pathlib import Path
from types import ModuleType

from learner.language import _


class Wrong(Exception):  # noqa: N818 (the learner's code is wrong, not this program)
    """The learner's code does not do what its task asks. Three sentences for the learner.

    Args:
        expected: what right code does.
        found: what this code did.
        look: where to look: a file and a function in it, or the section of a lesson.
    """

    def __init__(self, *, expected: str, found: str, look: str) -> None:
        super().__init__(found)
        self.expected, self.found, self.look = expected, found, look


def own_module(folder: Path, name: str) -> ModuleType:
    """Import a module of the learner's folder, as `import name` does there.

    Raises:
        Wrong: it cannot be imported.
    """
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(name)
    except BaseException as error:  # SystemExit, KeyboardInterrupt and errors of the learner's own
        raise Wrong(
            expected=_("{file} can be imported.").format(file=f"{name}.py"),
            found=said(error),
            look=place_of(error, folder),
        ) from error


def said(error: BaseException) -> str:
    """An error as Python's last line of a traceback says it."""
    try:
        text = str(error)
    except Exception:  # an error of the learner's own, which cannot be printed
        text = ""
    text = "".join(sign if sign.isprintable() else " " for sign in text)
    return f"{type(error).__name__}: {text}".strip().removesuffix(":")[:300]


def place_of(error: BaseException, folder: Path) -> str:
    """The last line of the learner's folder that an error came through: "server.py, line 12"."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        file, line, function = Path(error.filename).name, error.lineno, ""
    else:
        own = [
            frame
            for frame in traceback.extract_tb(error.__traceback__)
            if Path(frame.filename).is_relative_to(folder)
        ]
        if not own:
            return _("what your function returns: its type and its parts")
        file, line = Path(own[-1].filename).relative_to(folder).as_posix(), own[-1].lineno or 0
        function = own[-1].name
    if function and function != "<module>":
        return _("{file}, line {line}, in {function}").format(
            file=file, line=line, function=function
        )
    return _("{file}, line {line}").format(file=file, line=line)
