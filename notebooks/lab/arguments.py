"""What command lines share: the check of a language, and errors in one line."""

import sys
from collections.abc import Callable

from learner.errors import LearnerError
from learner.language import LANGUAGES, _


def known_language(code: str) -> str:
    """Return `code`, if it is a language of the workshop.

    Raises:
        LearnerError: it is not.
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
    """Exit with the status that `main` returns; a LearnerError is one line, and status 2."""
    try:
        sys.exit(main())
    except LearnerError as error:
        print(_("error: {sentence}").format(sentence=error), file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
