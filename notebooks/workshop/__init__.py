"""What all lessons share: guesses, plots, and errors in one sentence."""

from learner.language import _ as tr
from notebooks.workshop.guesses import Guess, compare, guess_of, predict
from notebooks.workshop.kernel import show_errors_in_words
from notebooks.workshop.plots import bars, latencies, show

__all__ = ["Guess", "bars", "compare", "guess_of", "latencies", "predict", "show", "tr"]

show_errors_in_words()
