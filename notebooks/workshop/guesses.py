"""Guess, then measure: a measuring cell fails until its guess is stored."""

from dataclasses import dataclass
from numbers import Real

from learner.errors import LearnerError
from learner.folder import read_json, write_json
from learner.language import _
from notebooks.workshop.plots import bars

FILE = "guesses.json"
_guesses: dict[str, "Guess"] = {}
"""The guesses of this kernel, by name."""


@dataclass(frozen=True, slots=True)
class Guess:
    """A number that was expected before the measurement."""

    name: str
    value: float
    unit: str
    own: bool
    """Whether it is the learner's own; otherwise it is the lesson's default."""


def predict(name: str, *, guess: float | None = None, default: float, unit: str) -> None:
    """Store a guess in this kernel, and the learner's own also in their folder.

    Args:
        name: the name by which the measuring cell asks for the guess.
        guess: the learner's number; None takes `default`, so that a lesson also runs unattended.
        default: a plausible first guess, not the answer.
        unit: of both numbers, as printed after them.

    Raises:
        LearnerError: the guess is not a number.
    """
    if guess is not None and (isinstance(guess, bool) or not isinstance(guess, Real)):
        raise LearnerError(
            _(
                "The guess is {guess!r}, which is not a number. "
                "Write one, without quotes and unit: guess={default:g}"
            ).format(guess=guess, default=default)
        )
    own = guess is not None
    stored = Guess(name, float(default if guess is None else guess), unit, own)
    _guesses[name] = stored
    if own:
        write_json(FILE, {**read_json(FILE), name: stored.value})
        print(_("Your guess: {value:g} {unit}. Now measure.").format(value=stored.value, unit=unit))
    else:
        print(
            _(
                "No guess of yours yet, so {value:g} {unit} stands in. "
                "Write your number instead of None and run this cell again."
            ).format(value=stored.value, unit=unit)
        )


def guess_of(name: str) -> Guess:
    """Return the guess that `predict` has stored. Measuring cells call this first.

    Raises:
        LearnerError: no guess is stored yet.
    """
    if name not in _guesses:
        raise LearnerError(
            _('First guess, then measure: run the cell above with predict("{name}").').format(
                name=name
            )
        )
    return _guesses[name]


def compare(guess: Guess, measured: float) -> None:
    """Plot the guess and the measured value as bars."""
    whose = _("your guess") if guess.own else _("stand-in guess")
    bars({whose: guess.value, _("measured"): float(measured)}, unit=guess.unit)
