"""The model artifact that lessons and experiments use. `make serve` builds it."""

import functools

from learner.errors import LearnerError
from learner.language import _
from service.artifact.verify import Bundle, verify
from service.errors import OperatorError
from service.settings import DEFAULT_ARTIFACT


@functools.cache
def bundle() -> Bundle:
    """Return the default artifact. Its files are hashed at the first call in a process.

    Raises:
        LearnerError: it is missing or damaged; the message says what to do.
    """
    if not DEFAULT_ARTIFACT.is_dir():
        raise LearnerError(
            _(
                "The model artifact is not built yet. Run `make serve` once in a terminal in the "
                "workshop's folder (it takes a few minutes), stop it with Ctrl+C when it is ready, "
                "then run this cell again."
            )
        )
    try:
        return verify(DEFAULT_ARTIFACT)
    except OperatorError as error:
        raise LearnerError(
            _(
                "The model artifact cannot be used: {reason}. "
                "Delete the folder {folder} and run `make serve` once."
            ).format(reason=error, folder=DEFAULT_ARTIFACT)
        ) from None
