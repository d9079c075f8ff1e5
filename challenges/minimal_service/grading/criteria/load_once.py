"""Criterion 2: the weights are read once, before the service is ready. Seen from outside."""

import contextlib
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
from PIL import Image

from challenges.minimal_service.grading.context import Grade, Report
from challenges.minimal_service.grading.measuring.photos import encoded
from challenges.minimal_service.grading.sandbox.client import ask, predictions_of
from challenges.minimal_service.grading.sandbox.file_watch import Opened, Watcher, can_watch
from challenges.minimal_service.grading.submission.running import RunningService, ServiceFault
from challenges.minimal_service.grading.submission.submission import Submission
from challenges.minimal_service.grading.verdict import CriterionResult
from learner.language import _
from service.artifact.sample_photos import SAMPLE_PHOTOS

LESSON = "04_model_service.ipynb#cell-id=explain-loading"
REQUESTS = 12
IDLE_S = 1.0
"""Of watching a ready service before the first request: it may still be loading."""
LARGE = 0.1
"""A file of this share of the weights' size may hold them."""
READ_PER_REQUEST = 0.2
"""Of the weights' size: more, and they are read again from somewhere."""
ANSWERS = "answers.json"
"""In the grade's folder: what was answered to `distinct_photos`, for the artifact criterion."""

Predictions = list[tuple[int, float]]


@dataclass(slots=True)
class Observed:
    """What was seen of one start and `REQUESTS` requests."""

    watched: bool
    """Opened files could be seen."""
    before: list[Opened] = field(default_factory=list)
    after: list[Opened] = field(default_factory=list)
    read_before: int | None = None
    """Bytes that all its processes read until they were ready; None: not known here."""
    read_after: int | None = None
    """Bytes that they read from then on."""
    answers: list[Predictions | None] = field(default_factory=list)


def judge(grade: Grade, submission: Submission) -> CriterionResult:
    """Start the service, send it photos, and look which files are opened when."""
    report = Report("load-once", lesson=LESSON)
    try:
        observed = _observe(grade, submission)
    except ServiceFault as fault:
        report.check("service-starts", False, str(fault), str(fault))
        return report.result()
    _check_before(report, submission, observed)
    _check_after(report, submission, observed)
    answered = sum(answer is not None for answer in observed.answers)
    report.check(
        "answered-while-watched",
        answered == REQUESTS,
        _("{answered} of {count} photos were answered while the files were watched.").format(
            answered=answered, count=REQUESTS
        ),
        _("The service does not answer photos, so nothing can be said about when it loads."),
    )
    return report.result()


def distinct_photos(seed: int, count: int = REQUESTS) -> list[bytes]:
    """JPEG files, no two alike: cuts of the sample photos drawn from `seed`."""
    random = np.random.default_rng([seed, 77])
    photos = []
    for number in range(count):
        with Image.open(SAMPLE_PHOTOS[number % len(SAMPLE_PHOTOS)].path) as file:
            left, top = random.uniform(0, 0.1, 2) * file.size
            right, bottom = random.uniform(0.9, 1, 2) * file.size
            cut = file.convert("RGB").resize((400, 300), box=(left, top, right, bottom))
        photos.append(encoded(cut, quality=90))
    return photos


def _observe(grade: Grade, submission: Submission) -> Observed:
    photos = distinct_photos(grade.seed)
    own = submission.folder.parent
    observed = Observed(watched=can_watch(own))
    with contextlib.ExitStack() as stack:
        watcher = None
        if observed.watched:
            # All of the grade's folder: weights may be copied to the temporary one and read there.
            watcher = stack.enter_context(Watcher([own]))
        service = stack.enter_context(RunningService(submission))
        service.wait_until_ready()
        observed.before = watcher.take() if watcher else []
        observed.read_before = _bytes_read(service)
        time.sleep(IDLE_S)
        for photo in photos:
            observed.answers.append(predict(service, photo))
            observed.after += watcher.take() if watcher else []
        observed.watched = watcher is not None and watcher.complete
        total = _bytes_read(service)
        if total is not None and observed.read_before is not None:
            observed.read_after = max(0, total - observed.read_before)
    with contextlib.suppress(OSError):
        (own / ANSWERS).write_text(json.dumps(observed.answers), "utf-8")
    return observed


