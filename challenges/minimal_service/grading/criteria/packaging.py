"""Criterion 8, packaging: hadolint judges the container file; an engine builds and runs it.

Without an engine the verdict says so. The build argument ARTIFACT names the artifact's path in the
build's context. The environment variable WORKSHOP_BASE_IMAGE sets the build argument BASE_IMAGE.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from challenges.load.client import ask
from challenges.minimal_service.grading.context import Grade, Report
from challenges.minimal_service.grading.sandbox.container import Done, Engine, find_engine
from challenges.minimal_service.grading.submission.copying import copy_tree, link_tree
from challenges.minimal_service.grading.submission.submission import Submission
from challenges.minimal_service.grading.verdict import LESSONS, CriterionResult
from learner.language import _
from service.artifact.sample_photos import SAMPLE_PHOTOS

BASE_IMAGE = "WORKSHOP_BASE_IMAGE"
MOST_BYTES = 100_000
"""Largest container file."""
LINT_SECONDS, BUILD_SECONDS, READY_SECONDS, ANSWER_SECONDS = 20.0, 180.0, 60.0, 30.0
STOP_SECONDS = 40
POLL_SECONDS = 0.3
UNPINNED = {"DL3013", "DL3016", "DL3018", "DL3028", "DL3033", "DL3037", "DL3041"}
"""hadolint's rules for packages without a version. Not DL3008, for apt: Debian's archive keeps
only the newest version, so a pin there breaks the build one day."""
ERRORS = ("DL3002", "DL3006", "DL3007", "DL3025")
"""Rules that count as errors here: root, a base image without a version, "latest", a command that
a shell reads. github.com/hadolint/hadolint/wiki/RULE explains each."""
CANNOT_PARSE = "DL1000"
NO_CONTAINER = 125
"""Exit status of docker and podman where they themselves fail, not the container."""
KILLED = 137
MOST_NAMED = 3


def judge(grade: Grade, submission: Submission) -> CriterionResult:
    """Judge the container file, and the container where it can be built here."""
    report = Report("packaging", lesson=LESSONS["packaging"])
    text = _read(report, submission)
    if text is not None:
        _check_text(report, text)
        _check_container(grade, report, submission, text)
    return report.result()


def _read(report: Report, submission: Submission) -> str | None:
    """Return the container file's text; or None after a failed check."""
    path = submission.container
    if path is None or not path.is_file():
        name = "Containerfile" if path is None else path.name
        sentence = _("There is no container file. Write one, {name}, and name it in service.toml.")
        cause = _("Without a container file the service runs only where it was written.")
        report.check("container-file", False, sentence, cause, name=name)
        return None
    try:
        text = path.read_text("utf-8") if path.stat().st_size <= MOST_BYTES else None
    except UnicodeDecodeError:
        text = None
    if text is None:
        sentence = _("The container file is no text in UTF-8 of at most {kilobytes} kB.")
        report.check("container-file", False, sentence, kilobytes=MOST_BYTES // 1000)
        return None
    report.check("container-file", True, _("The container file is {name}."), name=path.name)
    return text


def lint(text: str) -> list[dict[str, Any]] | None:
    """Return hadolint's findings, with "code", "level", "line", "message"; None without hadolint.

    No setting of the learner's, in a file or in the text, turns a rule off.

    Raises:
        ValueError: hadolint needs too long.
    """
    beside = Path(sys.executable).with_name("hadolint")
    program = str(beside) if beside.is_file() else shutil.which("hadolint")
    if program is None:
        return None
    levels = [word for rule in ERRORS for word in ("--error", rule)]
    with tempfile.TemporaryDirectory() as empty:
        try:
            done = subprocess.run(
                [program, "--format", "json", "--no-fail", "--disable-ignore-pragma", *levels, "-"],
                input=text,
                capture_output=True,
                encoding="utf-8",
                timeout=LINT_SECONDS,
                cwd=empty,
                env={"HOME": empty, "XDG_CONFIG_HOME": empty, "LANG": "C.UTF-8"},
            )
        except subprocess.TimeoutExpired as error:
            raise ValueError(str(error)) from None
    findings: list[dict[str, Any]] = json.loads(done.stdout)
    return findings


def _check_text(report: Report, text: str) -> None:
    unreadable = _("The linter hadolint cannot read the container file.")
    try:
        findings = lint(text)
    except ValueError:
        report.check("lint", False, unreadable)
        return
    if findings is None:
        sentence = _("The container file was not linted: hadolint is not installed (make setup).")
        report.check("lint", None, sentence)
        return
    if "<<" in text and any(one["code"] == CANNOT_PARSE for one in findings):
        # hadolint 2.15 reads a heredoc only if an empty line follows it.
        report.check("lint", None, unreadable)
        return
    missing = [
        name
        for name, pattern in (("FROM", r"FROM\s"), ("CMD", r"(CMD|ENTRYPOINT)\s"))
        if not re.search(rf"^\s*{pattern}", text, re.MULTILINE | re.IGNORECASE)
    ]
    sentence = _("The container file has no instruction {names}, so nothing can start from it.")
    passed = _("The container file says what it starts from, and what it starts.")
    sentence = sentence.format(names=", ".join(missing)) if missing else passed
    report.check("instructions", not missing, sentence)
    unpinned = [one for one in findings if one["code"] in UNPINNED]
    errors = [one for one in findings if one["level"] == "error" and one not in unpinned]
    sentence = _("The linter hadolint finds errors (rule, line): {findings}")
    passed = _("The linter hadolint finds no error.")
    report.check("lint", not errors, _fill_in(sentence, errors) if errors else passed)
    sentence = _("The linter hadolint finds packages without a version (rule, line): {findings}")
    passed = _("Every package that a command names has a version.")
    cause = _("The next build may install other packages than those the model was validated with.")
    sentence = _fill_in(sentence, unpinned) if unpinned else passed
    report.check("pinned-packages", not unpinned, sentence, cause)


def _fill_in(sentence: str, findings: list[dict[str, Any]]) -> str:
    named = [f"{one['code']}, {one['line']}: {one['message']}" for one in findings[:MOST_NAMED]]
    return sentence.format(findings="; ".join(named) + "; …" * (len(findings) > MOST_NAMED))


def _check_container(grade: Grade, report: Report, submission: Submission, text: str) -> None:
    """Build the image and run it, or say why not."""
    if grade.quick:
        report.check("build", None, _("A quick grade does not build the container."))
        return
    if any(check.passed is False for check in report.checks):
        sentence = _("The container is not built before the faults of its file are corrected.")
        report.check("build", None, sentence)
        return
    engine, reason = find_engine()
    if engine is None:
        report.check("build", None, _("The container was not built: {reason}"), reason=reason)
        return
    with engine:
        if _build(grade, report, engine, submission, text):
            port = _check_image(report, engine)
            if port is not None:
                _check_run(report, engine, port)


def _build(grade: Grade, report: Report, engine: Engine, submission: Submission, text: str) -> bool:
    """Build the image from the submission with its artifact; return whether it is there."""
    assert submission.container is not None
    artifact = Path("artifacts", "graded")
    if submission.artifact.is_relative_to(submission.folder):
        artifact = submission.artifact.relative_to(submission.folder)
    offered = {"ARTIFACT": artifact.as_posix(), "BASE_IMAGE": os.environ.get(BASE_IMAGE)}
    declared = set(re.findall(r"^\s*ARG\s+(\w+)", text, re.MULTILINE | re.IGNORECASE))
    arguments = {name: value for name, value in offered.items() if value and name in declared}
    grade.say(_("{engine} builds the container …").format(engine=engine.name))
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=submission.folder.parent, prefix="context-") as place:
        folder = Path(place)
        copy_tree(submission.folder, folder, leave_out=submission.folder / artifact)
        link_tree(submission.artifact, folder / artifact)
        container = folder / submission.container.relative_to(submission.folder)
        built = engine.build(folder, container, arguments, BUILD_SECONDS)
    seconds = time.monotonic() - started
    if built.status == 0:
        megabytes = engine.image().get("Size", 0) / 1e6
        report.measured |= {"build_s": round(seconds, 1), "image_mb": round(megabytes, 1)}
        sentence = _("{engine} built the container image in {seconds:.0f} s: {size:.0f} MB.")
        name = engine.name
        return report.check("build", True, sentence, engine=name, seconds=seconds, size=megabytes)
    if built.status is None:
        sentence = _("The build of the container was not done after {seconds:g} s and was ended.")
        report.check("build", None, sentence, seconds=BUILD_SECONDS)
    elif built.unreachable:
        sentence = _("The container was not built, because the network did not answer: {reason}")
        report.check("build", None, sentence, reason=built.unreachable)
    else:
        sentence = _("{engine} cannot build the container: {reason}")
        report.check("build", False, sentence, engine=engine.name, reason=built.reason)
    return False


