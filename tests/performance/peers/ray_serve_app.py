"""Ray Serve. `python -m tests.performance.peers.ray_serve_app PORT`.

Compared: two replicas with one thread, behind Ray's own proxy, the same throughput-optimized, and
behind HAProxy (both set in the environment); and one replica with two threads behind HAProxy.
"""
# mypy: disable-error-code="attr-defined,import-not-found,untyped-decorator"

import sys
from typing import Any

import ray
from ray import serve
from starlette.requests import Request

from tests.performance.peers.classifier import Classifier


@serve.deployment(
    num_replicas=2,
    ray_actor_options={"num_cpus": 1},
    logging_config={"enable_access_log": False},
)
class Photos:
    def __init__(self) -> None:
        self.classifier = Classifier(threads=1)

    async def __call__(self, request: Request) -> dict[str, Any]:
        return self.classifier.classify(await request.body())


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Photos.bind(), route_prefix="/predict", blocking=True)
