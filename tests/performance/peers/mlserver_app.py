"""MLServer. `mlserver start tests/performance/peers/mlserver_model`.

Compared: two workers with one thread each, one with two, and no worker (in the server's process)
with two. A custom endpoint takes the raw body: MLServer's own REST protocol carries bytes only as
base64 in JSON. Its workers fail with uvloop from 0.22 on, hence the older one.
"""
# mypy: disable-error-code="import-not-found,misc,untyped-decorator"

from typing import Annotated, Any

from fastapi import Body
from mlserver import MLModel
from mlserver.handlers import custom_handler

from tests.performance.peers.classifier import Classifier


class Photos(MLModel):
    async def load(self) -> bool:
        self.classifier = Classifier(threads=1)
        return True

    @custom_handler(rest_path="/predict")
    async def classify(
        self, photo: Annotated[bytes, Body(media_type="image/jpeg")]
    ) -> dict[str, Any]:
        return self.classifier.classify(photo)
