"""Read and write numbers, in the same way everywhere, with the separators of the language."""

import math
import re
import unicodedata

from learner.language import localise_number

PARTS = re.compile(r"[-+]?(\d+([.,]\d*)?|[.,]\d+)(e[-+]?\d+)?", re.IGNORECASE)
GROUPED = re.compile(r"[-+]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?")
MINUS = "\N{MINUS SIGN}"


def read_number(text: str, unit: str = "") -> float | None:
    """Read a number, with or without its unit; None if `text` is not exactly one number.

    A comma is a decimal comma ("0,5"). Where it could also separate thousands ("1,000"), the text
    is ambiguous: None. Full-width digits are read too.
    """
    bare = unicodedata.normalize("NFKC", text).replace(MINUS, "-").strip()
    if unit and bare.lower().endswith(unit.lower()):
        bare = bare[: -len(unit)].rstrip()
    if not PARTS.fullmatch(bare) or GROUPED.fullmatch(bare):
        return None
    return float(bare.replace(",", "."))


def format_number(value: float, unit: str = "") -> str:
    """Format a measured value with three significant digits; "–" for NaN, "∞" for infinity."""
    if math.isnan(value):
        text = "–"
    elif math.isinf(value):
        text = "∞"
    else:
        text = localise_number(f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}")
    return f"{text} {unit}".strip()
