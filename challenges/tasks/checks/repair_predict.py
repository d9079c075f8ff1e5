"""Task repair-predict: no name from outside, and so two users get two answers."""

import builtins
import inspect
import symtable
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from challenges.tasks.checking import Wrong, own_module, place_of, said
from learner.language import _

FILE = "predict.py"
COLOURS = ("red", "green", "blue")


def check(folder: Path) -> None:
    """Look for globals, then ask for photos alone and at once.

    Raises:
        Wrong: see there.
    """
    module = own_module(folder, "predict")
    predict = getattr(module, "predict", None)
    if not callable(predict):
        raise Wrong(
            expected=_("{file} has the function `{name}`.").format(file=FILE, name="predict"),
            found=_("It has none of that name."),
            look=FILE,
        )
    names = list(inspect.signature(predict).parameters)
    if names != ["file", "model", "transform", "labels"]:
        raise Wrong(
            expected=_("`predict` has the arguments `{names}`.").format(
                names="file, model, transform, labels"
            ),
            found=_("It has `{names}`.").format(names=", ".join(names)),
            look=f"{FILE}, predict",
        )
    if leans := globals_of((folder / FILE).read_text(encoding="utf-8")):
        raise Wrong(
            expected=_("Functions get what they need as arguments."),
            found=_("These names are global: `{names}`.").format(names=", ".join(sorted(leans))),
            look=_("{file}: each place with such a name").format(file=FILE),
        )
    _check_answers(predict, folder)
    _check_at_once(predict, folder)


def globals_of(source: str) -> set[str]:
    """Names that functions take from outside, besides imports, functions, classes, constants."""
    table = symtable.symtable(source, FILE, "exec")
    allowed = set(dir(builtins))
    for symbol in table.get_symbols():
        if symbol.is_imported() or symbol.is_namespace() or symbol.get_name().isupper():
            allowed.add(symbol.get_name())
    defined = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned()}
    # A constant that nobody defines is a name of the notebook, like CLASSES.
    allowed -= {name for name in allowed if name.isupper()} - defined
    return {
        symbol.get_name()
        for function in _functions(table)
        for symbol in function.get_symbols()
        if symbol.is_global() and (symbol.is_declared_global() or symbol.get_name() not in allowed)
    }


def _functions(table: symtable.SymbolTable) -> list[symtable.SymbolTable]:
    inner = table.get_children()
    return [*inner, *(deeper for child in inner for deeper in _functions(child))]


def _photo(colour: str) -> BytesIO:
    file = BytesIO()
    Image.new("RGB", (32, 32), colour).save(file, "PNG")
    file.seek(0)
    return file


def _transform(image: Image.Image) -> Any:
    import torch

    return torch.from_numpy(np.asarray(image, np.float32).transpose(2, 0, 1).copy())


def _model(batch: Any) -> Any:
    """The colour with most of it gets the highest number (the green of "green" is a dark one)."""
    return batch.mean((2, 3)) / 10


def _ask(
    predict: Callable[..., Any],
    folder: Path,
    colour: str,
    labels: tuple[str, ...],
    transform: Callable[[Image.Image], Any] = _transform,
) -> Any:
    try:
        return predict(_photo(colour), _model, transform, labels)
    except Exception as error:
        raise Wrong(
            expected=_("`predict` answers a photo."),
            found=said(error),
            look=place_of(error, folder),
        ) from error


def _check_answers(predict: Callable[..., Any], folder: Path) -> None:
    for labels in (COLOURS, ("rot", "grün", "blau")):
        for colour, name in zip(COLOURS, labels, strict=True):
            answer = _ask(predict, folder, colour, labels)
            if answer != name:
                raise Wrong(
                    expected=_(
                        "A {colour} photo is named `{name}`, with the labels {labels}."
                    ).format(colour=colour, name=name, labels=", ".join(labels)),
                    found=_("`predict` returned {answer}.").format(answer=repr(answer)[:100]),
                    look=f"{FILE}, predict",
                )


def _check_at_once(predict: Callable[..., Any], folder: Path) -> None:
    """Two users, each of whom goes on only when both have loaded their photos."""
    both = threading.Barrier(2)

    def meet(image: Image.Image) -> Any:
        both.wait(10)
        return _transform(image)

    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(_ask, predict, folder, colour, COLOURS, meet) for colour in COLOURS[:2]]
        answers = [job.result() for job in jobs]
    if answers != list(COLOURS[:2]):
        raise Wrong(
            expected=_("Two users at once get the answers to their own photos."),
            found=_("A red and a green photo, at once, were named {answers}.").format(
                answers=", ".join(map(repr, answers))
            ),
            look=_("{file}: what one call keeps where another finds it").format(file=FILE),
        )
