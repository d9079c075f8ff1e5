"""Lesson 7: the two decisions of a release. A router asks them for each request and each second.

The router gets the names of requests ("request-00017", or a user's id), sends a share of them to
the candidate, and compares: the candidate's answer is given, and the released model is asked too.

An example first, `every_nth`, and why it is not used: it needs a count that all routers share, and
the same user meets the old model now and the new one a moment later.
"""

import hashlib

FEWEST_COMPARED = 30
MOST_DIFFERENT = 0.1
MOST_FAILED = 1


def every_nth(number: int, n: int) -> bool:
    """Whether request `number` goes to the candidate: every n-th one does."""
    return number % n == 0


# task: release
def goes_to_candidate(name: str, share: float) -> bool:
    """Whether the request `name` belongs to the candidate's share, 0 to 1.

    - The same name gets the same answer, in each process and on each machine. Python's own `hash`
      of a text differs from process to process; `hashlib.sha256(name.encode()).digest()` does not.
    - Make a number from 0 to 1 of the digest: `int.from_bytes(digest[:8])` is below 2**64.
    - A user who is moved at 20 % stays moved at 50 %: compare that number with the share.

    So far everybody stays.
    """
    return False


def decide(compared: int, different: int, failed: int) -> str:
    """How the release goes on: "on", "wait" or "back".

    - More than MOST_FAILED requests failed: "back", at once.
    - Fewer than FEWEST_COMPARED answers were compared: "wait".
    - More than the share MOST_DIFFERENT of them had a different first class: "back". Else "on".

    So far each release goes on.
    """
    return "on"
