"""Run by the Python of .peers/clients: ask a service with `tritonclient` and `kserve`, compare.

`ask_with_clients.py URL FOLDER`; the folder has photos, and `expected.json` with the answers of
`/predict`: by file name, five classes and their probabilities. Prints as JSON what the clients
were told of the server, and by client the number of answers and the names of those that differ.
"""

import asyncio
import base64
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.http as triton  # type: ignore[import-not-found]
from kserve import (  # type: ignore[import-not-found]
    InferenceRESTClient,
    InferInput,
    InferRequest,
    RESTConfig,
)
from kserve.protocol.rest.v2_datamodels import (  # type: ignore[import-not-found]
    ModelMetadataResponse,
    ServerMetadataResponse,
)

MODEL = "efficientnet-lite0"
TOGETHER = 8
"""Images in one request of the client that sends several."""
URL, FOLDER = sys.argv[1], Path(sys.argv[2])
EXPECTED: dict[str, tuple[list[int], list[float]]] = json.loads(
    (FOLDER / "expected.json").read_text()
)
NAMES = sorted(EXPECTED)
counts: dict[str, int] = {}
differ: dict[str, list[str]] = {}


def compare(client: str, names: list[str], classes: Any, probabilities: Any) -> None:
    """Count the answers of one request; each must be that of `/predict`, to the bit."""
    for name, found, row in zip(names, classes, probabilities, strict=True):
        expected, values = EXPECTED[name]
        counts[client] = counts.get(client, 0) + 1
        same = list(found) == expected and row[expected].astype(float).tolist() == values
        if not same:
            differ.setdefault(client, []).append(name)


def read(names: list[str]) -> np.ndarray[Any, Any]:
    """Return image files as both clients take them."""
    photos = np.empty(len(names), object)
    photos[:] = [(FOLDER / name).read_bytes() for name in names]
    return photos


def ask_with_triton() -> dict[str, Any]:
    """One photo a request, as binary; then several, compressed, with named outputs."""
    client = triton.InferenceServerClient(URL.removeprefix("http://"))

    def infer(names: list[str], model: str = MODEL, **options: Any) -> Any:
        tensor = triton.InferInput("image", [len(names)], "BYTES")
        tensor.set_data_from_numpy(read(names), binary_data=True)
        return client.infer(model, [tensor], **options)

    for name in NAMES:
        answer = infer([name])
        compare("triton", [name], answer.as_numpy("classes"), answer.as_numpy("probabilities"))
    outputs = [
        triton.InferRequestedOutput("classes", binary_data=False),
        triton.InferRequestedOutput("probabilities", binary_data=True),
    ]
    for start in range(0, len(NAMES), TOGETHER):
        names = NAMES[start : start + TOGETHER]
        answer = infer(
            names,
            outputs=outputs,
            model_version="1.0.0",
            request_id=str(start),
            timeout=60_000_000,
            request_compression_algorithm="gzip" if start % (2 * TOGETHER) else "deflate",
            response_compression_algorithm="gzip",
        )
        assert answer.get_response()["id"] == str(start)
        compare(
            "triton, several", names, answer.as_numpy("classes"), answer.as_numpy("probabilities")
        )
    top = infer(NAMES[:1], outputs=[triton.InferRequestedOutput("probabilities", class_count=1)])
    errors = {}
    wrong: dict[str, Callable[[], Any]] = {
        "model": lambda: infer(NAMES[:1], model="other"),
        "version": lambda: infer(NAMES[:1], model_version="7"),
        "image": lambda: infer(["expected.json"]),
    }
    for what, ask in wrong.items():
        try:
            ask()
        except triton.InferenceServerException as error:
            errors[what] = (error.status(), error.message())
    return {
        "live": client.is_server_live(),
        "ready": client.is_server_ready() and client.is_model_ready(MODEL),
        "other": client.is_model_ready("other"),
        "server": client.get_server_metadata(),
        "model": client.get_model_metadata(MODEL),
        "config": client.get_model_config(MODEL)["name"],
        "top": top.as_numpy("probabilities").item().decode(),
        "errors": errors,
    }


async def ask_with_kserve() -> dict[str, Any]:
    """One photo a request, as binary and as base64 in JSON in turns."""
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        for number, name in enumerate(NAMES):
            request: Any
            if number % 2:
                text = base64.b64encode((FOLDER / name).read_bytes()).decode()
                tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [text]}
                request = {"inputs": [tensor]}
            else:
                binary = InferInput("image", [1], "BYTES")
                binary.set_data_from_numpy(read([name]), binary_data=True)
                request = InferRequest(MODEL, [binary])
            answer = await client.infer(URL, request, model_name=MODEL)
            outputs = {output.name: output.as_numpy() for output in answer.outputs}
            compare("kserve", [name], outputs["classes"], outputs["probabilities"])
        return {
            "live": await client.is_server_live(URL),
            "ready": await client.is_server_ready(URL) and await client.is_model_ready(URL, MODEL),
        }


told = {"triton": ask_with_triton(), "kserve": asyncio.run(ask_with_kserve())}
ServerMetadataResponse.model_validate(told["triton"]["server"])
ModelMetadataResponse.model_validate(told["triton"]["model"])
print(json.dumps({"told": told, "counts": counts, "differ": differ}))
