"""The commands of `python -m challenges`: `start`, `grade`, `hint`, `watch` and others."""

import argparse
import contextlib
import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from challenges.minimal_service import display, hints, progress, watch
from challenges.minimal_service import planning_questions as plan
from challenges.minimal_service.grading.verdict import POINTS, CriterionId, Verdict
from challenges.minimal_service.learner_service import (
    EARLIER,
    NAME,
    fingerprints,
    is_own,
    own_folder,
    started_folder,
)
from challenges.minimal_service.report.criteria_texts import title
from challenges.tasks import progress as tasks
from learner.errors import LearnerError
from learner.folder import folder, set_aside, write_json
from learner.language import CHOICE, LANGUAGES, _, language, speaking
from service.errors import OperatorError

NOT_PASSED = 3
"""Exit status of a grade that was not passed: no error, so that `make grade` can tell it apart."""
BRIEF = Path(__file__).with_name("brief")


def add_commands(subparsers: Any) -> None:
    """Add the commands to a parser.

    Each sets `do`: a function that takes the parsed options and returns the exit status.
    """

    def command(
        name: str, do: Callable[[argparse.Namespace], int], words: str
    ) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = subparsers.add_parser(name, help=words, description=words)
        made.set_defaults(do=do)
        return made

    start = command(
        "start", _start, _("lay the files of the tasks into your folder and make the model of 1 GB")
    )
    brief = command("brief", _brief, _("show what is asked"))
    for made in (start, brief):
        made.add_argument("--lang", help=_("language: {codes}").format(codes=", ".join(LANGUAGES)))
    planned = command("plan", _plan, _("answer the two planning questions; then see the solution"))
    planned.add_argument("step", nargs="?", help="step-1, step-2")
    planned.add_argument("answer", nargs="?", help=_("your answer, a sentence between quotes"))
    graded = command(
        "grade", _grade, _("put your service under real load, and say what it misses and why")
    )
    graded.add_argument(
        "path",
        metavar="PATH",
        nargs="?",
        help=_("folder of the service, yours if none is given; or: reference, starter"),
    )
    graded.add_argument(
        "--quick",
        action="store_true",
        help=_("takes one to two minutes: a shorter load, and none above the target rate"),
    )
    graded.add_argument(
        "--json", metavar="FILE", type=Path, help=_("write the verdict as JSON to FILE")
    )
    graded.add_argument(
        "--html", metavar="FILE", type=Path, help=_("write the verdict as a page to FILE")
    )
    graded.add_argument(
        "--model",
        metavar="FOLDER",
        type=Path,
        help=_("another research model: weights.safetensors and labels.txt (for tests)"),
    )
    graded.add_argument(
        "--seed",
        type=int,
        help=_("seed of the photos and arrivals; a new one if not given (for tests)"),
    )
    hint = command("hint", _hint, _("one more hint for a criterion that you miss"))
    solution = command("solution", _solution, _("how the reference does it"))
    for made in (hint, solution):
        made.add_argument("criterion", nargs="?", help=", ".join(POINTS))
    watched = command("watch", _watch, _("grade quickly whenever you save a change"))
    watched.add_argument(
        "--poll", action="store_true", help=_("look once a second, as for network drives")
    )
    command("progress", _progress, _("what you have reached"))
    command("leaderboard", _leaderboard, _("your attempts, the best first"))
    command("reset", _reset, _("begin anew (your old work is kept beside it)"))


def _start(options: argparse.Namespace) -> int:
    from challenges.tasks.engine import lay_out

    with speaking(_check_language(options.lang)):
        if options.lang is not None:
            write_json(CHOICE, {"language": language()})
        path = own_folder()
        made = lay_out() if path.name == NAME else []
        if made:
            sentence = _("New in {folder}, to be written by you: {files}")
            print(sentence.format(folder=path, files=", ".join(made)))
        else:
            print(_("Your service in {folder} is left as it is.").format(folder=path))
        _name_earlier(path)
        _make_model()
        print(_("Next, in this folder:"))
        for words in ("brief", "tasks", 'plan step-1 "…"', "grade --quick"):
            print(f"  {display.PROGRAM} {words}")
    return 0


