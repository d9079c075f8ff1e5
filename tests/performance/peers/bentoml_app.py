"""BentoML. `bentoml serve tests.performance.peers.bentoml_app:Photos`.

Compared: two workers with one thread, with and without metrics; one worker with two threads for
requests, and one with two threads in the session. Adaptive batching was not: a batchable API takes
lists, so single photos would need a second service in front of it.
"""
# mypy: disable-error-code="import-not-found,misc,untyped-decorator"

from pathlib import Path
from typing import Annotated, Any

import bentoml
from bentoml.validators import ContentType

from tests.performance.peers.classifier import Classifier


@bentoml.service(workers=2, threads=1, logging={"access": {"enabled": False}})
class Photos:
    def __init__(self) -> None:
        self.classifier = Classifier(threads=1)

    # A positional-only file is the raw body; BentoML hands it over as a temporary file.
    @bentoml.api(route="/predict")
    def predict(self, photo: Annotated[Path, ContentType("image/jpeg")], /) -> dict[str, Any]:
        return self.classifier.classify(photo.read_bytes())
