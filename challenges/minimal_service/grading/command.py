"""`python -m challenges grade`: the verdict on a submission, on the terminal and in files."""

import argparse
import contextlib
import secrets
import signal
import sys
import time
from pathlib import Path
from typing import Any

from challenges.catalogue.model import CATALOGUE_MODEL, make_model
from challenges.minimal_service.grading.verdict import Verdict
from learner.errors import LearnerError
from learner.language import _
from service.errors import OperatorError


def add_command(subparsers: Any) -> None:
    """Add `grade` to the commands of `python -m challenges`."""
    words = _("load your service for real, and say what it misses and why")
    parser: argparse.ArgumentParser = subparsers.add_parser("grade", help=words, description=words)
    parser.add_argument(
        "path", metavar="PATH", help=_("folder of the service; or: reference, starter")
    )
    parser.add_argument(
        "--quick", action="store_true", help=_("within a minute: a short load, nothing beyond it")
    )
    parser.add_argument(
        "--json", metavar="FILE", type=Path, help=_("write the verdict as JSON to FILE")
    )
    parser.add_argument(
        "--html", metavar="FILE", type=Path, help=_("write the verdict as a page to FILE")
    )
    parser.add_argument(
        "--model",
        metavar="FOLDER",
        type=Path,
        help=_("another research model: weights.safetensors and labels.txt (for tests)"),
    )
    parser.add_argument(
        "--seed", type=int, help=_("of photos and arrivals; drawn anew if not given (for tests)")
    )
    parser.set_defaults(do=run)


def run(options: argparse.Namespace) -> int:
    """Grade; exit status 0 only on a pass, 1 otherwise.

    Raises:
        LearnerError: there is nothing to grade with, or a file cannot be written.
    """
    from challenges.minimal_service.grading.grade import grade
    from challenges.minimal_service.report.terminal import text

    for path in (options.json, options.html):
        _check_writable(path)
    model = _model(options.model)
    started = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - started:5.0f} s  {line}", file=sys.stderr, flush=True)

    with _ending_cleanly():
        verdict = grade(
            options.path,
            model,
            quick=options.quick,
            seed=secrets.randbits(32) if options.seed is None else options.seed,
            say=say,
        )
    _keep(options.path, verdict, options.html)
    if options.json is not None:
        _write(options.json, verdict.model_dump_json(indent=1) + "\n")
    print(text(verdict))
    return 0 if verdict.passed else 1


@contextlib.contextmanager
def _ending_cleanly() -> Any:
    """SIGTERM ends a grade as Ctrl+C does: everything that it started goes with it."""

    def stop(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _model(folder: Path | None) -> Path:
    if folder is None:
        try:
            return make_model(CATALOGUE_MODEL, say=lambda line: print(line, file=sys.stderr)).path
        except OperatorError as error:
            raise LearnerError(str(error)) from None
    for name in ("weights.safetensors", "labels.txt"):
        if not (folder / name).is_file():
            sentence = _("The model {folder} has no {file}.")
            raise LearnerError(sentence.format(folder=folder, file=name))
    return folder


def _keep(path: str, verdict: Verdict, page: Path | None) -> None:
    """Add it to the learner's attempts, if it is their own service; and write the page."""
    from challenges.minimal_service import progress
    from challenges.minimal_service.learner_service import own_folder
    from challenges.minimal_service.report.page import write_html

    own = own_folder()
    earlier = []
    if own.is_dir() and Path(path).is_dir() and Path(path).resolve() == own.resolve():
        earlier = [(one.at, one.score, one.passed) for one in progress.load().attempts]
        progress.record(verdict)
    if page is not None:
        try:
            write_html(verdict, page, earlier)
        except OSError as error:
            raise _cannot_write(page, error) from None


def _check_writable(path: Path | None) -> None:
    """Before minutes are spent."""
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a"):
            pass
    except OSError as error:
        raise _cannot_write(path, error) from None


def _write(path: Path, content: str) -> None:
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise _cannot_write(path, error) from None


def _cannot_write(path: Path, error: OSError) -> LearnerError:
    sentence = _("Cannot write to {path}: {reason}. Name a file in a folder of yours.")
    return LearnerError(sentence.format(path=path, reason=error.strerror))
