"""The learner's commands: `python -m challenges start`, `hint`, `watch` and others."""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from challenges.minimal_service import display as shown
from challenges.minimal_service import hints, progress, watch
from challenges.minimal_service import planning_questions as plan
from challenges.minimal_service.grading.verdict import POINTS, CriterionId
from challenges.minimal_service.learner_service import (
    lay_out_starter,
    own_folder,
    started_folder,
)
from learner.errors import LearnerError
from learner.folder import folder, set_aside, write_json
from learner.language import CHOICE, LANGUAGES, _, language, speaking
from service.errors import OperatorError

BRIEF = Path(__file__).with_name("brief")


def add_commands(subparsers: Any) -> None:
    """Add the learner's commands to those of `python -m challenges`.

    Each sets `do`: a function that takes the parsed options and returns the exit status.
    """

    def command(
        name: str, do: Callable[[argparse.Namespace], int], words: str
    ) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = subparsers.add_parser(name, help=words, description=words)
        made.set_defaults(do=do)
        return made

    start = command(
        "start", _start, _("copy the starter to your folder and make the model of 1 GB")
    )
    brief = command("brief", _brief, _("show what is asked"))
    for made in (start, brief):
        made.add_argument("--lang", help=_("language: {codes}").format(codes=", ".join(LANGUAGES)))
    planned = command("plan", _plan, _("answer the two planning questions; then see the solution"))
    planned.add_argument("step", nargs="?", help="step-1, step-2")
    planned.add_argument("answer", nargs="?", help=_("your answer, a sentence between quotes"))
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
    with speaking(_known_language(options.lang)):
        if options.lang is not None:
            write_json(CHOICE, {"language": language()})
        copied = lay_out_starter()
        path = own_folder()
        if copied:
            print(_("The starter lies in {folder}.").format(folder=path))
        else:
            print(_("Your service in {folder} is left as it is.").format(folder=path))
        _make_model()
        print(_("Next, in this folder:"))
        for words in ("brief", 'plan step-1 "…"', f"grade {shown.short(path)} --quick"):
            print(f"  {shown.PROGRAM} {words}")
    return 0


def _make_model() -> None:
    """Make the research model, if it is not there, with signs of life."""
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
    code = _known_language(options.lang)
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
            print(_("The solution: {solution}").format(solution=plan.steps()[step][1]))
        else:
            command = f'{shown.PROGRAM} plan {step} "…"'
            print(_("Answer in your own words: {command}").format(command=command))
    return 0


def _hint(options: argparse.Namespace) -> int:
    criterion = _criterion(options.criterion)
    if criterion is None:
        latest = progress.load().latest
        if latest is None:
            raise LearnerError(
                _("Nothing of yours was graded yet. Grade it first: {command}").format(
                    command=shown.grade_command()
                )
            )
        if not latest.failed:
            print(_("Your last attempt missed no criterion, so there is nothing to hint at."))
            return 0
        criterion = latest.failed[0]
    step = progress.take_hint(criterion, hints.STEPS)
    shown.show_hint(criterion, step)
    return 0


def _solution(options: argparse.Namespace) -> int:
    criterion = _criterion(options.criterion)
    found = progress.load()
    if not found.may_see_solution():
        raise LearnerError(
            _(
                "The solution opens after a pass, or after {needed} attempts that each have "
                "changed code. So far you have made {made}. A hint: {command}"
            ).format(
                needed=progress.HONEST_ATTEMPTS,
                made=found.honest_attempts(),
                command=f"{shown.PROGRAM} hint",
            )
        )
    shown.show_solution([criterion] if criterion else list(POINTS))
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
    shown.show_progress(progress.load())
    return 0


def _leaderboard(_options: argparse.Namespace) -> int:
    shown.show_leaderboard(progress.load())
    return 0


def _reset(_options: argparse.Namespace) -> int:
    """Keep the service and the record of attempts aside; the answers to the plan stay."""
    old = [path for path in (own_folder(), folder() / progress.FILE) if path.exists()]
    for path in old:
        print(_("Kept as {path}.").format(path=set_aside(path, "before")))
    if not old:
        print(_("There was nothing of yours to keep."))
    print(_("Begin anew with: make challenge"))
    return 0


def _criterion(name: str | None) -> CriterionId | None:
    """The criterion of that name, or None for none.

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


def _known_language(code: str | None) -> str:
    if code is None:
        return language()
    if code not in LANGUAGES:
        raise LearnerError(
            _('There is no language "{code}". Choose one of: {names}').format(
                code=code, names=", ".join(LANGUAGES)
            )
        )
    return code
