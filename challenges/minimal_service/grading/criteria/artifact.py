"""Criterion 3: the artifact is complete, and damage to it is noticed before anything is served."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from challenges.minimal_service.grading.context import Grade, Report
from challenges.minimal_service.grading.criteria.offline import run_offline
from challenges.minimal_service.grading.sandbox.process import ServiceFault
from challenges.minimal_service.grading.submission.copying import files_in
from challenges.minimal_service.grading.submission.running import (
    Predictions,
    RunningService,
    same_predictions,
)
from challenges.minimal_service.grading.submission.submission import Submission, copy_of
from challenges.minimal_service.grading.verdict import LESSONS, CriterionResult
from learner.language import _

PHOTOS = 4
REFUSAL_SECONDS = 120.0
SETTINGS = (".json", ".toml", ".yaml", ".yml", ".txt", ".csv", ".py")
"""Suffixes of files that say what the weights mean; one of them is damaged, if there are any."""


def judge(grade: Grade, submission: Submission) -> CriterionResult:
    """Move the artifact away and serve it offline; damage copies of it, and expect refusals."""
    report = Report("artifact", lesson=LESSONS["artifact"])
    before = _list_files(submission.built)
    try:
        _check_moved(report, grade, submission)
    except ServiceFault as fault:
        report.check("service-starts", False, str(fault), str(fault))
        return report.result()
    _check_flips(report, grade, submission)
    _check_missing(report, grade, submission)
    changed = sorted(set(before.items()) ^ set(_list_files(submission.built).items()))
    text = (
        _("The service writes to its own artifact: {files}.")
        if changed
        else _("The service does not write to its artifact.")
    )
    files = ", ".join(dict.fromkeys(name for name, _state in changed))
    cause = _("An artifact that its service changes is no longer the one that was validated.")
    report.check("artifact-untouched", not changed, text, cause, files=files)
    return report.result()


def _list_files(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in files_in(folder)
    }


@contextmanager
def _copy(submission: Submission) -> Iterator[Submission]:
    """Give a copy elsewhere, code as files and the artifact as links, until the block ends."""
    place = Path(tempfile.mkdtemp(prefix="moved-", dir=submission.folder.parent))
    try:
        yield copy_of(submission, place / "service")
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _find_usual_answers(grade: Grade, submission: Submission) -> list[Predictions | None]:
    """Return the answers of the service in its usual place, which criterion 2 usually knows."""
    if grade.answers is not None:
        return grade.answers[:PHOTOS]
    with RunningService(submission) as service:
        service.wait_until_ready()
        return [service.predict(photo) for photo in grade.photos(PHOTOS)]


def _check_moved(report: Report, grade: Grade, submission: Submission) -> None:
    expected = _find_usual_answers(grade, submission)
    hide = [submission.folder, submission.source, submission.built, grade.model]
    if submission.artifact != submission.folder:
        hide.append(submission.artifact)
    with _copy(submission) as moved:
        gone = _take_training_away(moved)
        hidden = [path.resolve() for path in dict.fromkeys(hide)]
        offline = run_offline(moved, grade.photos(PHOTOS), hidden)
    text = (
        _("In an empty folder, offline, the service starts. Taken away were: {files}.")
        if offline.ready
        else _(
            "In an empty folder, offline, the service does not start (exit status {status}). Taken "
            "away were: {files}. The last that it said: {last}"
        )
    )
    files = ", ".join([*gone, _("the research model")])
    cause = _(
        "The artifact is not complete: the service needs a file that is not in it, the training "
        "code, the research model or the internet. Put what it needs into the artifact."
    )
    values = {"files": files, "status": offline.status, "last": offline.last_words}
    if report.check("moved-starts", offline.ready, text, cause, **values):
        same = len(offline.answers) == len(expected) and all(
            same_predictions(here, there)
            for here, there in zip(offline.answers, expected, strict=True)
        )
        text = (
            _("There it answers {count} photos as before.")
            if same
            else _("There it does not answer {count} photos as it did before.")
        )
        report.check("moved-answers-same", same, text, cause, count=PHOTOS)
    if offline.how == "refused":
        text = _(
            "This machine permits no network of its own to a program (unshare), so only Python's "
            "connections were refused. That no other part uses the network was not checked."
        )
        report.check("offline-for-sure", None, text)
    elif not offline.hidden:
        text = _("The folders where the artifact was made could not be hidden; not checked.")
        report.check("hidden-for-sure", None, text)


def _take_training_away(moved: Submission) -> list[str]:
    """Remove what only training and building need; return its names."""
    needed = {path.resolve() for path in moved.modules.values()}
    needed |= {moved.artifact.resolve()}
    needed |= {(moved.folder / word).resolve() for word in moved.start}
    named = [*moved.training, *(moved.folder / word for word in moved.build or [])]
    gone = []
    for path in named:
        inside = path.resolve().is_relative_to(moved.folder)
        if not inside or any(one.is_relative_to(path.resolve()) for one in needed):
            continue
        if path.is_dir():
            shutil.rmtree(path)
        elif path.is_file():
            path.unlink()
        else:
            continue
        gone.append(path.relative_to(moved.folder).as_posix())
    return gone


def _check_flips(report: Report, grade: Grade, submission: Submission) -> None:
    random = np.random.default_rng([grade.seed, 78])
    weights = max(submission.weights, key=lambda path: path.stat().st_size)
    others = [path for path in files_in(submission.artifact) if path not in submission.weights]
    others = [path for path in others if path.stat().st_size > 0]
    settings = [path for path in others if path.suffix in SETTINGS] or others
    # In the beginning, the middle and the last quarter of the file.
    parts = [(0.0, 0.05), (0.4, 0.6), (0.75, 1.0)]
    if grade.quick:
        parts = [parts[random.integers(len(parts))]]
    targets = [(weights, [random.uniform(*part) for part in parts])]
    if settings:
        targets.append((settings[random.integers(len(settings))], [random.uniform(0, 1)]))
    else:
        text = _(
            "The artifact holds nothing but weights. Labels, preprocessing settings and a manifest "
            "belong to it."
        )
        report.check("artifact-has-settings", False, text, text)
    for path, shares in targets:
        with _copy(submission) as damaged:
            name = path.relative_to(submission.artifact)
            _unlink_copy(damaged.artifact / name)
            for number, share in enumerate(shares):
                at = int(share * (path.stat().st_size - 1))
                bit = int(random.integers(8))
                _flip(damaged.artifact / name, at, bit)
                kind = "weights" if path in submission.weights else "settings"
                change = _("Bit {bit} of byte {at:,} of {file} was flipped.")
                change = change.format(bit=bit, at=at, file=name.as_posix())
                _expect_refusal(report, f"{kind}-flip-{number + 1}", damaged, name.name, change)
                _flip(damaged.artifact / name, at, bit)


def _check_missing(report: Report, grade: Grade, submission: Submission) -> None:
    weights = submission.weights[:1] if grade.quick else submission.weights[:3]
    for number, path in enumerate(weights):
        with _copy(submission) as damaged:
            name = path.relative_to(submission.artifact)
            (damaged.artifact / name).unlink()
            change = _("{file} was taken away.").format(file=name.as_posix())
            _expect_refusal(report, f"weights-missing-{number + 1}", damaged, name.name, change)


def _unlink_copy(path: Path) -> None:
    """Replace a link by a copy, so that the original stays as it is."""
    part = path.with_name(path.name + ".copy")
    shutil.copy2(path, part)
    part.replace(path)


def _flip(path: Path, at: int, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ (1 << bit)]))


def _expect_refusal(report: Report, id_: str, damaged: Submission, file: str, change: str) -> None:
    """Check that the service ends with an error that names the file, before it is ready."""
    cause = _(
        "The service does not look whether its artifact is the validated one. Keep the SHA-256 of "
        "every file in a manifest, and compare before anything is loaded."
    )
    with RunningService(damaged) as service:
        try:
            service.wait_until_ready(REFUSAL_SECONDS)
        except ServiceFault as fault:
            service.kill()
            if fault.kind != "ended":
                text = _("{change} The service did not end. {fault}")
                report.check(f"{id_}-refused", False, text, cause, change=change, fault=fault)
                return
        else:
            text = _("{change} The service started all the same.")
            report.check(f"{id_}-refused", False, text, cause, change=change)
            return
    status = service.wait(0)
    text = _("{change} The service ended before it was ready, with exit status {status}.")
    if report.check(f"{id_}-refused", status != 0, text, cause, change=change, status=status):
        named = any(file in line.text for line in service.lines)
        text = (
            _("The refusal names {file}.")
            if named
            else _("The refusal does not name {file}. The last that the service said: {last}")
        )
        cause = _("The engineer on call needs the file's name in the message.")
        report.check(f"{id_}-named", named, text, cause, file=file, last=service.last_words)
