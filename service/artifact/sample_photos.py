"""Real photos with known labels, from packages that are installed anyway.

This repository holds no photo: each is read from the package that ships it, under the licence named
here. Builds use them as golden photos, for calibration and for parity; lessons, tests and the
challenge send them.
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

_CAT = ("tabby", "tiger cat", "Egyptian cat")
"""ImageNet's three labels for a domestic cat; they differ in the coat."""


@dataclass(frozen=True, slots=True)
class SamplePhoto:
    """A photo in an installed package, and what it shows."""

    name: str
    package: str
    file: str
    """Path below the package's folder."""
    labels: tuple[str, ...]
    """The right ImageNet labels, any of which is a true answer. Empty if ImageNet has none."""
    licence: str
    credit: str

    @property
    def path(self) -> Path:
        """Return the path of the file.

        Raises:
            FileNotFoundError: its package is not installed.
        """
        return _package_folder(self.package) / self.file

    def read(self) -> bytes:
        """Return the file's bytes (JPEG or PNG)."""
        return self.path.read_bytes()


def _package_folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            f"the sample photos of {package} are missing, because it is not installed: make setup"
        )
    return Path(spec.origin).parent


SAMPLE_PHOTOS = (
    SamplePhoto(
        "coffee", "skimage", "data/coffee.png", ("espresso",), "CC0-1.0", "Rachel Michetti"
    ),
    SamplePhoto("cat", "skimage", "data/chelsea.png", _CAT, "CC0-1.0", "Stéfan van der Walt"),
    SamplePhoto("camera", "skimage", "data/camera.png", ("tripod",), "CC0-1.0", "Lav Varshney"),
    SamplePhoto(
        "motorcycle",
        "skimage",
        "data/motorcycle_left.png",
        ("moped", "motor scooter"),
        "BSD-3-Clause, with scikit-image",
        "Middlebury stereo benchmark 2014, D. Scharstein et al.",
    ),
    SamplePhoto(
        "rocket", "skimage", "data/rocket.jpg", ("missile", "projectile"), "public domain", "SpaceX"
    ),
    SamplePhoto(
        "palace",
        "sklearn",
        "datasets/images/china.jpg",
        ("palace",),
        "CC-BY-2.0",
        "danielbuechele, flickr.com",
    ),
    SamplePhoto(
        "flower",
        "sklearn",
        "datasets/images/flower.jpg",
        ("daisy",),
        "CC-BY-2.0",
        "vultilion, flickr.com",
    ),
)
"""Photos that have an ImageNet label and that the default model recognises."""

OTHER_PICTURES = tuple(
    SamplePhoto(file.split(".")[0], "skimage", f"data/{file}", (), licence, credit)
    for file, licence, credit in (
        ("astronaut.png", "public domain", "NASA"),
        ("brick.png", "CC0-1.0", "CC0Textures.com"),
        ("clock_motion.png", "public domain", "Stefan van der Walt"),
        ("coins.png", "no known restrictions", "Brooklyn Museum"),
        ("grass.png", "CC0-1.0", "linolafett"),
        ("gravel.png", "CC0-1.0", "CC0Textures.com"),
        ("hubble_deep_field.jpg", "public domain", "NASA"),
        ("ihc.png", "no known restrictions", "scikit-image"),
        ("moon.png", "no known restrictions", "scikit-image"),
        ("motorcycle_right.png", "BSD-3-Clause, with scikit-image", "Middlebury, D. Scharstein"),
        ("retina.jpg", "CC0-1.0", "Mikael Häggström"),
    )
)
"""More real pictures, for calibration."""
