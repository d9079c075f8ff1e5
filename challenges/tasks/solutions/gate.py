"""Lesson 7: a gate. It compares the answers of a candidate with those of the released model.

    python gate.py released.json candidate.json

Each file holds the answers to the same photos, the name of each photo with its predictions:

    {"cat.jpg": [{"class_id": 281, "label": "tabby", "probability": 0.61}, …], …}

A CI (a machine that runs commands for each change) goes on only if a command ends with the exit
status 0. So this script is a gate: whatever it finds wrong ends it with 1, and one line.
"""

import json
import math
import sys
from pathlib import Path

LEAST_SAME = 0.95
SURE = 0.3
Answers = dict[str, list[dict]]


def find_missing(released: Answers, candidate: Answers) -> str | None:
    """The reason to refuse a candidate that did not answer all photos; None if it did."""
    missing = sorted(set(released) - set(candidate))
    return f"{len(missing)} photos have no answer, first {missing[0]}" if missing else None


# task: ci-gate
def find_difference(released: Answers, candidate: Answers) -> str | None:
    """The reason to refuse a candidate whose answers differ; None if it may be released."""
    for photo, predictions in candidate.items():
        if any(math.isnan(one["probability"]) for one in predictions):
            return f"{photo} has a probability that is no number"
    sure = [photo for photo, best in released.items() if best[0]["probability"] >= SURE]
    if not sure:
        return f"no photo has a probability of at least {SURE}: nothing was compared"
    same = [
        photo for photo in sure if candidate[photo][0]["class_id"] == released[photo][0]["class_id"]
    ]
    share = len(same) / len(sure)
    if share < LEAST_SAME:
        return f"{share:.0%} of {len(sure)} photos have the same first class"
    return None


# end


def main() -> None:
    """Compare two files. Exit status 1 and one line: refused."""
    released, candidate = (json.loads(Path(name).read_text()) for name in sys.argv[1:3])
    reason = find_missing(released, candidate) or find_difference(released, candidate)
    if reason:
        sys.exit(f"refused: {reason}")
    print("may be released")


if __name__ == "__main__":
    main()
