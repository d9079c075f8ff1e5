"""What can be said of a container file without building it: hadolint's word, and our own checks."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from challenges.minimal_service.grading.container.file import (
    ContainerFile,
    Instruction,
    instructions,
)
from challenges.minimal_service.grading.context import Report
from learner.language import _

MOST_NAMED = 3
LINT_SECONDS = 20.0
UNPINNED = {"DL3013", "DL3016", "DL3018", "DL3028", "DL3033", "DL3037", "DL3041"}
"""hadolint's rules for packages without a version. Not DL3008, for apt: Debian's archive keeps
only the newest version, so a pin there breaks the build one day."""
JUDGED_HERE = {"DL3002", "DL3006", "DL3007", "DL3012", "DL3025", "DL3057"}
"""Rules for what a check of its own looks at, with variables filled in."""
_SHELLS = {"sh", "bash", "dash", "ash"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the linter: its rule is explained at github.com/hadolint/hadolint/wiki/RULE."""

    line: int
    rule: str
    level: str
    message: str

    def __str__(self) -> str:
        return f"{self.rule}, {self.line}: {self.message}"


def lint(text: str) -> list[Finding] | None:
    """What hadolint finds; None where it is not installed.

    No setting of the learner's, in a file or in the text, turns a rule off.

    Raises:
        ValueError: hadolint cannot read the text in reasonable time.
    """
    beside = Path(sys.executable).with_name("hadolint")
    program = str(beside) if beside.is_file() else shutil.which("hadolint")
    if program is None:
        return None
    linted, added = _for_the_linter(text)
    with tempfile.TemporaryDirectory() as empty:
        try:
            done = subprocess.run(
                [program, "--format", "json", "--no-fail", "--disable-ignore-pragma", "-"],
                input=linted,
                capture_output=True,
                encoding="utf-8",
                timeout=LINT_SECONDS,
                cwd=empty,
                env={"HOME": empty, "XDG_CONFIG_HOME": empty, "LANG": "C.UTF-8"},
            )
        except subprocess.TimeoutExpired as error:
            raise ValueError(str(error)) from None
    return [
        Finding(
            found["line"] - sum(line < found["line"] for line in added),
            *(found["code"], found["level"], found["message"]),
        )
        for found in json.loads(done.stdout)
    ]


def _for_the_linter(text: str) -> tuple[str, list[int]]:
    """The text with an empty line after each heredoc, as hadolint 2.15 wants it.

    Returns the text, and the numbers of the added lines in it.
    """
    lines = text.splitlines()
    ends = [found.last_line for found in instructions(text) if found.heredocs]
    for end in reversed(ends):
        lines.insert(end, "")
    return "\n".join(lines) + "\n", [end + i + 1 for i, end in enumerate(ends)]


def check_text(report: Report, text: str) -> None:
    """The linter's findings: errors, and packages without a version."""
    try:
        findings = lint(text)
    except ValueError:
        report.check("lint", False, _("The linter hadolint cannot read the container file."))
        return
    if findings is None:
        sentence = _("The container file was not linted: hadolint is not installed (make setup).")
        report.check("lint", None, sentence)
        return
    errors = [
        found
        for found in findings
        if found.level == "error" and found.rule not in UNPINNED | JUDGED_HERE
    ]
    report.check(
        "lint",
        not errors,
        _("The linter hadolint finds errors (rule, line): {findings}").format(
            findings=some_of([str(found) for found in errors])
        )
        if errors
        else _("The linter hadolint finds no error."),
    )
    unpinned = [found for found in findings if found.rule in UNPINNED]
    report.check(
        "pinned-packages",
        not unpinned,
        _("The linter hadolint finds packages without a version (rule, line): {findings}").format(
            findings=some_of([str(found) for found in unpinned])
        )
        if unpinned
        else _("Every package that a command names has a version."),
        cause=_(
            "The next build may install other packages than those the model was validated with."
        ),
    )


def check_instructions(report: Report, file: ContainerFile) -> None:
    """Base image, user, health check, command and port."""
    _check_base(report, file)
    user = file.last("USER")
    name = user.words[0].partition(":")[0] if user and user.words else ""
    report.check(
        "user",
        name not in ("", "root", "0"),
        _("The service runs as the user {name}.").format(name=name)
        if name not in ("", "root", "0")
        else _("The service runs as root: name another user with USER, best by a number."),
        cause=_("Whoever breaks into the service is root in its container."),
    )
    health = file.last("HEALTHCHECK")
    healthy = health is not None and health.text.strip().upper() != "NONE"
    report.check(
        "health-check",
        healthy,
        _("There is a HEALTHCHECK.")
        if healthy
        else _("There is no HEALTHCHECK, so nobody notices when the service hangs."),
    )
    _check_command(report, file)
    ports = exposed_ports(file)
    report.check(
        "port",
        len(ports) == 1,
        _("The service listens on port {port}.").format(port=ports[0])
        if len(ports) == 1
        else _("EXPOSE must name the one port that the service listens on; it names {n}.").format(
            n=len(ports)
        ),
    )


def exposed_ports(file: ContainerFile) -> list[int]:
    """The TCP ports of EXPOSE."""
    found = []
    for instruction in file.final("EXPOSE"):
        for word in instruction.words:
            port, _slash, protocol = word.partition("/")
            if port.isdecimal() and protocol.lower() in ("", "tcp"):
                found.append(int(port))
    return sorted(set(found))


def _check_base(report: Report, file: ContainerFile) -> None:
    loose = [image for image in file.images() if not _is_pinned(image)]
    report.check(
        "base-image",
        bool(file.stages) and not loose,
        _("Every container image that FROM names has a version: {images}").format(
            images=some_of(file.images())
        )
        if file.stages and not loose
        else _(
            "A container image that FROM names needs a version or a digest, and not `latest`: "
            "{images}"
        ).format(images=some_of(loose) or "FROM"),
        cause=_("The same file builds another container image tomorrow."),
    )


def _is_pinned(image: str) -> bool:
    if re.search(r"@sha256:[0-9a-f]{64}$", image):
        return True
    _repository, _colon, tag = image.rpartition("/")[2].partition(":")
    return tag not in ("", "latest") and "@" not in tag


def _check_command(report: Report, file: ContainerFile) -> None:
    command = file.last("ENTRYPOINT") or file.last("CMD")
    if command is None or not command.words:
        report.check("command", False, _("There is no CMD or ENTRYPOINT that starts the service."))
        return
    direct = command.is_json and not _is_shell(command)
    report.check(
        "command",
        direct,
        _("{name} starts the service without a shell.").format(name=command.name)
        if direct
        else _(
            "{name} starts the service through a shell. "
            'Write it as a list: {name} ["python", "server.py"]'
        ).format(name=command.name),
        cause=_("A shell between the engine and the service does not pass SIGTERM on."),
    )


def _is_shell(command: Instruction) -> bool:
    words = command.words
    if Path(words[0]).name not in _SHELLS or "-c" not in words[1:]:
        return False
    script = words[words.index("-c") + 1 :][:1] or [""]
    return not re.search(r"(^|[;&]\s*)exec\s", script[0])


def some_of(texts: list[str]) -> str:
    """The first few of many, for a sentence."""
    return "; ".join(texts[:MOST_NAMED]) + ("; …" if len(texts) > MOST_NAMED else "")
