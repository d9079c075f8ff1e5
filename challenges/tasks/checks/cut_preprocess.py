"""Task cut-preprocess: a module that imports alone, does nothing then, and gives right pixels."""

from pathlib import Path

from PIL import Image

from challenges.load.images import encoded
from challenges.minimal_service.grading.context import Report
from challenges.minimal_service.grading.criteria.module_imports import read_imports
from challenges.minimal_service.grading.criteria.structure import check_import
from challenges.minimal_service.grading.measuring.photos import bad_inputs
from challenges.tasks.checking import Wrong, own_module, place_of, said
from challenges.tasks.pixels import demand_pixels
from challenges.tasks.serving import submission_of
from learner.language import _
from service.artifact.sample_photos import SAMPLE_PHOTOS

FILE = "preprocessing.py"
LOOK = "preprocessing.py, preprocess"
HEAVY = {"torch", "torchvision", "skimage", "sklearn", "matplotlib"}
ALMOST_NONE = 1.0
"""Mean difference where nothing is shrunk while it is decoded: rounding alone."""


def check(folder: Path) -> None:
    """Import the module alone, then give it photos, and what is none.

    Raises:
        Wrong: it does work at import, needs too much, or its pixels are others.
    """
    _check_import(folder)
    preprocess = own_module(folder, "preprocessing").preprocess
    for which, data in _photos().items():
        try:
            found = preprocess(data)
        except NotImplementedError:
            raise
        except Exception as error:
            raise Wrong(
                expected=_("`preprocess` takes {which}.").format(which=which),
                found=said(error),
                look=place_of(error, folder),
            ) from error
        demand_pixels(found, data, which, LOOK, ALMOST_NONE)
    for which, data in bad_inputs(_photos()["JPEG"]).items():
        _demand_refusal(preprocess, which, data, folder)


def _check_import(folder: Path) -> None:
    report = Report("structure")
    submission = submission_of(folder)
    check_import(report, submission, "preprocessing")
    for judged in report.checks:
        if judged.passed is False:
            raise Wrong(
                expected=_("{file} can be imported alone, and does nothing then.").format(
                    file=FILE
                ),
                found=judged.text,
                look=_("{file}, the lines outside of functions").format(file=FILE),
            )
    libraries = read_imports(submission.modules["preprocessing"], folder).libraries
    if heavy := sorted(HEAVY & {name.partition(".")[0] for name in libraries}):
        raise Wrong(
            expected=_("{file} needs Pillow and NumPy only.").format(file=FILE),
            found=_("It imports {names}, which takes seconds and much memory.").format(
                names=", ".join(heavy)
            ),
            look=_("{file}, the imports").format(file=FILE),
        )


def _photos() -> dict[str, bytes]:
    """A few sizes and shapes, by a name for the learner."""
    pictures = [Image.open(photo.path).convert("RGB") for photo in SAMPLE_PHOTOS[:4]]
    return {
        "JPEG": encoded(pictures[0].resize((500, 375)), quality=90),
        _("PNG, upright"): encoded(pictures[1].resize((299, 451)), "PNG"),
        _("WebP, very wide"): encoded(pictures[2].resize((900, 301)), "WEBP", quality=90),
        _("PNG, small"): encoded(pictures[3].resize((111, 90)), "PNG"),
    }


def _demand_refusal(preprocess: object, which: str, data: bytes, folder: Path) -> None:
    assert callable(preprocess)
    expected = _("What is no photo raises ValueError. Here: {which}.").format(which=which)
    try:
        preprocess(data)
    except ValueError:
        return
    except Exception as error:
        raise Wrong(expected=expected, found=said(error), look=place_of(error, folder)) from error
    raise Wrong(expected=expected, found=_("`preprocess` returned pixels."), look=LOOK)
