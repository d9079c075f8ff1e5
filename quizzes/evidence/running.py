"""Start the services of experiments, each in its own process, and find their URLs."""

import contextlib
import functools
import re
import sys
from collections.abc import Mapping

import psutil

from learner.processes import Program

REFERENCE, NAIVE = "service.inference_service", "quizzes.evidence.naive_service"
READY = {REFERENCE: " ready ", NAIVE: "Uvicorn running on "}
"""Text in the output line with the URL."""


class Service(Program):
    """A service of this repository in its own process, on 127.0.0.1; ends as `Program` does.

    Args:
        module: `REFERENCE` or `NAIVE`.
        arguments: its command line.
        port: 0 picks a free one.
        environment: variables in addition to those of this process.
    """

    def __init__(
        self,
        module: str,
        *arguments: str,
        port: int = 0,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        command = [sys.executable, "-m", module, "--port", str(port), *arguments]
        super().__init__(command, environment)
        self._ready = READY[module]

    @functools.cached_property  # cached, because `Program` drops old lines
    def url(self) -> str:
        """`http://127.0.0.1:PORT`. Waits until the service is ready.

        Raises:
            LearnerError: it does not become ready; the message contains its last line of output.
        """
        match = re.search(r"http://[\w.]+:\d+", self.wait_for(self._ready).text)
        assert match is not None
        return match[0]

    @property
    def port(self) -> int:
        """The port of `url`."""
        return int(self.url.rsplit(":", 1)[1])

    def pids(self) -> list[int]:
        """Return the ids of its processes; what they use of the processor is no foreign load."""
        with contextlib.suppress(psutil.Error):
            children = psutil.Process(self.group).children(recursive=True)
            return [self.group, *(child.pid for child in children)]
        return [self.group]
