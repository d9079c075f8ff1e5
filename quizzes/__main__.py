"""The quiz on the command line: `python -m quizzes`, and `python -m quizzes --help`."""

import argparse
import contextlib
import io
import json
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from challenges.minimal_service import progress as challenge
from challenges.tasks import progress as tasks
from challenges.tasks.commands import show_work
from learner.errors import LearnerError
from learner.folder import folder
from learner.language import _
from learner.processes import bypass_proxy
from quizzes import answer_file, classroom, experiments, lint, progress, terminal
from quizzes.questions import Entry, all_questions, find, translate
from quizzes.questions.models import write_schema
from quizzes.schedule import select_due, summarise_lessons
from service.errors import write_command

RIGHT, NOT_YET, UNUSABLE, INTERRUPTED = 0, 1, 2, 130


def main() -> int:
    """Run the command; return its exit status."""
    bypass_proxy()
    for stream in (sys.stdout, sys.stderr, sys.stdin):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # no traceback in any locale
    interrupted = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        signal.default_int_handler(number, frame)

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        options = _options()
        status: int = options.do(options)
        sys.stdout.flush()
    except LearnerError as error:
        if interrupted:  # a package turned the interrupt into its own error
            return INTERRUPTED
        print(f"{_error()} {_one_line(str(error))}", file=sys.stderr)
        return UNUSABLE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of the output has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return RIGHT
    finally:
        signal.signal(signal.SIGINT, before)
    return status


def _error() -> str:
    try:
        return _("error:")
    except LearnerError:  # the error may be an unknown language
        return "error:"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=write_command("quizzes"),
        description=_("The quiz. Without a command: it asks, missed questions first."),
        epilog=_(
            "Points of a question, 0 to 1. One answer: 1 for the right one. Several: (right ones "
            "chosen - wrong ones chosen) / right ones there are, never below 0. A number: 1 within "
            "the tolerance. An order: 1 for the right one. The score is the mean of the points. "
            "A file of answers is asked for all questions of each lesson that it answers."
        ),
    )
    parser.set_defaults(do=_ask)
    parser.add_argument(
        "--lesson",
        metavar="NAME",
        help=_(
            "only the questions of this lesson, for example 3; before it and after it: the gain"
        ),
    )
    parser.add_argument(
        "--all", action="store_true", help=_("ask also what was answered right not long ago")
    )
    commands = parser.add_subparsers(metavar="COMMAND")

    def command(name: str, do: Any, words: str) -> argparse.ArgumentParser:
        subparser = commands.add_parser(name, help=words, description=words)
        subparser.set_defaults(do=do)
        return subparser

    check = command(
        "check", _check, _("grade a file of answers; JSON; 0 all right, 1 not yet, 2 unusable")
    )
    check.add_argument(
        "file", help=_('JSON: {"answers": {"question": ["option", …]}}; - reads a pipe')
    )
    command("export", _export, _("all questions and options with their ids, without answers; JSON"))
    evidence = command("evidence", _evidence, _("measure here what a question's answer is"))
    evidence.add_argument("question", help=_("id of the question"))
    shown = command("progress", _progress, _("how much was answered and learned"))
    shown.add_argument("--json", action="store_true", help=_("all of it, to keep or to hand in"))
    shown.add_argument(
        "--class",
        dest="folder",
        metavar="FOLDER",
        type=Path,
        help=_("who of a class is where: a folder with the --json of each learner"),
    )
    shown.add_argument(
        "--html", metavar="FILE", type=Path, help=_("with --class: write it as a page to FILE")
    )
    shown.add_argument(
        "--all", action="store_true", help=_("and what was written for the tasks and the challenge")
    )
    command("reset", _reset, _("begin anew (the old progress is kept beside it)"))
    linted = command("lint", _lint, _("for authors: check all questions"))
    linted.add_argument("--quick", action="store_true", help=_("do not run the experiments"))
    command("schema", _schema, _("for authors: write questions.schema.json"))
    return parser.parse_args()


