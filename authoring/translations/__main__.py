"""`make translations`: collect all texts, renew catalogues and lessons, report what is left.

python -m authoring.translations                      write; exit status 0
python -m authoring.translations --check              write nothing; 1 if anything is left
python -m authoring.translations todo ja > todo.json  print a translator's work
python -m authoring.translations fill ja todo.json    put it into the catalogue
"""

import argparse
import json
import sys
from pathlib import Path

from authoring.translations import work
from authoring.translations.catalogue import TRANSLATED
from authoring.translations.messages import SourceError
from authoring.translations.sources import Workshop, collect
from learner.errors import LearnerError
from service.errors import write_command

MOST_NAMED = 20
"""Problems listed per language when writing; --check lists all."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    options = _parser().parse_args(arguments)
    workshop = Workshop.of_repository()
    try:
        if options.command == "todo":
            return _todo(workshop, options)
        if options.command == "fill":
            return _fill(workshop, options)
        return _check(workshop) if options.check else _write(workshop)
    except (SourceError, LearnerError, UnicodeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _write(workshop: Workshop) -> int:
    for line in work.regenerate(workshop):
        print(line)
    messages = collect(workshop)
    print(f"{len(messages)} messages")
    for code in TRANSLATED:
        for line in work.summarise(code, work.find_problems(workshop, code, messages), MOST_NAMED):
            print(line)
    return 0


def _check(workshop: Workshop) -> int:
    messages = collect(workshop)
    lines = [
        f"{code}: {problem}"
        for code in ("en", *TRANSLATED)
        for problem in work.find_problems(workshop, code, messages)
    ]
    for line in lines:
        print(line)
    print(f"{len(messages)} messages, {len(lines)} problems")
    return 1 if lines else 0


def _todo(workshop: Workshop, options: argparse.Namespace) -> int:
    items = work.todo(workshop, options.language, options.place, options.all)
    print(json.dumps(items, indent=1, ensure_ascii=False))
    return 0


def _fill(workshop: Workshop, options: argparse.Namespace) -> int:
    try:
        items = json.loads(options.file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SourceError(f"{options.file}: {error}") from None
    filled = work.fill(workshop, options.language, items)
    for refusal in filled.refused:
        print(f"refused: {refusal}")
    print(f"{filled.accepted} accepted, {len(filled.refused)} refused, {filled.empty} left empty")
    return 1 if filled.refused else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=write_command("authoring.translations"),
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true", help="write nothing, list what is left")
    commands = parser.add_subparsers(dest="command")
    todo = commands.add_parser("todo", help="print what is to be translated as JSON")
    todo.add_argument("language", choices=TRANSLATED)
    todo.add_argument("--place", default="", help="only messages whose place begins with this")
    todo.add_argument("--all", action="store_true", help="also what is translated, for a review")
    fill = commands.add_parser("fill", help="put translations into the catalogue")
    fill.add_argument("language", choices=TRANSLATED)
    fill.add_argument("file", type=Path, help="what `todo` wrote, with `translation` filled in")
    return parser


if __name__ == "__main__":
    sys.exit(main())
