"""Errors of a notebook's kernel in one sentence."""

from types import TracebackType
from typing import Any

from IPython.core.getipython import get_ipython

from learner.language import _


def show_errors_in_words() -> None:
    """Replace the traceback of a NameError in a notebook by one sentence that says what to do."""
    shell: Any = get_ipython()
    if shell is not None:
        shell.set_custom_exc((NameError,), _explain_missing_name)


def _explain_missing_name(
    shell: Any,
    kind: type[BaseException],
    error: NameError,
    trace: TracebackType,
    tb_offset: int | None = None,
) -> list[str]:
    sentence = _(
        "`{name}` is not defined yet: a cell above this one has not been run. "
        "Run the cells from the top (menu Run, Run All Above Selected Cell), then this one again."
    ).format(name=error.name)
    lines = [sentence]
    shell._showtraceback(kind, error, lines)
    return lines
