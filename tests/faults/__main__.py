"""`python -m tests.faults`: inject every fault while load runs, and write reports/faults/."""

import argparse
import sys
import tempfile
from pathlib import Path

import pytest

from service.settings import ROOT
from tests.faults.bench import Row, describe_machine, open_bench, write_report
from tests.faults.experiments import FAULTS

REPORT = ROOT / "reports" / "faults"


def main(arguments: list[str] | None = None) -> int:
    """Run the faults that the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short forms, in minutes")
    parser.add_argument("--rate", type=float, default=50.0, help="photos a second")
    parser.add_argument("--only", action="append", choices=list(FAULTS), help="several times")
    options = parser.parse_args(arguments)
    rows: list[Row] = []
    machine = describe_machine()
    with (
        tempfile.TemporaryDirectory(prefix="faults-") as folder,
        open_bench(Path(folder), options.rate) as bench,
    ):
        for number, name in enumerate(options.only or FAULTS, 1):
            print(f"[{number}/{len(options.only or FAULTS)}] {name} …", file=sys.stderr, flush=True)
            try:
                found = FAULTS[name](bench, not options.quick)
            except pytest.skip.Exception as reason:  # a program is missing
                found = Row(name, "").expect(False, str(reason))
            for row in [found] if isinstance(found, Row) else found:
                rows.append(row)
                print(
                    f"  {row.fault}: {row.sent} sent, {row.right} right, {row.refused} refused, "
                    f"{row.failed} failed, {row.lost} lost, {row.wrong} wrong"
                    + "".join(f"; BROKEN: {promise}" for promise in row.broken),
                    file=sys.stderr,
                    flush=True,
                )
            write_report(rows, REPORT, machine)
    broken = [row.fault for row in rows if row.broken]
    print(f"{REPORT / 'faults.md'}: {len(rows) - len(broken)} of {len(rows)} hold")
    return bool(broken)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted")
