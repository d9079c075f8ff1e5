"""The table of results."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that must hold."""

    name: str
    expected: str
    found: str
    holds: bool | None
    """None: not checked here; `found` says why."""
    seconds: float = 0.0

    def cells(self) -> tuple[str, ...]:
        """Return its texts for the table."""
        holds = {True: "yes", False: "NO", None: "-"}[self.holds]
        return self.name, self.expected, self.found, holds, f"{self.seconds:.0f}"


def table(rows: Sequence[Row]) -> str:
    """Return all rows below a head, in columns as wide as their longest text."""
    cells = [("name", "expected", "found", "holds", "s"), *(row.cells() for row in rows)]
    widths = [max(len(text) for text in column) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])
