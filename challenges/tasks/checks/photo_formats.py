"""Task photo-formats: all kinds of photos of the contract, as the research model saw them."""

from pathlib import Path

from challenges.minimal_service.grading.measuring.photos import format_photos
from challenges.tasks.checking import Wrong, own_module, place_of, said
from challenges.tasks.pixels import demand_pixels
from learner.language import _

LOOK = "preprocessing.py, upright_rgb"


def check(folder: Path) -> None:
    """Give one photo of each kind, and name all kinds that come out otherwise.

    Raises:
        Wrong: some do.
    """
    preprocess = own_module(folder, "preprocessing").preprocess
    wrong: dict[str, Wrong] = {}
    photos = format_photos(seed=4)
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