def _name_earlier(path: Path) -> None:
    """Name the service in the folder of an earlier version of the workshop, if it is not graded."""
    earlier = folder() / EARLIER
    if earlier.is_dir() and path != earlier:
        sentence = _("Your earlier service stays in {folder}. To grade that one: {command}")
        command = f"{display.PROGRAM} grade {display.short(earlier)}"
        print(sentence.format(folder=earlier, command=command))


def _make_model() -> None:
    """Make the research model if it is missing, with signs of life."""
    from challenges.catalogue.model import CATALOGUE_MODEL, ModelFolder, make_model

    if ModelFolder(CATALOGUE_MODEL).complete:
        print(_("The model of 1 GB is there: {folder}").format(folder=CATALOGUE_MODEL))
        return
    print(_("The model of 1 GB is made here from a seed. Nothing is downloaded."), flush=True)
    started = time.monotonic()

    def say(_line: str) -> None:
        seconds = time.monotonic() - started
        print(_("still at work, {seconds:.0f} s so far").format(seconds=seconds), flush=True)

    try:
        made = make_model(CATALOGUE_MODEL, say=say)
    except OperatorError as error:
        raise LearnerError(
            _("The model could not be made: {reason}").format(reason=error)
        ) from None
    size = made.weights.stat().st_size / 1e9
    print(_("Made: {folder}, {size:.2f} GB").format(folder=made.path, size=size))


def _brief(options: argparse.Namespace) -> int:
    code = _check_language(options.lang)
    print((BRIEF / f"{code}.md").read_text(encoding="utf-8"), end="")
    return 0


def _plan(options: argparse.Namespace) -> int:
    if options.step is not None and options.answer is not None:
        plan.plan(options.step, answer=options.answer)
        return 0
    answers = plan.answers()
    for step in [options.step] if options.step is not None else plan.steps():
        print(plan.question_of(step))
        if step in answers:
            print(_("Your answer: {answer}").format(answer=answers[step]))
            print(_("An example answer: {solution}").format(solution=plan.steps()[step][1]))
        else:
            command = f'{display.PROGRAM} plan {step} "…"'
            print(_("Answer in your own words: {command}").format(command=command))
    return 0


def _grade(options: argparse.Namespace) -> int:
    """Grade a submission; the exit status is 0 for a pass, `NOT_PASSED` otherwise."""
    from challenges.minimal_service.grading.grade import grade
    from challenges.minimal_service.report.terminal import text

    for path in (options.json, options.html):
        _check_writable(path)
    path = options.path
    if path is None:
        path = str(started_folder())
        _name_earlier(Path(path))
    model = _find_model(options.model)
    started = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - started:5.0f} s  {line}", file=sys.stderr, flush=True)

    with _end_cleanly():
        verdict = grade(
            path,
            model,
            quick=options.quick,
            seed=secrets.randbits(32) if options.seed is None else options.seed,
            say=say,
        )
    _record(path, verdict, options.html)
    if options.json is not None:
        _write(options.json, verdict.model_dump_json(indent=1) + "\n")
    print(text(verdict))
    p99 = next((one.measured.get("p99_ms") for one in verdict.criteria if one.id == "load"), None)
    if p99 is not None and is_own(Path(path)) and (compared := plan.compare_prediction(p99)):
        print(compared)
    return 0 if verdict.passed else NOT_PASSED


