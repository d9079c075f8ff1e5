"""Builds the reference's artifact of the 1 GB model, in the screened int8 form."""

from collections.abc import Callable
from pathlib import Path

from challenges.catalogue.model import CATALOGUE_MODEL, DIGESTS, make_model
from service.artifact.progress import ignore
from service.settings import ROOT

CATALOGUE_BUNDLE = ROOT / "artifacts" / "catalogue"


def build_bundle(
    model: Path = CATALOGUE_MODEL,
    destination: Path = CATALOGUE_BUNDLE,
    say: Callable[[str], None] = print,
    note: Callable[[str, str], None] = ignore,
) -> None:
    """Build the bundle; make the research model at `model` first if it is missing.

    Args:
        model: folder of the research model.
        destination: folder of the bundle.
        say: called with a line of text when a step is done.
        note: called with a step and what it does now.

    Raises:
        OperatorError: the disk is full, or the form falls under its bound.
    """
    from dataclasses import replace

    from service.artifact.build import build
    from service.artifact.recipe import OwnModel, own_recipe
    from service.engines import SCREENED
    from service.model_definition import LITE0

    folder = make_model(model, say=say)
    recipe = own_recipe(
        name="catalogue",
        version="1.0.0",
        own=OwnModel(architecture=LITE0, weights=folder.weights, labels=folder.labels),
        forms=(SCREENED,),
    )
    digest = (model / DIGESTS).read_text().split()[0]
    about = recipe.architecture.model_copy(
        update={
            "source": f"challenges/catalogue (made from a seed), SHA-256 {digest}",
            "licence": "Apache-2.0",
        }
    )
    # The seed makes the fp32 weights again, so the bundle need not carry a gigabyte.
    build(replace(recipe, architecture=about, keeps_weights=False), destination, say, note=note)
