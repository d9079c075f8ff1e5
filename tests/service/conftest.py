"""Built once for all tests of the service: a small bundle of the form that GPUs serve."""

from pathlib import Path

import pytest

from service.artifact import build
from service.artifact.manifest import Architecture
from service.artifact.recipe import Recipe, default_photos, describe_seed, seeded_labels
from service.preprocessing import PreprocessingSettings
from tests.service.small_vit import CLASSES, SIDE, small_vit


@pytest.fixture(scope="session")
def small_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vit") / "bundle"
    recipe = Recipe(
        name="small-vit",
        version="1",
        architecture=Architecture(
            name="small-vit", source=describe_seed(0), licence="none needed",
            mean=(123, 116, 103), std=(58, 57, 57),
        ),
        model=small_vit().model,
        labels=seeded_labels(CLASSES),
        preprocessing=PreprocessingSettings(resize=36, crop=SIDE),
        photos=default_photos(),
        forms=("bf16",),
        keeps_weights=False,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "PARITY_CROPS", 28)
        manifest = build.build(recipe, folder, lambda _: None)
    parity = manifest.forms["bf16"].parity
    assert parity.device == "cpu"
    assert parity.logit_spread is not None
    assert parity.largest_logit_difference is not None
    assert 0 < parity.largest_logit_difference < parity.logit_spread
    return folder
