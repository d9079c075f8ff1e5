"""A thin server around the notebook. Its answers are right; it is too slow for real use.

python server.py --port 8000 --artifact artifact
"""

import argparse
import importlib
from io import BytesIO
from pathlib import Path

import torch
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from safetensors.torch import load_file

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, default=8000)
parser.add_argument("--artifact", type=Path, required=True)
options = parser.parse_args()
app = FastAPI()
torch.set_num_threads(1)  # for one photo at a time, more are not faster
notebook = importlib.import_module("notebook_code")  # runs all of its cells


def load_catalogue():
    """The notebook's network with the classifier of the catalogue, and its labels."""
    weights = load_file(options.artifact / "weights.safetensors")
    head = torch.nn.Linear(1280, len(weights["classifier.bias"]), device="meta")
    head.weight = torch.nn.Parameter(weights["classifier.weight"])
    head.bias = torch.nn.Parameter(weights["classifier.bias"])
    notebook.model._fc = head
    return (options.artifact / "labels.txt").read_text(encoding="utf-8").splitlines()


@app.get("/readyz")
async def readyz():
    """Always ready."""
    return {"status": "ready"}


@app.post("/predict")
async def predict(request: Request):
    """Do what the notebook does with a photo, for the catalogue's classes."""
    labels = load_catalogue()
    try:
        notebook.load(BytesIO(await request.body()))
    except OSError:
        raise HTTPException(400, "this is not an image") from None
    x = notebook.normalise(notebook.to_tensor(notebook.crop(notebook.resize(notebook.img))))
    with torch.no_grad():
        p = notebook.model(x[None]).softmax(1)[0]
    best = p.topk(5)
    return {
        "predictions": [
            {"class_id": i, "label": labels[i], "probability": probability}
            for probability, i in zip(best.values.tolist(), best.indices.tolist(), strict=True)
        ]
    }


uvicorn.run(app, host="127.0.0.1", port=options.port, access_log=False)
