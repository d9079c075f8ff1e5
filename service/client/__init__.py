"""The client: `client.py` for Python, `model-service predict photo.jpg …` for the command line.

It needs the package httpx2, which the service itself does not.
"""

import sys

NEEDS = "error: the client needs httpx2: .venv/bin/python -m pip install httpx2"


def serve_or_predict() -> None:
    """Run the command `model-service`: serve, or ask a service if its first word is "predict"."""
    if sys.argv[1:2] != ["predict"]:
        from service.inference_service import main as serve

        serve()
        return
    try:
        from service.client.__main__ import main as predict
    except ModuleNotFoundError as error:
        if error.name != "httpx2":
            raise
        sys.exit(NEEDS)
    sys.exit(predict(sys.argv[2:]))
