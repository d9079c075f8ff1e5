"""Drives the machine's container engine, docker or podman: builds an image, runs it, removes it."""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from learner.language import _
from learner.processes import Program

NAME = "workshop-grade"
"""Name of the image and of its container."""
COMMAND_SECONDS = 60.0
"""Limit for every command but a build."""
_UNREACHABLE = re.compile(
    r"name resolution|could not resolve|no such host|network is unreachable|dial tcp|"
    r"connection (refused|reset|timed out)|failed to establish a new connection|"
    r"certificate verify failed|certificate signed by unknown|max retries exceeded|read timed out",
    re.IGNORECASE,
)
_REPEATS = re.compile(r"error: (building at|failed to (build|solve))", re.IGNORECASE)
"""The engine's own last line: which instruction failed, but not why."""


@dataclass(frozen=True, slots=True)
class Done:
    """A command of the engine that has ended."""

    status: int | None
    """Exit status; None: it could not be started, or did not end in time."""
    output: str

    @property
    def reason(self) -> str:
        """The line that says why it failed."""
        said = [line.strip() for line in self.output.splitlines() if line.strip()]
        errors = [line for line in said if re.search(r"\berror\b", line, re.IGNORECASE)]
        causes = [line for line in errors if not _REPEATS.match(line)]
        return (causes or errors or said or [_("nothing was said")])[-1][:300]

    @property
    def unreachable(self) -> str | None:
        """The line that blames the network and not the container file; None without one."""
        lines = [line.strip() for line in self.output.splitlines() if _UNREACHABLE.search(line)]
        return lines[-1][:300] if lines else None


class Engine:
    """A container engine. As a context manager, it removes what it built and started.

    Args:
        program: path of `docker` or `podman`.
    """

    def __init__(self, program: str) -> None:
        self.program = program
        self.name = Path(program).name

    def run(
        self, *arguments: str, seconds: float = COMMAND_SECONDS, stderr: int = subprocess.STDOUT
    ) -> Done:
        """Run one short command of the engine."""
        try:
            done = subprocess.run(
                [self.program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                encoding="utf-8",
                errors="replace",
                timeout=seconds,
            )
        except (subprocess.TimeoutExpired, OSError) as error:
            return Done(None, str(error))
        return Done(done.returncode, done.stdout)

    def build(
        self, folder: Path, container: Path, arguments: Mapping[str, str], seconds: float
    ) -> Done:
        """Build the image from a context folder; a build longer than `seconds` is ended."""
        command = [self.program, "build", "--file", str(container), "--tag", NAME]
        if self.name == "podman":
            command += ["--format", "docker"]  # the format that keeps a health check
        for name, value in arguments.items():
            command += ["--build-arg", f"{name}={value}"]
        with Program([*command, str(folder)], cwd=folder) as build:
            status = build.wait(seconds)
            build.stop()  # reads the rest of its output, too
            return Done(status, "\n".join(line.text for line in build.lines))

    def image(self) -> dict[str, Any]:
        """Return what the engine knows of the built image."""
        return self._inspect("image")

    def state(self) -> dict[str, Any]:
        """Return the container's state: "Running", "ExitCode" and others."""
        return dict(self._inspect("container").get("State") or {})

    def _inspect(self, kind: str) -> dict[str, Any]:
        try:
            done = self.run(kind, "inspect", NAME, stderr=subprocess.DEVNULL)  # podman warns there
            (content,) = json.loads(done.output)
            return dict(content)
        except (ValueError, TypeError):
            return {}

    def start(self, port: int) -> Done:
        """Start the container, its port published on a free one of 127.0.0.1."""
        safety = ["--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
        publish = ["--publish", f"127.0.0.1::{port}"]
        return self.run("run", "--detach", "--name", NAME, *safety, *publish, NAME)

    def published(self, port: int) -> int | None:
        """Return the port of 127.0.0.1 that leads to the container's."""
        match = re.search(r"127\.0\.0\.1:(\d+)", self.run("port", NAME, f"{port}/tcp").output)
        return int(match[1]) if match else None

    def stop(self, seconds: int) -> Done:
        """Send the container SIGTERM, and SIGKILL after `seconds`."""
        return self.run("stop", "-t", str(seconds), NAME, seconds=seconds + COMMAND_SECONDS)

    def last_words(self) -> str:
        """Return the last line that the container wrote."""
        said = self.run("logs", "--tail", "5", NAME).output
        lines = [line for line in said.splitlines() if line.strip()]
        return lines[-1].strip()[:300] if lines else _("nothing")

    def _remove(self) -> None:
        self.run("rm", "--force", "--volumes", NAME)
        self.run("rmi", "--force", NAME)

    def __enter__(self) -> Self:
        self._remove()  # a grader that was killed may have left them
        return self

    def __exit__(self, *_raised: object) -> None:
        self._remove()


def find_engine() -> tuple[Engine | None, str]:
    """Return the first usable engine; or None and a sentence that says why."""
    reasons = []
    for name in ("docker", "podman"):
        program = shutil.which(name)
        if program is None:
            continue
        engine = Engine(program)
        info = engine.run("info", seconds=20)
        if info.status == 0:
            return engine, ""
        sentence = _("{engine} is installed, but cannot be used here: {reason}.")
        reasons.append(sentence.format(engine=name, reason=info.reason.rstrip(".")))
    return None, " ".join(reasons) or _("Neither docker nor podman is installed.")
