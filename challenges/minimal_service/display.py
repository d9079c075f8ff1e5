"""Prints what the learner's commands show: hints, solutions, progress, the leaderboard."""

import shutil
from pathlib import Path

from challenges.minimal_service import hints, progress
from challenges.minimal_service import planning_questions as plan
from challenges.minimal_service.grading.verdict import LESSONS, POINTS, CriterionId
from challenges.minimal_service.report.criteria_texts import asks, title
from challenges.minimal_service.report.lessons import section
from challenges.minimal_service.report.words import mark
from learner.language import _
from learner.paths import ROOT
from learner.terminal import wrapped
from service.errors import write_command

PROGRAM = write_command("challenges")
SHOWN_ATTEMPTS = 10
"""Attempts on the leaderboard."""
MOST_COLUMNS = 100


def short(path: Path) -> str:
    """Return a path as it is typed in the workshop's folder."""
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def grade_command() -> str:
    """Return the command that grades the learner's own service quickly."""
    return f"{PROGRAM} grade --quick"


def show_hint(criterion: CriterionId, step: int) -> None:
    """Print a hint; the last one with the lesson's section."""
    ladder = hints.ladders()[criterion]
    print(
        _("{title}, hint {step} of {most}").format(
            title=title(criterion), step=step, most=hints.STEPS
        )
    )
    _tell(ladder.step(step))
    if step < hints.STEPS:
        command = f"{PROGRAM} hint {criterion}"
        print(_("If that is not enough: {command}").format(command=command))
    else:
        helpful = section(LESSONS[criterion], ROOT)
        if helpful is not None:
            print(_("The section that helps: {section}").format(section=helpful.text))


def show_solution(criteria: list[CriterionId]) -> None:
    """Print how the reference meets criteria, with the places in its code."""
    known = hints.solutions()
    for criterion in criteria:
        print(f"{title(criterion)} ({criterion})")
        _tell(known[criterion].text)
        for place in known[criterion].places:
            try:
                print(f"  {hints.locate(place)}")
            except LookupError:  # changed here by the learner; the file says enough
                print(f"  {place}")
        print()
    command = f"{PROGRAM} grade reference"
    print(_("The reference is graded like yours: {command}").format(command=command))


def show_progress(record: progress.Progress) -> None:
    """Print the plan, the last attempt criterion by criterion, and what is open."""
    answered, asked = len(plan.answers()), len(plan.steps())
    print(_("Questions of the plan answered: {n} of {all}").format(n=answered, all=asked))
    latest = record.latest
    if latest is None:
        print(_("Nothing was graded yet: {command}").format(command=grade_command()))
        return
    print(_("Attempts: {n}").format(n=len(record.attempts)))
    print(_heading(latest))
    for criterion, status in latest.criteria.items():
        print(f"  {mark(status)}  {criterion:13} {title(criterion)}")
        if status == "failed":
            _tell(asks(criterion), indent=6)
            taken = record.hints.get(criterion, 0)
            _tell(_("hints seen: {n} of {most}").format(n=taken, most=hints.STEPS), indent=6)
    best = record.best_first[0]
    print(_("Your best: {score:.1f} points").format(score=best.score))
    if record.may_see_solution():
        print(_("The solution is open: {command}").format(command=f"{PROGRAM} solution"))
    else:
        left = progress.HONEST_ATTEMPTS - record.honest_attempts()
        print(_("Changed versions to grade until the solution opens: {n}").format(n=left))


def show_leaderboard(record: progress.Progress) -> None:
    """Print the best attempts, each with the files changed since the attempt before it."""
    if not record.attempts:
        print(_("Nothing was graded yet: {command}").format(command=grade_command()))
        return
    before = {id(one): record.attempts[n - 1] for n, one in enumerate(record.attempts) if n}
    for place, attempt in enumerate(record.best_first[:SHOWN_ATTEMPTS], 1):
        print(f"{place:2}. {_heading(attempt)}")
        earlier = before.get(id(attempt))
        if earlier is None:
            print("    " + _("the first attempt"))
            continue
        gain = attempt.score - earlier.score
        if files := progress.changed_files(earlier.files, attempt.files):
            sentence = _("changed since the attempt before ({gain:+.1f} points): {files}")
        else:
            sentence = _("the same code as the attempt before ({gain:+.1f} points)")
        print("    " + sentence.format(gain=gain, files=", ".join(files)))
    if len(record.attempts) > SHOWN_ATTEMPTS:
        print(
            _("The best {n} of {all} attempts.").format(n=SHOWN_ATTEMPTS, all=len(record.attempts))
        )


def _heading(attempt: progress.Attempt) -> str:
    met = sum(status == "passed" for status in attempt.criteria.values())
    sentence = (
        _("{score:5.1f} points, passed, {met} of {all} criteria, {when}, quick")
        if attempt.passed and attempt.quick
        else _("{score:5.1f} points, passed, {met} of {all} criteria, {when}")
        if attempt.passed
        else _("{score:5.1f} points, {met} of {all} criteria, {when}, quick")
        if attempt.quick
        else _("{score:5.1f} points, {met} of {all} criteria, {when}")
    )
    return sentence.format(
        score=attempt.score,
        met=met,
        all=len(POINTS),
        when=attempt.at.astimezone().strftime("%Y-%m-%d %H:%M"),
    )


def _tell(text: str, indent: int = 0) -> None:
    """Print prose, wrapped. Commands are printed elsewhere, unwrapped, to be copied."""
    columns = min(shutil.get_terminal_size().columns, MOST_COLUMNS)
    for line in wrapped(text, columns, " " * indent):
        print(line)
