"""The machine's container engine, docker or podman: build an image, run it, leave nothing behind.

podman builds with buildah's code, so buildah itself is not asked for.
"""

import json
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from learner.language import _
from learner.processes import Program

PREFIX = "workshop-grade-"
"""Of the names of all images and containers; the process that made them follows."""
COMMAND_SECONDS = 60.0
"""Limit of every command but a build."""
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
    """A command that has ended."""

    status: int
    output: str
    errors: str

    @property
    def reason(self) -> str:
        """The last line of what went wrong."""
        lines = [line for line in (self.errors or self.output).splitlines() if line.strip()]
        return lines[-1].strip()[:300] if lines else _("nothing was said")


@dataclass(frozen=True, slots=True)
class Built:
    """What became of a build."""

    status: int | None
    """None: it was ended, because the time was up."""
    lines: list[str]

    @property
    def unreachable(self) -> str | None:
        """The line that says that the network was at fault, not the file; None if none does."""
        found = [line.strip() for line in self.lines if _UNREACHABLE.search(line)]
        return found[-1][:300] if found else None

    @property
    def reason(self) -> str:
        """The line that says why it failed."""
        said = [line.strip() for line in self.lines if line.strip()]
        errors = [line for line in said if re.search(r"\berror\b", line, re.IGNORECASE)]
        causes = [line for line in errors if not _REPEATS.match(line)]
        return (causes or errors or said or [_("nothing was said")])[-1][:300]


class Engine:
    """A container engine. As a context manager, it removes on the way out what it made.

    Args:
        program: path of `docker` or `podman`.
    """

    def __init__(self, program: str) -> None:
        self.program = program
        self.name = Path(program).name
        self._mine = f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}"

    def ask(self, *arguments: str, seconds: float = COMMAND_SECONDS) -> Done:
        """Run one short command; a status of -1 says that it did not end in time or start."""
        try:
            done = subprocess.run(
                [self.program, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=seconds,
            )
        except (subprocess.TimeoutExpired, OSError) as error:
            return Done(-1, "", str(error))
        return Done(done.returncode, done.stdout, done.stderr)

    def has_image(self, image: str) -> bool:
        """Whether an image is on this machine; nothing is downloaded."""
        return self.ask("image", "inspect", image).status == 0

    def build(
        self, folder: Path, container: Path, ignore: Path | None, arguments: Mapping[str, str],
        seconds: float,
    ) -> Built:  # fmt: skip
        """Build the image. No base image is downloaded.

        Args:
            folder: the context.
            container: the container file.
            ignore: the ignore file; docker finds it by itself.
            arguments: build arguments.
            seconds: a longer build is ended.
        """
        command = [self.program, "build", "--file", str(container), "--tag", self._mine]
        if self.name == "podman":
            # The format that keeps a health check; no layer outlives the image.
            command += ["--format", "docker", "--pull=never", "--layers=false", "--force-rm"]
            command += ["--ignorefile", str(ignore)] if ignore else []
        for name, value in arguments.items():
            command += ["--build-arg", f"{name}={value}"]
        before, status = self._unfinished(), None
        try:
            with Program([*command, str(folder)], cwd=folder) as build:
                status = build.wait(seconds)
                build.stop()  # and take what it said until then
                return Built(status, [line.text for line in build.lines])
        finally:
            if status is None:  # podman keeps the rest of a build that was ended
                for name in self._unfinished() - before:
                    self.ask("rm", "--force", name)

    def _unfinished(self) -> set[str]:
        """Names of what podman is building."""
        if self.name != "podman":
            return set()
        listed = self.ask("ps", "--all", "--external", "--format", "{{.Names}}").output.split()
        return {name for name in listed if re.search(r"-working-container(-\d+)?$", name)}

    def image_bytes(self) -> int:
        """Size of the image that was built."""
        size = self._inspect("image", "Size")
        return size if isinstance(size, int) else 0

    def start(self, port: int) -> Done:
        """Start the container, with its port published on a free one of 127.0.0.1."""
        safety = ["--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
        publish = ["--publish", f"127.0.0.1::{port}"]
        return self.ask("run", "--detach", "--name", self._mine, *safety, *publish, self._mine)

    def published(self, port: int) -> int | None:
        """The port of 127.0.0.1 that leads to the container's."""
        match = re.search(r"127\.0\.0\.1:(\d+)", self.ask("port", self._mine, f"{port}/tcp").output)
        return int(match[1]) if match else None

    def running(self) -> bool:
        """Whether the container runs."""
        state = self._inspect("container", "State")
        return isinstance(state, dict) and state.get("Running") is True

    def exit_status(self) -> int | None:
        """Of the container, after its end."""
        state = self._inspect("container", "State")
        found = state.get("ExitCode") if isinstance(state, dict) else None
        return found if isinstance(found, int) else None

    def execute(self, words: list[str], seconds: float) -> Done:
        """Run a command in the container."""
        return self.ask("exec", self._mine, *words, seconds=seconds)

    def signal(self, name: str) -> Done:
        """Send a signal to the container's first process."""
        return self.ask("kill", "--signal", name, self._mine)

    def last_words(self) -> str:
        """The last line that the container said."""
        done = self.ask("logs", "--tail", "5", self._mine)
        lines = [line for line in (done.output + done.errors).splitlines() if line.strip()]
        return lines[-1].strip()[:300] if lines else _("nothing")

    def _inspect(self, kind: str, key: str) -> Any:
        try:
            return json.loads(self.ask(kind, "inspect", self._mine).output)[0].get(key)
        except (ValueError, LookupError, AttributeError):
            return None

    def _remove(self, name: str) -> None:
        self.ask("kill", "--signal", "KILL", name)
        self.ask("rm", "--force", "--volumes", name)
        self.ask("rmi", "--force", name)

    def __enter__(self) -> Self:
        for name in self._orphans():
            self._remove(name)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._remove(self._mine)

    def _orphans(self) -> set[str]:
        """Names left by graders that were killed."""
        containers = self.ask("ps", "--all", "--format", "{{.Names}}").output
        images = self.ask("images", "--format", "{{.Repository}}").output
        found = re.findall(rf"{PREFIX}(\d+)-[0-9a-f]+", f"{containers}\n{images}")
        gone = {number for number in found if not psutil.pid_exists(int(number))}
        names = re.findall(rf"{PREFIX}\d+-[0-9a-f]+", f"{containers}\n{images}")
        return {name for name in names if name.removeprefix(PREFIX).partition("-")[0] in gone}


def find_engine() -> tuple[Engine | None, str]:
    """The first usable engine; or None, and a sentence that says why."""
    reasons = []
    for name in ("docker", "podman"):
        program = shutil.which(name)
        if program is None:
            continue
        engine = Engine(program)
        info = engine.ask("info", seconds=20)
        if info.status == 0:
            return engine, ""
        reasons.append(
            _("{engine} is installed, but cannot be used here: {reason}.").format(
                engine=name, reason=info.reason.rstrip(".")
            )
        )
    return None, " ".join(reasons) or _("Neither docker nor podman is installed.")
