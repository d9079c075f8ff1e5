"""What the command lines of the workshop share: a language, and errors in one sentence."""

import sys
from collections.abc import Callable

from learner.errors import LearnerError
from learner.language import LANGUAGES, _


def known_language(code: str) -> str:
    """`code`, if there are lessons in it.

    Raises:
        LearnerError: there are none.
    """
    if code not in LANGUAGES:
        names = ", ".join(f"{known} ({name})" for known, name in LANGUAGES.items())
        raise LearnerError(
            _('There is no language "{code}". Choose one of: {names}').format(
                code=code, names=names
            )
        )
    return code


def run(main: Callable[[], int]) -> None:
    """Exit with what `main` returns; a learner's error is one line, and exit status 2."""
    try:
        sys.exit(main())
    except LearnerError as error:
        print(_("error: {sentence}").format(sentence=error), file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
