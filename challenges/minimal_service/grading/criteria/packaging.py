"""Criterion 8, packaging: the container file, linted; and built and run where an engine is.

An artifact that lies outside the submission's folder is put into the build's context, at the path
that the build argument ARTIFACT names. The build argument BASE_IMAGE can be set by the environment
variable WORKSHOP_BASE_IMAGE, for a machine that gets its base images from elsewhere.
"""

import os
import tempfile
import time
from pathlib import Path

from challenges.minimal_service.grading.container.contents import artifact_in, check_contents
from challenges.minimal_service.grading.container.context import ignore_file, read_context
from challenges.minimal_service.grading.container.engine import Engine, find_engine
from challenges.minimal_service.grading.container.file import read_container_file
from challenges.minimal_service.grading.container.lint import (
    check_instructions,
    check_text,
    exposed_ports,
)
from challenges.minimal_service.grading.container.run import check_run
from challenges.minimal_service.grading.context import Grade, Report
from challenges.minimal_service.grading.submission.copying import copy_tree, place
from challenges.minimal_service.grading.submission.submission import Submission
from challenges.minimal_service.grading.verdict import CriterionResult
from learner.language import _

LESSON = "06_challenge.ipynb#cell-id=explain-first-change"
BASE_IMAGE = "WORKSHOP_BASE_IMAGE"
BUILD_SECONDS = 180.0
MOST_BYTES = 100_000
"""Of a container file."""


def judge(grade: Grade, submission: Submission) -> CriterionResult:
    """Judge the container file, and the container where that can be built here."""
    report = Report("packaging", lesson=LESSON)
    text = _read(report, submission)
    if text is not None:
        _judge(grade, submission, report, text)
    return report.result()


def _read(report: Report, submission: Submission) -> str | None:
    """The container file's text, or None and a failed check."""
    path = submission.container
    if path is None or not path.is_file():
        name = "Containerfile" if path is None else path.name
        report.check(
            "container-file",
            False,
            _("There is no container file. Write one, {name}, and name it in service.toml.").format(
                name=name
            ),
            cause=_("Without a container file the service runs only where it was written."),
        )
        return None
    try:
        text = path.read_text("utf-8") if path.stat().st_size <= MOST_BYTES else None
    except UnicodeDecodeError:
        text = None
    if text is None:
        sentence = _("The container file is no text in UTF-8 of at most {kilobytes} kB.")
        text = sentence.format(kilobytes=MOST_BYTES // 1000)
        report.check("container-file", False, text)
        return None
    report.check("container-file", True, _("The container file is {name}.").format(name=path.name))
    return text


def _judge(grade: Grade, submission: Submission, report: Report, text: str) -> None:
    assert submission.container is not None
    container = submission.container.relative_to(submission.folder)
    arguments = {"ARTIFACT": artifact_in(submission).as_posix()}
    file = read_container_file(text, arguments)
    if image := os.environ.get(BASE_IMAGE):
        arguments["BASE_IMAGE"] = image
    arguments = {name: value for name, value in arguments.items() if name in file.arguments}
    with tempfile.TemporaryDirectory(dir=submission.folder.parent, prefix="context-") as place_:
        folder = Path(place_)
        copy_tree(submission.folder, folder, leave_out=submission.folder / artifact_in(submission))
        place(submission.artifact, folder / artifact_in(submission))
        check_text(report, text)
        check_instructions(report, file)
        context = read_context(folder, folder / container)
        check_contents(report, file, context, submission, folder)
        if reason := _obstacle(grade, report):
            report.check("build", None, reason)
            return
        engine, reason = find_engine()
        if engine is None:
            sentence = _("The container was not built: {reason}").format(reason=reason)
            report.check("build", None, sentence)
            return
        with engine:
            images = read_container_file(text, arguments).images()
            if _build(grade, report, engine, images, folder, container, arguments):
                check_run(report, engine, file, exposed_ports(file)[0])


def _obstacle(grade: Grade, report: Report) -> str | None:
    """Why the container is not built, whatever engine is there."""
    if grade.quick:
        return _("A quick grade does not build the container.")
    blocking = {"lint", "sources", "contents", "command", "port"}
    if any(check.id in blocking and check.passed is False for check in report.checks):
        return _("The container is not built before the faults of its file are corrected.")
    return None


def _build(
    grade: Grade,
    report: Report,
    engine: Engine,
    images: list[str],
    folder: Path,
    container: Path,
    arguments: dict[str, str],
) -> bool:
    """Build the image; whether it is there."""
    for image in images:
        if not engine.has_image(image):
            sentence = _(
                "The container was not built, because the container image that it starts from is "
                "not on this machine. Get it with `{command}`, or name another one in {variable} "
                "if the file has ARG BASE_IMAGE."
            )
            report.check(
                "build",
                None,
                sentence.format(command=f"{engine.name} pull {image}", variable=BASE_IMAGE),
            )
            return False
    grade.say(_("{engine} builds the container …").format(engine=engine.name))
    started = time.monotonic()
    ignore = ignore_file(folder, folder / container)
    built = engine.build(folder, folder / container, ignore, arguments, BUILD_SECONDS)
    seconds = time.monotonic() - started
    if built.status == 0:
        megabytes = engine.image_bytes() / 1e6
        report.measured |= {"build_s": round(seconds, 1), "image_mb": round(megabytes, 1)}
        sentence = _("{engine} built the container image in {seconds:.0f} s: {size:.0f} MB.")
        text = sentence.format(engine=engine.name, seconds=seconds, size=megabytes)
        return report.check("build", True, text)
    if built.status is None:
        sentence = _("The build of the container was not done after {seconds:g} s and was ended.")
        report.check("build", None, sentence.format(seconds=BUILD_SECONDS))
    elif built.unreachable:
        sentence = _("The container was not built, because the network did not answer: {reason}")
        report.check("build", None, sentence.format(reason=built.unreachable))
    else:
        sentence = _("{engine} cannot build the container: {reason}")
        report.check("build", False, sentence.format(engine=engine.name, reason=built.reason))
    return False
