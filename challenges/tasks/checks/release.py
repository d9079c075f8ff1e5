"""Task release: the same users are moved, more with each share; a bad model goes back."""

import random
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

from challenges.tasks.checking import Wrong, own_module, place_of, said
from learner.language import _

CHOOSE, DECIDE = "release.py, goes_to_candidate", "release.py, decide"
NAMES = [f"request-{number:05}" for number in range(5000)]
SHARES = (0.05, 0.2, 0.5, 0.9)
TOLERANCE = 0.03
SEEDS = 10
GOOD, BAD = 0.02, 0.32
"""Share of the photos, 0–1, to which a candidate gives another first class: the form onnx-fp32
beside onnx-int8, and ImageNet's normalisation (python -m challenges.releases.gate)."""
SECONDS = 20


def check(folder: Path) -> None:
    """Route names by shares, and decide on releases.

    Raises:
        Wrong: users jump between the two, or a decision is wrong.
    """
    module = own_module(folder, "release")
    _check_shares(module, folder)
    _check_processes(module, folder)
    _check_rules(module, folder)
    _check_releases(module)


def _check_shares(module: ModuleType, folder: Path) -> None:
    moved: dict[float, set[str]] = {}
    for share in (0.0, *SHARES, 1.0):
        moved[share] = {
            name for name in NAMES if _call(folder, module.goes_to_candidate, name, share)
        }
        found = len(moved[share]) / len(NAMES)
        wanted = TOLERANCE if 0 < share < 1 else 0.0
        if abs(found - share) > wanted:
            raise Wrong(
                expected=_("At a share of {share:.0%}, as many of the names go there.").format(
                    share=share
                ),
                found=_("Of {n:,} names {found:.1%} did.").format(n=len(NAMES), found=found),
                look=CHOOSE,
            )
    for before, after in pairwise(SHARES):
        if left := moved[before] - moved[after]:
            raise Wrong(
                expected=_(
                    "A name that is moved at {before:.0%} stays moved at {after:.0%}."
                ).format(before=before, after=after),
                found=_("{n} names went back, for example {name}.").format(
                    n=len(left), name=min(left)
                ),
                look=CHOOSE,
            )


def _check_processes(module: ModuleType, folder: Path) -> None:
    """Ask in another process, whose `hash` of texts is another one."""
    names = NAMES[:200]
    code = (
        "import sys, release\n"
        "print(''.join('01'[bool(release.goes_to_candidate(n, 0.5))] for n in sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, *names]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS)
    here = "".join("01"[bool(module.goes_to_candidate(name, 0.5))] for name in names)
    if done.stdout.split()[-1:] != [here]:
        raise Wrong(
            expected=_("The same name gets the same answer in every process."),
            found=_("In a different process, different names went to the candidate."),
            look=CHOOSE,
        )


def _check_rules(module: ModuleType, folder: Path) -> None:
    for arguments, right in (
        ((0, 0, 0), "wait"),
        ((29, 0, 0), "wait"),
        ((29, 29, 1), "wait"),
        ((30, 3, 0), "on"),
        ((30, 4, 1), "back"),
        ((1000, 100, 1), "on"),
        ((1000, 101, 0), "back"),
        ((5, 0, 2), "back"),
        ((500, 0, 2), "back"),
    ):
        answer = _call(folder, module.decide, *arguments)
        if answer != right:
            call = "decide(compared={}, different={}, failed={})".format(*arguments)
            raise Wrong(
                expected=_("`{call}` returns {right}.").format(call=call, right=repr(right)),
                found=_("It returned {answer}.").format(answer=repr(answer)[:100]),
                look=DECIDE,
            )


def _check_releases(module: ModuleType) -> None:
    """Play releases: each good candidate gets on, each bad one goes back."""
    for difference, right in ((GOOD, "on"), (BAD, "back")):
        ends = [_play(module, seed, difference) for seed in range(SEEDS)]
        if ends != [right] * SEEDS:
            raise Wrong(
                expected=_(
                    "A candidate that differs in {share:.0%} of the answers ends {right}."
                ).format(share=difference, right=repr(right)),
                found=_("In {n} of {all} simulated releases it did not.").format(
                    n=SEEDS - ends.count(right), all=SEEDS
                ),
                look=DECIDE,
            )


def _play(module: ModuleType, seed: int, difference: float) -> object:
    """Send requests at a share of 20 % until there is a decision, at most 1,000."""
    chance = random.Random(seed)
    compared = different = 0
    verdict: object = "wait"
    for name in NAMES[:1000]:
        if not module.goes_to_candidate(f"{seed}-{name}", 0.2):
            continue
        compared += 1
        different += chance.random() < difference
        verdict = module.decide(compared, different, 0)
        if verdict != "wait":
            break
    return verdict


def _call(folder: Path, function: Callable[..., Any], *arguments: object) -> Any:
    try:
        return function(*arguments)
    except NotImplementedError:
        raise
    except Exception as error:
        raise Wrong(
            expected=_("`{name}` returns without an error.").format(name=function.__name__),
            found=said(error),
            look=place_of(error, folder),
        ) from error