def _ask(options: argparse.Namespace) -> int:
    entries = _choose_entries(options.lesson)
    attempts = progress.load().attempts
    asked = select_due(entries, attempts, datetime.now(UTC), options.all)
    if not asked:
        print(
            _("Nothing is due: all is answered right. To be asked anyway: {option}").format(
                option="--all"
            )
        )
        return RIGHT
    terminal.session(asked)
    terminal.show_summary(
        summarise_lessons(_choose_entries(options.lesson), progress.load().attempts)
    )
    return RIGHT


def _choose_entries(lesson: str | None) -> list[Entry]:
    entries = [translate(entry) for entry in all_questions().values()]
    if lesson is None:
        return entries
    wanted = lesson.zfill(2) if lesson.isdecimal() else lesson
    if chosen := [entry for entry in entries if entry.lesson.startswith(wanted)]:
        return chosen
    names = ", ".join(sorted({entry.lesson for entry in entries}))
    raise LearnerError(
        _("no questions belong to a lesson {name}; there are: {names}").format(
            name=lesson, names=names
        )
    )


def _check(options: argparse.Namespace) -> int:
    try:
        answers = answer_file.read_answers(answer_file.read_text(options.file, sys.stdin.buffer))
        result = answer_file.check(answers)
    except LearnerError as error:
        raise LearnerError(f"{options.file}: {error}") from None
    _print_json(result)
    if result["missing"]:
        names = ", ".join(result["missing"])
        print(_("not answered, so 0 points each: {names}").format(names=names), file=sys.stderr)
    return RIGHT if result["correct"] else NOT_YET


def _export(_options: argparse.Namespace) -> int:
    _print_json(answer_file.export())
    return RIGHT


def _evidence(options: argparse.Namespace) -> int:
    entry = find(options.question)
    print(terminal.wrap(entry.question.text))
    print(_("Measuring. This takes some seconds."), flush=True)
    terminal.show_evidence(experiments.run(entry))
    return RIGHT


def _progress(options: argparse.Namespace) -> int:
    if options.folder is not None:
        return _show_class(options.folder, options.html)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):  # a warning about a damaged file is not JSON
        loaded, written, graded = progress.load(), tasks.load(), challenge.load()
    print(said.getvalue(), end="", file=sys.stderr)
    lessons = summarise_lessons(all_questions().values(), loaded.attempts)
    if not options.json:
        if options.all:
            print(_("# Quiz"))
        terminal.show_summary(lessons)
        if options.all:
            print()
            show_work()
        return RIGHT
    _print_json(
        {
            **loaded.model_dump(mode="json"),
            "tasks": written.model_dump(mode="json"),
            "challenge": graded.model_dump(mode="json"),
            "lessons": [
                {
                    "lesson": lesson.lesson,
                    "questions": lesson.questions,
                    "answered": lesson.answered,
                    "before": lesson.before,
                    "after": lesson.after,
                    "gain": lesson.gain,
                }
                for lesson in lessons
            ],
        }
    )
    return RIGHT


def _show_class(folder: Path, page: Path | None) -> int:
    learners, others = classroom.read_class(folder)
    classroom.show_class(learners, others)
    if page is not None:
        try:
            page.write_text(classroom.class_page(learners, others), encoding="utf-8")
        except OSError as error:
            raise LearnerError(
                _("Cannot write to {path}: {reason}. Name a file in a folder of yours.").format(
                    path=page, reason=error.strerror
                )
            ) from None
    return RIGHT


def _reset(_options: argparse.Namespace) -> int:
    kept = progress.reset()
    if kept:
        print(_("The old progress is kept as {path}.").format(path=folder() / kept))
    else:
        print(_("There was no progress yet."))
    return RIGHT


def _lint(options: argparse.Namespace) -> int:
    count = 0
    for problem in lint.lint():
        count += 1
        print(problem, flush=True)
    if not options.quick:
        for name, entry in lint.experiments_of(all_questions().values()).items():
            print(f"evidence {name} …", file=sys.stderr, flush=True)
            for problem in lint.run_experiment(entry):
                count += 1
                print(problem, flush=True)
    print(f"{len(all_questions())} questions, {count} problems")
    return NOT_YET if count else RIGHT


def _schema(_options: argparse.Namespace) -> int:
    print(write_schema())
    return RIGHT


def _one_line(text: str) -> str:
    """Remove line breaks and escape sequences, which may come from a file."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


def _print_json(content: object) -> None:
    print(json.dumps(content, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    sys.exit(main())