def _check_image(report: Report, engine: Engine) -> int | None:
    """Check the image's user, health check and port; return the port if there is one."""
    image = engine.image()
    config = image.get("Config") or {}
    user = str(config.get("User") or "").partition(":")[0]
    sentence = (
        _("The service runs as root: name another user with USER, best by a number.")
        if user in ("", "root", "0")
        else _("The service runs as the user {name}.")
    )
    cause = _("An attacker who breaks into the service is root in its container.")
    report.check("user", user not in ("", "root", "0"), sentence, cause, name=user)
    healthy = bool(config.get("Healthcheck") or image.get("Healthcheck"))  # docker, podman
    sentence = (
        _("There is a HEALTHCHECK.")
        if healthy
        else _("There is no HEALTHCHECK, so nobody notices when the service hangs.")
    )
    report.check("health-check", healthy, sentence)
    exposed = [port.partition("/") for port in config.get("ExposedPorts") or {}]
    ports = [int(port) for port, _slash, protocol in exposed if protocol in ("", "tcp")]
    if len(ports) != 1:
        sentence = _("EXPOSE must name the one port that the service listens on; it names {n}.")
        report.check("port", False, sentence, n=len(ports))
        return None
    report.check("port", True, _("The service listens on port {port}."), port=ports[0])
    return ports[0]


