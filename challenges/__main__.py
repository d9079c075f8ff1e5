"""Tasks and challenge from the command line: `python -m challenges task`, `grade` and others."""

import argparse
import os
import sys

from learner.errors import LearnerError
from learner.language import _
from learner.processes import bypass_proxy
from service.errors import write_command


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return its exit status."""
    bypass_proxy()
    try:
        parser = _parser()
        options = parser.parse_args(arguments)
        status: int = options.do(options)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of the output has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except LearnerError as error:
        print(_("error: {reason}").format(reason=error), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(_("Interrupted. Nothing was left running."), file=sys.stderr)
        return 130
    return status


def _parser() -> argparse.ArgumentParser:
    from challenges.minimal_service.commands import add_commands
    from challenges.tasks.commands import add_commands as add_tasks

    parser = argparse.ArgumentParser(
        prog=write_command("challenges"),
        description=_("A model of 1 GB, 50 requests a second, p99 under 50 ms: build the service."),
    )
    commands = parser.add_subparsers(required=True, metavar=_("COMMAND"))
    add_commands(commands)
    add_tasks(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
