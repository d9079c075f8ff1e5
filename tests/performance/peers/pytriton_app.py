"""PyTriton, which needs NumPy 1. `python -m tests.performance.peers.pytriton_app PORT`.

Compared: two instances with one thread each, without batches and with batches of up to 4; one
instance with two threads, without batches and with batches of up to 8 (never waiting to fill one).
"""
# mypy: disable-error-code="import-not-found,no-any-return,untyped-decorator"

import os
import signal
import sys
import sysconfig
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

from tests.performance.peers.classifier import TOP, Classifier

Arrays = dict[str, npt.NDArray[Any]]


def instance() -> Callable[..., Arrays]:
    classifier = Classifier(threads=1)

    @batch
    def infer(photo: npt.NDArray[np.bytes_]) -> Arrays:
        pixels = np.stack([classifier.decode(one) for one in photo[:, 0]])
        probabilities = classifier.infer(pixels)
        best = np.argsort(-probabilities, axis=1)[:, :TOP]
        return {
            "class_id": best.astype(np.int32),
            "probability": np.take_along_axis(probabilities, best, axis=1),
        }

    return infer


if __name__ == "__main__":
    # Triton's Python stub links libpython; it must find this interpreter's, not the system's.
    os.environ["LD_LIBRARY_PATH"] = sysconfig.get_config_var("LIBDIR")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # leave `with`, which stops Triton
    config = TritonConfig(
        http_address="127.0.0.1", http_port=int(sys.argv[1]), allow_grpc=False, allow_metrics=False
    )
    with Triton(config=config) as triton:
        triton.bind(
            model_name="photos",
            infer_func=[instance(), instance()],
            inputs=[Tensor(name="photo", dtype=bytes, shape=(1,))],
            outputs=[
                Tensor(name="class_id", dtype=np.int32, shape=(TOP,)),
                Tensor(name="probability", dtype=np.float32, shape=(TOP,)),
            ],
            config=ModelConfig(max_batch_size=1),
        )
        triton.serve()
