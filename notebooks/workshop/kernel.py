"""Errors of a notebook's kernel in words for a learner."""

from types import TracebackType
from typing import Any

from IPython.core.getipython import get_ipython

from learner.language import _


def show_errors_in_words() -> None:
    """In a notebook: a name that no cell has defined yet is one sentence that says what to do."""
    shell: Any = get_ipython()
    if shell is not None:
        shell.set_custom_exc((NameError,), _name_is_missing)


def _name_is_missing(
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
