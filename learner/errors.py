"""Errors in words for a learner: what was wrong, what to do. Never a traceback."""


class LearnerError(Exception):
    """The message, in the learner's language, is all that they need.

    A notebook shows it as one paragraph (IPython asks an exception how it wants to be shown); a
    command line prints it after "error:" and exits with a status that is not 0.
    """

    def _render_traceback_(self) -> list[str]:
        """What IPython prints instead of a traceback."""
        return [str(self)]
