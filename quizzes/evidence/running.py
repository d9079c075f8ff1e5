"""The services that experiments start, each in its own process, and how their URLs are found."""

import functools
import re
import sys

from learner.processes import Program

REFERENCE, NAIVE = "service.inference_service", "quizzes.evidence.naive_service"
READY = {REFERENCE: " ready ", NAIVE: "Uvicorn running on "}
"""What the line that names the URL contains."""


class Service(Program):
    """One service of this repository, in its own process, on 127.0.0.1. Ends as `Program` does.

    Args:
        module: `REFERENCE` or `NAIVE`.
        arguments: of its command line.
        port: where it listens; 0 picks a free one.
    """

    def __init__(self, module: str, *arguments: str, port: int = 0) -> None:
        super().__init__([sys.executable, "-m", module, "--port", str(port), *arguments])
        self._ready = READY[module]

    @functools.cached_property  # its line is dropped when many others have followed
    def url(self) -> str:
        """`http://127.0.0.1:PORT`. Waits until it is ready.

        Raises:
            LearnerError: it does not become ready; the message has the last line that it printed.
        """
        found = re.search(r"http://[\w.]+:\d+", self.wait_for(self._ready).text)
        assert found is not None
        return found[0]

    @property
    def port(self) -> int:
        """The port of `url`."""
        return int(self.url.rsplit(":", 1)[1])
