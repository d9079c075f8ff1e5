"""`python -m tests.selftest`: plant faults, and see whether the grader finds each."""

import argparse
import sys
from pathlib import Path

from challenges.catalogue.model import CATALOGUE_MODEL
from tests.selftest.edits import EditError
from tests.selftest.experiments import Bench, experiments, run_experiment
from tests.selftest.table import Row, table


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and run the experiments; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.selftest", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short grades")
    parser.add_argument(
        "--only",
        metavar="NAME",
        action="append",
        choices=list(experiments()),
        help="one experiment; may be given several times: " + ", ".join(experiments()),
    )
    parser.add_argument(
        "--model",
        metavar="FOLDER",
        type=Path,
        default=CATALOGUE_MODEL,
        help="the model that the reference and the starter are graded with",
    )
    parser.add_argument(
        "--times",
        metavar="N",
        type=_count,
        default=10,
        help="how often the reference and the starter are graded (10)",
    )
    return run(parser.parse_args(arguments))


def run(options: argparse.Namespace) -> int:
    """Run the experiments and print a table; return 0 if all hold."""
    chosen = {
        name: experiment
        for name, experiment in experiments().items()
        if not options.only or name in options.only
    }
    rows: list[Row] = []
    try:
        with Bench(options.quick, options.times, options.model).opened() as bench:
            for number, (name, experiment) in enumerate(chosen.items(), 1):
                print(f"[{number}/{len(chosen)}] {name} …", file=sys.stderr, flush=True)
                rows.append(run_experiment(name, experiment, bench))
                print("  ".join(rows[-1].cells()), file=sys.stderr, flush=True)
    except EditError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    print(table(rows))
    failed = [row.name for row in rows if row.holds is False]
    unchecked = [row.name for row in rows if row.holds is None]
    print(f"\n{len(rows) - len(failed) - len(unchecked)} of {len(rows)} hold")
    for words, names in (("do not hold", failed), ("could not be checked", unchecked)):
        if names:
            print(f"{words}: {', '.join(names)}")
    return 0 if all(row.holds for row in rows) else 1


def _count(text: str) -> int:
    count = int(text)
    if not 1 <= count <= 100:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and 100")
    return count


if __name__ == "__main__":
    sys.exit(main())
