"""Task photo-formats: all kinds of photos of the contract, as the research model saw them."""

from pathlib import Path

import numpy as np
from PIL import Image

from challenges.load.images import encoded
from challenges.minimal_service.grading.measuring.photos import (
    FormatPhoto,
    format_photos,
)
from challenges.tasks.checking import Wrong, own_module, place_of, said
from challenges.tasks.pixels import demand_pixels
from learner.language import _
from service.artifact.sample_photos import SAMPLE_PHOTOS

LOOK = "preprocessing.py, upright_rgb"


def check(folder: Path) -> None:
    """Give one photo of each kind, and name all kinds that come out otherwise.

    Raises:
        Wrong: some do.
    """
    preprocess = own_module(folder, "preprocessing").preprocess
    wrong: dict[str, Wrong] = {}
    photos = [*format_photos(seed=4), _fine_grey()]
    for photo in photos:
        try:
            demand_pixels(preprocess(photo.data), photo.data, photo.kind, LOOK)
        except Wrong as fault:
            wrong[photo.kind] = fault
        except NotImplementedError:
            raise
        except Exception as error:
            wrong[photo.kind] = Wrong(
                expected=_("`preprocess` takes {which}.").format(which=photo.kind),
                found=_("{which}: {error}").format(which=photo.kind, error=said(error)),
                look=place_of(error, folder),
            )
    if wrong:
        first = next(iter(wrong.values()))
        raise Wrong(
            expected=_("All {n} kinds of photos come out as the research model saw them.").format(
                n=len(photos)
            ),
            found=_("{n} kinds do not: {kinds}. {first}").format(
                n=len(wrong), kinds="; ".join(wrong), first=first.found
            ),
            look=first.look,
        )
    print(f"{len(photos)} of {len(photos)} kinds of photos")


def _fine_grey() -> FormatPhoto:
    """A photo whose 16 bits are all in use: the low byte is noise, the high byte the picture."""
    with Image.open(SAMPLE_PHOTOS[0].path) as file:
        high = np.asarray(file.convert("L").resize((480, 360))).astype(np.uint16)
    low = np.random.default_rng(1).integers(0, 256, high.shape, np.uint16)
    return FormatPhoto(
        _("PNG, 16-bit grey with noise"), encoded(Image.fromarray(high << 8 | low), "PNG")
    )
