"""The little that the lessons share: predict, then measure; plots; errors in a learner's words."""

from notebooks.workshop.guesses import Guess, compare, guess_of, predict
from notebooks.workshop.kernel import show_errors_in_words
from notebooks.workshop.plots import bars, latencies, show

__all__ = ["Guess", "bars", "compare", "guess_of", "latencies", "predict", "show"]

show_errors_in_words()
