"""The little that the lessons share: predict, then measure; plots; errors in a learner's words."""

from learner.language import _ as tr
from notebooks.workshop.guesses import Guess, compare, guess_of, predict
from notebooks.workshop.kernel import show_errors_in_words
from notebooks.workshop.plots import bars, latencies, show

__all__ = ["Guess", "bars", "compare", "guess_of", "latencies", "predict", "show", "tr"]

show_errors_in_words()
