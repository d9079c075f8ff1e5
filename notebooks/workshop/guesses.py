"""Predict, then measure: a guess is stored before the measuring cell will run."""

from dataclasses import dataclass
from numbers import Real

from learner.errors import LearnerError
from learner.folder import read_json, write_json
from learner.language import _
from notebooks.workshop.plots import bars

FILE = "guesses.json"
_made: dict[str, "Guess"] = {}
"""In this kernel."""


@dataclass(frozen=True, slots=True)
class Guess:
    """What was expected of a measurement, before it was made."""

    name: str
    value: float
    unit: str
    own: bool
    """The learner's; otherwise the default of the lesson."""


def predict(name: str, *, guess: float | None = None, default: float, unit: str) -> None:
    """Store a guess, here and in the learner's folder.

    Args:
        name: what the measuring cell asks for it by.
        guess: the learner's number; None takes `default`, so that a lesson also runs through
            without anybody there.
        default: somebody's first thought, not the answer.
        unit: of both, as printed after the number.

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
    made = Guess(name, float(default if guess is None else guess), unit, own)
    _made[name] = made
    if own:
        write_json(FILE, {**read_json(FILE), name: made.value})
        print(_("Your guess: {value:g} {unit}. Now measure.").format(value=made.value, unit=unit))
    else:
        print(
            _(
                "No guess of yours yet, so {value:g} {unit} stands in. "
                "Write your number instead of None and run this cell again."
            ).format(value=made.value, unit=unit)
        )


def guess_of(name: str) -> Guess:
    """The guess that `predict` has stored; the first thing that a measuring cell asks for.

    Raises:
        LearnerError: there is none yet.
    """
    if name not in _made:
        raise LearnerError(
            _('First guess, then measure: run the cell above with predict("{name}").').format(
                name=name
            )
        )
    return _made[name]


def compare(guess: Guess, measured: float) -> None:
    """Show the guess and the measured value side by side."""
    whose = _("your guess") if guess.own else _("stand-in guess")
    bars({whose: guess.value, _("measured"): float(measured)}, unit=guess.unit)
