"""The errors of the service. Each message says what was wrong, what was expected, what to do."""

import sys
from pathlib import Path


def write_command(words: str) -> str:
    """Return a command line that runs a module with this Python, from the repository's folder."""
    python, root = Path(sys.executable), Path(__file__).parent.parent
    return f"{python.relative_to(root) if python.is_relative_to(root) else python} -m {words}"


def shorten(text: str) -> str:
    """Return at most 100 characters of what a client sent, to repeat it in an error."""
    return text if len(text) <= 100 else f"{text[:100]}…"


class OperatorError(Exception):
    """The service, or a build, must not go on: one line for the operator, exit status not 0."""


class RequestError(Exception):
    """A request that cannot be answered: becomes `{"error": message}` with this status."""

    def __init__(self, status: int, message: str, refusal: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.refusal = refusal
        """The reason that is counted, a key of `jobs.REFUSALS`; "": the one of its status."""


class OverloadedError(RequestError):
    """There is too much to do for this request to be answered in time: 503 and `Retry-After`."""

    def __init__(self, message: str, retry_after: int, refusal: str = "overload") -> None:
        super().__init__(503, message, refusal)
        self.retry_after = retry_after
        """When the client may try again, in whole seconds."""


_RESTART_S = 10
"""About the seconds that a supervisor's restart takes."""


class DeviceLostError(OverloadedError):
    """The device does not work any more: 503, and this process must end."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"{reason}; this process is ending, another one will answer: try again in "
            f"{_RESTART_S} s",
            _RESTART_S,
            "device_lost",
        )
        self.reason = reason
