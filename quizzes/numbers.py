"""Numbers as people write them, the same in every face."""

import re
import unicodedata

PARTS = re.compile(r"[-+]?(\d+([.,]\d*)?|[.,]\d+)(e[-+]?\d+)?", re.IGNORECASE)
GROUPED = re.compile(r"[-+]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?")
MINUS = "\N{MINUS SIGN}"


def read_number(text: str, unit: str = "") -> float | None:
    """The number that `text` says, with or without its unit; None if it says none, or two.

    A comma is a decimal one ("0,5"), except where it could as well separate thousands ("1,000"):
    that is None, too. Full-width digits count.
    """
    bare = unicodedata.normalize("NFKC", text).replace(MINUS, "-").strip()
    if unit and bare.lower().endswith(unit.lower()):
        bare = bare[: -len(unit)].rstrip()
    if not PARTS.fullmatch(bare) or GROUPED.fullmatch(bare):
        return None
    return float(bare.replace(",", "."))


def in_words(value: float, unit: str) -> str:
    """A measured value with three significant digits, never as a power of ten."""
    number = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{number} {unit}".strip()