@contextlib.contextmanager
def _end_cleanly() -> Iterator[None]:
    """Let SIGTERM end a grade as Ctrl+C does, with everything that it started."""

    def stop(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _find_model(folder: Path | None) -> Path:
    if folder is None:
        try:
            from challenges.catalogue.model import CATALOGUE_MODEL, make_model

            return make_model(CATALOGUE_MODEL, say=lambda line: print(line, file=sys.stderr)).path
        except OperatorError as error:
            raise LearnerError(str(error)) from None
    for name in ("weights.safetensors", "labels.txt"):
        if not (folder / name).is_file():
            sentence = _("The model {folder} has no {file}.")
            raise LearnerError(sentence.format(folder=folder, file=name))
    return folder


def _record(path: str, verdict: Verdict, page: Path | None) -> None:
    """Record the verdict if it is on the learner's own service, and write the page."""
    from challenges.minimal_service.report.page import write_html

    earlier = []
    if is_own(Path(path)):
        earlier = [(one.at, one.score, one.passed) for one in progress.load().attempts]
        progress.record(verdict, fingerprints(Path(path)))
    if page is not None:
        try:
            write_html(verdict, page, earlier)
        except OSError as error:
            raise _write_error(page, error) from None


def _check_writable(path: Path | None) -> None:
    """Fail now rather than after minutes."""
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a"):
            pass
    except OSError as error:
        raise _write_error(path, error) from None


def _write(path: Path, content: str) -> None:
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise _write_error(path, error) from None


def _write_error(path: Path, error: OSError) -> LearnerError:
    sentence = _("Cannot write to {path}: {reason}. Name a file in a folder of yours.")
    return LearnerError(sentence.format(path=path, reason=error.strerror))


def _hint(options: argparse.Namespace) -> int:
    criterion = _find_criterion(options.criterion)
    if criterion is None:
        latest = progress.load().latest
        if latest is None:
            raise LearnerError(
                _("Nothing of yours was graded yet. Grade it first: {command}").format(
                    command=display.grade_command()
                )
            )
        if not latest.failed:
            _say_nothing_failed(latest)
            return 0
        criterion = latest.failed[0]
    step = progress.take_hint(criterion, hints.STEPS)
    display.show_hint(criterion, step)
    return 0


def _say_nothing_failed(latest: progress.Attempt) -> None:
    """Say that no criterion was missed, and which ones could not be judged."""
    if latest.passed:
        print(_("Your last attempt passed, so there is nothing to hint at."))
        return
    unjudged = [name for name, status in latest.criteria.items() if status == "not-checked"]
    print(
        _(
            "Your last attempt missed no criterion, but it is no pass yet: {names} could not be "
            "judged. If other programs kept the machine busy, end them and grade again: {command}"
        ).format(names=", ".join(map(title, unjudged)), command=display.grade_command())
    )
    for name in unjudged:
        print(_("A hint all the same: {command}").format(command=f"{display.PROGRAM} hint {name}"))


def _solution(options: argparse.Namespace) -> int:
    criterion = _find_criterion(options.criterion)
    record = progress.load()
    if not record.may_see_solution():
        raise LearnerError(
            _(
                "The solution opens after a pass, or after {needed} attempts that each have "
                "changed code. So far you have made {made}. A hint: {command}"
            ).format(
                needed=progress.HONEST_ATTEMPTS,
                made=record.honest_attempts(),
                command=f"{display.PROGRAM} hint",
            )
        )
    display.show_solution([criterion] if criterion else list(POINTS))
    return 0


def _watch(options: argparse.Namespace) -> int:
    path = started_folder()
    print(_("Each change in {folder} is graded quickly. Ctrl+C ends it.").format(folder=path))
    latest = progress.load().latest
    try:
        watch.watch(
            path,
            lambda: watch.grade_quickly(path),
            watch.changes_in(path, options.poll),
            latest.code if latest else None,
        )
    except KeyboardInterrupt:
        return watch.INTERRUPTED
    return 0


def _progress(_options: argparse.Namespace) -> int:
    display.show_progress(progress.load())
    return 0


def _leaderboard(_options: argparse.Namespace) -> int:
    display.show_leaderboard(progress.load())
    return 0


def _reset(_options: argparse.Namespace) -> int:
    """Keep service, attempts and passed tasks aside; the answers to the plan stay."""
    records = (folder() / progress.FILE, folder() / tasks.FILE)
    old = [path for path in (own_folder(), *records) if path.exists()]
    for path in old:
        print(_("Kept as {path}.").format(path=set_aside(path, "before")))
    if not old:
        print(_("There was nothing of yours to keep."))
    print(_("Begin anew with: make challenge"))
    return 0


def _find_criterion(name: str | None) -> CriterionId | None:
    """Return the criterion of that name; None if no name is given.

    Raises:
        LearnerError: there is no such criterion.
    """
    if name is None:
        return None
    for criterion in POINTS:
        if criterion == name:
            return criterion
    raise LearnerError(
        _("There is no criterion {name!r}. Choose one of: {names}").format(
            name=name, names=", ".join(POINTS)
        )
    )


def _check_language(code: str | None) -> str:
    if code is None:
        return language()
    if code not in LANGUAGES:
        raise LearnerError(
            _('There is no language "{code}". Choose one of: {names}').format(
                code=code, names=", ".join(LANGUAGES)
            )
        )
    return code
