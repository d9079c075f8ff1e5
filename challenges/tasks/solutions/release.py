"""Lesson 7: the two decisions of a release. A router asks them for each request and each second."""

import hashlib

FEWEST_COMPARED = 30
MOST_DIFFERENT = 0.1
MOST_FAILED = 1


# task: release
def goes_to_candidate(name: str, share: float) -> bool:
    """Whether the request `name` belongs to the candidate's share, 0 to 1."""
    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64 < share


def decide(compared: int, different: int, failed: int) -> str:
    """How the release goes on: "on", "wait" or "back"."""
    if failed > MOST_FAILED:
        return "back"
    if compared < FEWEST_COMPARED:
        return "wait"
    return "back" if different / compared > MOST_DIFFERENT else "on"
