"""What can go wrong, named once. Who raises says what was wrong, what was expected, what to do."""


class StartupError(Exception):
    """The service (or a build) must not go on: one line for the operator, exit code not 0."""


class RequestError(Exception):
    """A request that cannot be answered: becomes `{"error": message}` with this status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