def _check_run(report: Report, engine: Engine, port: int) -> None:
    """Start the container; it must get ready, answer a photo, and end on SIGTERM."""
    started = time.monotonic()
    done = engine.start(port)
    if done.status in (NO_CONTAINER, None):
        sentence = _("{engine} cannot run a container here: {reason}.")
        report.check("run", None, sentence, engine=engine.name, reason=done.reason)
        return
    published = engine.published(port) if done.status == 0 else None
    if published is None or not _wait_until_ready(engine, published):
        report.check("run", False, _describe_failure(engine, port, done))
        return
    report.measured["container_ready_s"] = seconds = round(time.monotonic() - started, 2)
    report.check("run", True, _("The container was ready after {seconds:.1f} s."), seconds=seconds)
    _check_photo(report, published)
    _check_stop(report, engine)


def _wait_until_ready(engine: Engine, port: int) -> bool:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if ask(port, seconds=5).status == 200:
                return True
        if not engine.state().get("Running"):
            return False
        time.sleep(POLL_SECONDS)
    return False


def _describe_failure(engine: Engine, port: int, started: Done) -> str:
    if started.status != 0:
        return _("The container cannot be started: {reason}.").format(reason=started.reason)
    state, last = engine.state(), engine.last_words()
    if state.get("Running"):
        return _(
            "After {seconds:g} s the container did not answer GET /readyz with 200 on port {port}. "
            "In a container a service listens on 0.0.0.0. The last it said: {last}"
        ).format(seconds=READY_SECONDS, port=port, last=last)
    return _("The container ended with status {status} before it was ready: {last}").format(
        status=state.get("ExitCode"), last=last
    )


def _check_photo(report: Report, port: int) -> None:
    photo, label = SAMPLE_PHOTOS[0], "–"
    with contextlib.suppress(OSError):
        reply = ask(port, "/predict", ANSWER_SECONDS, photo.read())
        try:
            label = str(json.loads(reply.body)["predictions"][0]["label"])
        except (ValueError, LookupError, TypeError):
            label = f"{reply.status} {reply.body[:80]!r}"
    sentence = _("The container took the photo {photo} for: {found}")
    report.check("photo", label in photo.labels, sentence, photo=photo.name, found=label)


def _check_stop(report: Report, engine: Engine) -> None:
    engine.stop(STOP_SECONDS)
    status = engine.state().get("ExitCode")
    if status == KILLED:
        sentence = _("The container still ran {seconds:g} s after SIGTERM.")
    elif status == 0:
        sentence = _("After SIGTERM the container ended with status 0.")
    else:
        sentence = _("After SIGTERM the container ended with status {status}, expected 0.")
    cause = _("SIGTERM does not reach the service, or the service does not drain.")
    values = {"seconds": STOP_SECONDS, "status": status}
    report.check("drain", status == 0, sentence, cause, **values)
