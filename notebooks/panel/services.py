"""What the panel runs and shows: services, their source code, and the photos for them."""

import base64
import functools
import io
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

import quizzes.evidence.naive_service as naive_service
from quizzes.evidence.running import NAIVE, REFERENCE
from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.console.flow import NAIVE_STEPS, STEPS
from service.console.reference import view_reference
from service.console.source import view_source

START_UP, FIRST, EVERY = "start-up", "first-request", "every-request"
ALL = "all"
MODES = (EVERY, FIRST, START_UP)
"""When the weights are loaded; the last one is the reference service.

All three serve the same ONNX file by the same runtime with one thread, import their libraries when
the process starts, and get one photo after another. So their latencies differ only because of the
moment at which the weights are loaded.
"""
PICTURE_SIDE = 128
"""Pixels of the longer side of a picture that is shown."""
_LOADING = ("engine = load_engine(",)
_PREDICTING = ("pixels = preprocess(", "model(pixels[np.newaxis])")
_NAIVE_CODE: Mapping[str, Sequence[str]] = {
    "start": ("uvicorn.run(create_app(",),
    "ready": ("app = FastAPI(", '@app.post("/predict")'),
    "photos": (
        "image = await request.body()",
        "if model is None or moment ==",
        *_LOADING,
        *_PREDICTING,
    ),
}


@dataclass(frozen=True, slots=True)
class Service:
    """A service that can be started."""

    module: str
    options: tuple[str, ...]
    steps: tuple[str, ...]
    photos: int
    """Most photos that are sent to it."""
    seconds: float
    """Time in seconds to send them, from the first answer on."""
    has_metrics: bool
    """Whether it answers GET /artifact and GET /metrics."""

    def command(self, port: int, artifact: Path) -> list[str]:
        """Return the command that starts it; port 0 takes a free one."""
        place = ["--port", str(port), "--artifact", str(artifact)]
        return [sys.executable, "-m", self.module, *place, *self.options]


SERVICES = {
    EVERY: Service(NAIVE, ("--load", "request"), NAIVE_STEPS, 40, 4, has_metrics=False),
    FIRST: Service(NAIVE, ("--load", "first"), NAIVE_STEPS, 100, 4, has_metrics=False),
    # A drain of 5 s is for load balancers; here only the panel sends requests.
    START_UP: Service(REFERENCE, ("--drain-seconds", "0.3"), STEPS, 100, 5, has_metrics=True),
}


def view_sources() -> dict[str, Any]:
    """Return what the code pane shows of each service's file, by mode."""
    naive = view_source(Path(naive_service.__file__), _NAIVE_CODE)
    return {EVERY: naive, FIRST: naive, START_UP: view_reference()}


@functools.cache
def samples() -> list[dict[str, str]]:
    """Return name, credit, licence and a small picture (a data URL) of each sample photo."""
    return [
        {
            "name": photo.name,
            "credit": photo.credit,
            "licence": photo.licence,
            "picture": "data:image/jpeg;base64,"
            + base64.b64encode(_shrink(photo.read(), PICTURE_SIDE, 70)).decode(),
        }
        for photo in SAMPLE_PHOTOS
    ]


def photo_named(name: str) -> bytes:
    """Return the file of a sample photo.

    Raises:
        KeyError: no sample photo has this name.
    """
    for photo in SAMPLE_PHOTOS:
        if photo.name == name:
            return photo.read()
    raise KeyError(name)


@functools.cache
def photos_to_send() -> tuple[bytes, ...]:
    """Return all sample photos as JPEG files of 640 pixels, the size in which phones share them.

    Some originals are large PNG files: decoding them would take longer than everything else.
    """
    return tuple(_shrink(photo.read(), 640, 90) for photo in SAMPLE_PHOTOS)


def _shrink(data: bytes, side: int, quality: int) -> bytes:
    with Image.open(io.BytesIO(data)) as image:
        small = ImageOps.contain(image.convert("RGB"), (side, side))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=quality)
    return file.getvalue()
