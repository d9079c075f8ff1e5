"""Criterion 2: the weights are read once, before the service is ready, as seen from outside."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from challenges.minimal_service.grading.context import Grade, Report
from challenges.minimal_service.grading.sandbox.file_watch import Opened, watch_files
from challenges.minimal_service.grading.sandbox.process import ServiceFault
from challenges.minimal_service.grading.submission.running import Predictions, RunningService
from challenges.minimal_service.grading.submission.submission import Submission
from challenges.minimal_service.grading.verdict import LESSONS, CriterionResult
from learner.language import _

REQUESTS = 12
IDLE_S = 1.0
"""Time between readiness and the first request, during which files are watched, too."""
LARGE = 0.1
"""A file of at least this share of the weights' size may hold them."""
READ_PER_REQUEST = 0.2
"""Share of the weights' size; a request that reads more must read weights from somewhere."""


@dataclass(slots=True)
class Observed:
    """What was seen of one start and `REQUESTS` requests."""

    watched: bool = False
    """Opened files could be seen."""
    before: list[Opened] = field(default_factory=list)
    """Events until the service was ready."""
    after: list[Opened] = field(default_factory=list)
    read_before: int | None = None
    """Bytes that its processes read until they were ready; None: unknown here."""
    read_after: int | None = None
    answers: list[Predictions | None] = field(default_factory=list)


def judge(grade: Grade, submission: Submission) -> CriterionResult:
    """Start the service, send it photos, and see which files are opened when."""
    report = Report("load-once", lesson=LESSONS["load-once"])
    try:
        observed = _observe(grade, submission)
    except ServiceFault as fault:
        report.check("service-starts", False, str(fault), str(fault))
        return report.result()
    grade.answers = observed.answers
    _check_before(report, submission, observed)
    _check_after(report, submission, observed)
    answered = sum(answer is not None for answer in observed.answers)
    text = _("{answered} of {count} photos were answered while the files were watched.")
    cause = _("The service does not answer photos, so nothing can be said about when it loads.")
    check_id = "answered-while-watched"
    report.check(check_id, answered == REQUESTS, text, cause, answered=answered, count=REQUESTS)
    return report.result()


def _observe(grade: Grade, submission: Submission) -> Observed:
    photos = grade.photos(REQUESTS)
    own = submission.folder.parent
    observed = Observed()
    # All of the grade's folder: weights may be copied to the temporary one and read there.
    with watch_files(own) as watcher, RunningService(submission) as service:
        service.wait_until_ready()
        observed.before = watcher.take() if watcher else []
        observed.read_before = _count_bytes_read(service)
        time.sleep(IDLE_S)
        for photo in photos:
            observed.answers.append(service.predict(photo))
            observed.after += watcher.take() if watcher else []
        observed.watched = bool(watcher and watcher.complete)
        total = _count_bytes_read(service)
        if total is not None and observed.read_before is not None:
            observed.read_after = max(0, total - observed.read_before)
    return observed


def _count_bytes_read(service: RunningService) -> int | None:
    """Return the bytes that its processes have read from files and pipes (Linux only)."""
    if sys.platform != "linux":
        return None
    total = 0
    for pid in service.pids():
        try:
            fields = Path(f"/proc/{pid}/io").read_text().split()
        except OSError:
            continue
        total += int(fields[fields.index("rchar:") + 1])
    return total


def _check_before(report: Report, submission: Submission, observed: Observed) -> None:
    if not observed.watched:
        sentence = _(
            "Which files the service opens cannot be seen on this machine (it needs Linux's "
            "inotify and enough watches), so it was not checked when the weights are read."
        )
        report.check("weights-read-before-ready", None, sentence)
        report.check("weights-not-read-after-ready", None, sentence)
        return
    opened = {event.path for event in observed.before}
    unread = [path.name for path in submission.weights if path not in opened]
    if unread:
        text = _("These weight files were not opened before the service was ready: {files}.")
    else:
        text = _("All {count} weight files were opened before the service was ready.")
    cause = _(
        "The weights are loaded too late, by the first request or in the background, or "
        "service.toml names files that are not served. Load them before /readyz says 200."
    )
    files, count = ", ".join(unread), len(submission.weights)
    report.check("weights-read-before-ready", not unread, text, cause, files=files, count=count)
    if observed.read_before is not None:
        report.measured["read_before_ready_mb"] = round(observed.read_before / 1e6, 1)
    report.measured["weights_mb"] = round(_total_size(submission) / 1e6, 1)


def judge_load(
    before: CriterionResult, submission: Submission, seen: Sequence[Opened]
) -> CriterionResult:
    """Return the result with what was seen under the load, as a dozen requests may show nothing."""
    report = Report(
        "load-once", [*before.checks], dict(before.measured), before.cause, before.lesson
    )
    failed = _("Under the load these files were opened or read: {files}.")
    passed = _("No weight file was opened or read under the load.")
    _check_reread(report, "weights-not-read-under-load", submission, seen, failed, passed)
    return report.result()


def _check_reread(
    report: Report,
    check_id: str,
    submission: Submission,
    seen: Sequence[Opened],
    failed: str,
    passed: str,
) -> None:
    """Check that no weight file, nor one about as large, is among those that were opened."""
    weights, least = set(submission.weights), LARGE * _total_size(submission)
    names = {one.path.name for one in seen if one.path in weights or one.size >= least}
    text, files = failed if names else passed, ", ".join(sorted(names))
    report.check(check_id, not names, text, _cause(), files=files)


def _cause() -> str:
    return _(
        "Weights are loaded by requests: all who wait for them wait for the disk. Load them once, "
        "when the service starts, and keep the model."
    )


def _check_after(report: Report, submission: Submission, observed: Observed) -> None:
    if observed.watched:
        failed = _("After the service was ready, these files were opened or read: {files}.")
        passed = _("No weight file was opened or read after the service was ready.")
        check_id = "weights-not-read-after-ready"
        _check_reread(report, check_id, submission, observed.after, failed, passed)
    if observed.read_after is None:
        text = _("How much a process reads cannot be seen on this machine; it was not checked.")
        report.check("little-read-per-request", None, text)
        return
    each, size = observed.read_after / REQUESTS / 1e6, _total_size(submission) / 1e6
    text = _(
        "After the service was ready, it read {each:.1f} MB for each request; the weights are "
        "{size:.1f} MB."
    )
    little = each < READ_PER_REQUEST * size
    report.check("little-read-per-request", little, text, _cause(), each=each, size=size)
    report.measured["read_per_request_mb"] = round(each, 3)


def _total_size(submission: Submission) -> int:
    return sum(path.stat().st_size for path in submission.weights)
