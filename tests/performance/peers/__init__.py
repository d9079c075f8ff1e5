"""The peers: other ways to serve the same ONNX file with the same preprocessing.

Each has its own environment and its own best documented settings for 2 cores and one small image
model; what its settings were compared with is said in its application's file. None writes an access
log. This module is plain data: the peers' environments import it too, so it needs nothing.
"""

import json
import struct
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
HOME = ROOT / ".peers"
"""Environments, logs and what the peers write while they run; not in version control."""

_PACKAGE = "tests.performance.peers"
_JPEG = {"Content-Type": "image/jpeg"}


def _first_prediction(body: bytes) -> int:
    return int(json.loads(body)["predictions"][0]["class_id"])


def _first_of_triton(body: bytes) -> int:
    """A raw binary request gets JSON that describes the outputs, then their bytes, in its order."""
    _, end = json.JSONDecoder().raw_decode(body.decode("latin-1"))
    return int(struct.unpack_from("<i", body, end)[0])


def _unwrapped(body: bytes) -> tuple[bytes, dict[str, str]]:
    return body, {}


@dataclass(frozen=True, slots=True)
class Peer:
    """How to start one peer, what to send it, and how to read its answer."""

    name: str
    command: Callable[[Path, int], list[str]]
    """Builds the command from its environment's Python and the port; run in the root."""
    settings: str
    """Which settings and why, with the page that documents them."""
    path: str = "/predict"
    """Where photos are posted to, as raw JPEG."""
    ready_path: str = "/ready"
    """Answers 200 when it is ready. Some say so too early: post a photo before believing it."""
    headers: Mapping[str, str] = field(default_factory=lambda: _JPEG)
    environment: Mapping[str, str] = field(default_factory=dict)
    """Further environment variables."""
    top_class: Callable[[bytes], int] = _first_prediction
    """The class id of the first prediction in an answer's body."""
    wrap: Callable[[bytes], tuple[bytes, dict[str, str]]] = _unwrapped
    """The body to send for a photo, and headers that depend on it."""

    @property
    def requirements(self) -> str:
        """Its pinned packages for Python 3.11, in `requirements/`."""
        return f"{self.name}.txt"


def _run(module: str, *options: str) -> Callable[[Path, int], list[str]]:
    """`python -m tests.performance.peers.<module> PORT`."""
    return lambda python, port: [str(python), "-m", f"{_PACKAGE}.{module}", *options, str(port)]


def _uvicorn(python: Path, port: int) -> list[str]:
    application = f"{_PACKAGE}.plain_fastapi:app"
    options = ["--host", "127.0.0.1", "--port", str(port), "--workers", "2", "--no-access-log"]
    return [str(python), "-m", "uvicorn", application, *options]


def _bentoml(python: Path, port: int) -> list[str]:
    application = f"{_PACKAGE}.bentoml_app:Photos"
    options = ["--host", "127.0.0.1", "--port", str(port)]
    return [str(python), "-m", "bentoml", "serve", application, *options]


def _mlserver(python: Path, port: int) -> list[str]:
    # Its ports can be set only in the environment or a file; gRPC cannot be switched off.
    ports = [f"MLSERVER_HTTP_PORT={port}", f"MLSERVER_GRPC_PORT={port + 1}"]
    model = Path(__file__).with_name("mlserver_model")
    return ["env", *ports, str(python.with_name("mlserver")), "start", str(model)]


PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            "plain_fastapi",
            _uvicorn,
            "uvicorn with a worker a core, 1 thread a session; "
            "fastapi.tiangolo.com/deployment/server-workers",
        ),
        Peer(
            "litserve",
            _run("litserve_app"),
            "a worker a core (advised for CPUs), 1 thread each, no batches, fast_queue (advised "
            "above 100 requests/s), 1 HTTP server; lightning.ai/docs/litserve/api-reference/"
            "litserver and its docstring",
            ready_path="/health",
        ),
        Peer(
            "mosec",
            _run("mosec_app", "--address", "127.0.0.1", "--log-level", "warning", "--port"),
            "a worker a core, 1 thread each, no batches, so no wait for one; "
            "mosecorg.github.io/mosec/reference/interface.html",
            ready_path="/",
        ),
        Peer(
            "bentoml",
            _bentoml,
            "a worker a core, 1 thread each, no adaptive batching; "
            "docs.bentoml.com/en/latest/guides/workers.html",
            ready_path="/readyz",
            environment={
                "BENTOML_DO_NOT_TRACK": "True",
                "BENTOML_HOME": str(HOME / "bentoml-home"),
            },
        ),
        Peer(
            "ray_serve",
            _run("ray_serve_app"),
            "a replica a core, 1 thread each, throughput-optimized behind HAProxy; "
            "docs.ray.io/en/master/kuberay/user-guides/serve-high-throughput.html",
            ready_path="/-/healthz",
            environment={
                "RAY_SERVE_ENABLE_HA_PROXY": "1",
                "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
                "RAY_USAGE_STATS_ENABLED": "0",
                "RAY_AUTH_MODE": "disabled",  # else Ray writes a token to the home folder
            },
        ),
        Peer(
            "mlserver",
            _mlserver,
            "parallel_workers: one a core, 1 thread each, no adaptive batching (off by default); "
            "docs.seldon.ai/mlserver/user-guide/parallel-inference",
            ready_path="/v2/models/photos/ready",
            environment={
                "MLSERVER_ENVIRONMENTS_DIR": str(HOME / "mlserver-environments"),
                "MLSERVER_METRICS_DIR": str(HOME / "mlserver-metrics"),
            },
        ),
        Peer(
            "pytriton",
            _run("pytriton_app"),
            "an instance a core, 1 thread each, no batches; "
            "triton-inference-server.github.io/pytriton/latest/binding_models, raw request as in "
            "docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/protocol/"
            "extension_binary_data.html",
            path="/v2/models/photos/infer",
            ready_path="/v2/models/photos/ready",
            headers={
                "Content-Type": "application/octet-stream",
                "Inference-Header-Content-Length": "0",
            },
            # Sockets lie there, whose paths may have 107 characters at most: not below ROOT.
            environment={"PYTRITON_HOME": str(Path(tempfile.gettempdir()) / "peers-pytriton")},
            top_class=_first_of_triton,
        ),
    )
}
"""Every peer by its name."""
