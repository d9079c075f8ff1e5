"""Task pickle-main: the object of a notebook cannot be loaded elsewhere, its weights can."""

import runpy
import sys
from pathlib import Path
from typing import Any

from challenges.tasks.checking import Wrong, own_module, place_of, said
from learner.language import _

FILE = "pickled.py"


def check(folder: Path) -> None:
    """Run the file as a notebook runs, as `__main__`; then load its files from this program.

    Raises:
        Wrong: the object could be loaded here, or the weights could not.
    """
    output = folder / "saved"
    output.mkdir()
    _run_as_main(folder, output)
    module = own_module(folder, "pickled")
    _check_object(module, output / "object.pt", folder)
    _check_weights(module, output, folder)


def _run_as_main(folder: Path, output: Path) -> None:
    before = sys.argv
    sys.argv = [FILE, str(output)]
    try:
        runpy.run_path(str(folder / FILE), run_name="__main__")
    except NotImplementedError:
        raise
    except Exception as error:
        raise Wrong(
            expected=_("`python {file}` saves the network in both ways.").format(file=FILE),
            found=said(error),
            look=place_of(error, folder),
        ) from error
    finally:
        sys.argv = before
    for name in ("object.pt", "weights.pt"):
        if not (output / name).is_file():
            raise Wrong(
                expected=_("`python {file}` writes {name}.").format(file=FILE, name=name),
                found=_("There is no such file."),
                look=_("{file}, the functions that save").format(file=FILE),
            )


def _check_object(module: Any, path: Path, folder: Path) -> None:
    expected = _("In another program `load_object` fails: that program has no Net of __main__.")
    try:
        module.load_object(path)
    except AttributeError as error:
        if "Can't get attribute" in str(error):
            print(said(error))
            return
        raise Wrong(expected=expected, found=said(error), look=place_of(error, folder)) from error
    except Exception as error:
        raise Wrong(expected=expected, found=said(error), look=place_of(error, folder)) from error
    raise Wrong(
        expected=expected,
        found=_("It was loaded, so the file holds no object of the class Net."),
        look=f"{FILE}, save_object, load_object",
    )


def _check_weights(module: Any, output: Path, folder: Path) -> None:
    import torch

    look = f"{FILE}, save_weights, load_weights"
    expected = _("weights.pt holds a state_dict: it can be loaded with weights_only=True.")
    try:
        content = torch.load(output / "weights.pt", weights_only=True)
    except Exception as error:
        raise Wrong(expected=expected, found=said(error)[:200], look=look) from error
    if not isinstance(content, dict) or set(content) != {"layer.weight", "layer.bias"}:
        found = _("It holds {content}.").format(content=repr(content)[:150])
        raise Wrong(expected=expected, found=found, look=look)
    expected = _("`load_weights` gives a Net with the numbers of the file.")
    net = module.Net()
    try:
        module.save_weights(net, output / "again.pt")
        loaded = module.load_weights(output / "again.pt")
    except Exception as error:
        raise Wrong(expected=expected, found=said(error), look=place_of(error, folder)) from error
    inputs = torch.ones(1, 3)
    if not isinstance(loaded, module.Net):
        found = _("It returned: {kind}").format(kind=type(loaded).__name__)
        raise Wrong(expected=expected, found=found, look=look)
    if not torch.equal(loaded(inputs), net(inputs)):
        found = _("The network that it returned answers with other numbers.")
        raise Wrong(expected=expected, found=found, look=look)