def predict(service: RunningService, photo: bytes) -> Predictions | None:
    """What it answers to a photo; None: nothing, or no right answer."""
    with contextlib.suppress(OSError):
        return predictions_of(ask(service.port, "/predict", 30, photo))
    return None


def _bytes_read(service: RunningService) -> int | None:
    """That its processes read from files and pipes so far (Linux)."""
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
    report.check(
        "weights-read-before-ready",
        not unread,
        text.format(files=", ".join(unread), count=len(submission.weights)),
        _(
            "The weights are loaded too late, by the first request or in the background, or "
            "service.toml names files that are not served. Load them before /readyz says 200."
        ),
    )
    if observed.read_before is not None:
        report.measured["read_before_ready_mb"] = round(observed.read_before / 1e6, 1)
    report.measured["weights_mb"] = round(_size(submission) / 1e6, 1)


class LoadWatch:
    """Notes which files are opened while the load is sent. As a context manager."""

    def __init__(self, submission: Submission) -> None:
        self._own = submission.folder.parent
        self._watcher: Watcher | None = None
        self.seen: list[Opened] | None = None
        """Afterwards; None: it could not be seen."""

    def __enter__(self) -> Self:
        if can_watch(self._own):
            self._watcher = Watcher([self._own])
        return self

    def __exit__(self, *raised: object) -> None:
        if self._watcher is not None:
            seen = self._watcher.take()
            self.seen = seen if self._watcher.complete else None
            self._watcher.close()


def judge_load(
    before: CriterionResult, submission: Submission, seen: Sequence[Opened] | None
) -> CriterionResult:
    """The criterion's result, with what was seen under the load: a dozen requests may not tell."""
    if seen is None:
        return before
    report = Report(
        "load-once", [*before.checks], dict(before.measured), before.cause, before.lesson
    )
    again = _reread(submission, seen)
    if again:
        text = _("Under the load these files were opened or read: {files}.")
    else:
        text = _("No weight file was opened or read under the load.")
    files = ", ".join(sorted({path.name for path in again}))
    report.check("weights-not-read-under-load", not again, text.format(files=files), _by_requests())
    return report.result()


def _by_requests() -> str:
    return _(
        "Weights are loaded by requests: all who wait for them wait for the disk. Load them once, "
        "when the service starts, and keep the model."
    )


def _reread(submission: Submission, seen: Sequence[Opened]) -> set[Path]:
    """The weights, and what is as large, among the files that were opened."""
    weights, least = set(submission.weights), LARGE * _size(submission)
    return {event.path for event in seen if event.path in weights or event.size >= least}


def _check_after(report: Report, submission: Submission, observed: Observed) -> None:
    size, cause = _size(submission), _by_requests()
    if observed.watched:
        again = _reread(submission, observed.after)
        if again:
            text = _("After the service was ready, these files were opened or read: {files}.")
        else:
            text = _("No weight file was opened or read after the service was ready.")
        files = ", ".join(sorted({path.name for path in again}))
        report.check("weights-not-read-after-ready", not again, text.format(files=files), cause)
    if observed.read_after is None:
        text = _("How much a process reads cannot be seen on this machine; it was not checked.")
        report.check("little-read-per-request", None, text)
        return
    each = observed.read_after / REQUESTS
    text = _(
        "After the service was ready, it read {each:.1f} MB for each request; the weights are "
        "{size:.1f} MB."
    )
    text = text.format(each=each / 1e6, size=size / 1e6)
    report.check("little-read-per-request", each < READ_PER_REQUEST * size, text, cause)
    report.measured["read_per_request_mb"] = round(each / 1e6, 3)


def _size(submission: Submission) -> int:
    return sum(path.stat().st_size for path in submission.weights)
