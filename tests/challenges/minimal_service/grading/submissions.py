"""Submissions for the tests: the default bundle, and small fakes that start in no time."""

import shutil
import textwrap
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from challenges.minimal_service.grading.context import Grade
from challenges.minimal_service.grading.sandbox.process import ServiceFault
from challenges.minimal_service.grading.submission.running import RunningService
from challenges.minimal_service.grading.submission.submission import Submission, open_submission
from challenges.minimal_service.grading.verdict import CriterionResult
from learner.errors import LearnerError
from service.settings import DEFAULT_ARTIFACT

SERVER = '''
"""A small right service: its answer depends on the image and on its weights."""
import argparse, hashlib, json, os, signal, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import inference_runner

options = argparse.ArgumentParser()
options.add_argument("--port", type=int)
options.add_argument("--artifact", type=Path)
options = options.parse_args()
READY, TYPE = b"ready", "text/plain"
{before}

class Handler(BaseHTTPRequestHandler):
    def answer(self, status, body, kind="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        {get}
        self.answer(200, READY, TYPE)

    def do_POST(self):
        image = self.rfile.read(int(self.headers["Content-Length"]))
        {post}
        self.answer(200, json.dumps(runner.predict(image)).encode())

    def log_message(self, *_):
        pass

runner = inference_runner.Runner(options.artifact)
server = ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
{ready}
print("ready", flush=True)
server.serve_forever()
'''
PREPROCESSING = '''
"""Bytes of an image to a number."""
import hashlib

def preprocess(image):
    return hashlib.sha256(image).digest()[0]
'''
MODEL = '''
"""What the weights mean."""

def forward(weights, pixels):
    return (weights[0] + pixels) % 1000
'''
RUNNER = '''
"""Verifies the artifact, loads it once, answers."""
import hashlib
import sys
from pathlib import Path

import model_definition
import preprocessing

class Runner:
    def __init__(self, artifact):
        sums = (artifact / "SHA256SUMS").read_text().splitlines()
        own = hashlib.sha256("".join(sums[1:]).encode()).hexdigest()
        if sums[0] != own:
            sys.exit("error: SHA256SUMS was changed")
        for line in sums[1:]:
            digest, name = line.split("  ")
            path = artifact / name
            if not path.exists() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
                sys.exit(f"error: {name} was changed")
        self.weights = (artifact / "weights.bin").read_bytes()

    def predict(self, image):
        class_id = model_definition.forward(self.weights, preprocessing.preprocess(image))
        ids = [class_id, *range(1000, 1004)]
        return {"predictions": [
            {"class_id": i, "label": str(i), "probability": 0.2} for i in ids]}
'''
BUILD = '''
"""Makes the artifact."""
import hashlib, sys
from pathlib import Path

model, artifact = map(Path, sys.argv[1:])
artifact.mkdir()
(artifact / "weights.bin").write_bytes((model / "weights.safetensors").read_bytes())
(artifact / "labels.txt").write_text("one\\ntwo\\n")
sums = [f"{hashlib.sha256((artifact / name).read_bytes()).hexdigest()}  {name}"
        for name in ("weights.bin", "labels.txt")]
own = hashlib.sha256("".join(sums).encode()).hexdigest()
(artifact / "SHA256SUMS").write_text("\\n".join([own, *sums]))
print("built")
'''
TOML = """
start = ["{python}", "server.py", "--port", "{port}", "--artifact", "{artifact}"]
build = ["{python}", "build_artifact.py", "{model}", "{artifact}"]
artifact = "artifact"
weights = ["weights.bin"]
[modules]
preprocessing = "preprocessing.py"
model_definition = "model_definition.py"
inference_runner = "inference_runner.py"
"""
WEIGHT_BYTES = 400_000
Make = Callable[..., Submission]


def write_fake(
    folder: Path,
    *,
    before: str = "",
    get: str = "pass",
    post: str = "pass",
    ready: str = "",
    toml: str = TOML,
    **files: str,
) -> Path:
    """Write a right service of the standard library alone, with code put in to make it wrong.

    Args:
        folder: is created.
        before: runs at its start.
        get: runs in the handler of GET.
        post: runs in the handler of POST.
        ready: runs last before it serves.
        toml: service.toml.
        files: module name → source, instead of the right one.
    """
    folder.mkdir(parents=True)
    sources = {
        "preprocessing": PREPROCESSING,
        "model_definition": MODEL,
        "inference_runner": RUNNER,
        "build_artifact": BUILD,
    } | files
    for name, source in sources.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(source))
    server = SERVER
    for name, code in (("before", before), ("get", get), ("post", post), ("ready", ready)):
        indent = "        " if name in ("get", "post") else ""
        code = textwrap.indent(textwrap.dedent(code).strip(), indent).strip()
        server = server.replace("{" + name + "}", code)
    (folder / "server.py").write_text(server)
    (folder / "service.toml").write_text(toml)
    return folder


def write_default(folder: Path) -> Path:
    """Write the reference service with its own copy of the default bundle."""
    folder.mkdir(parents=True)
    shutil.copytree(DEFAULT_ARTIFACT, folder / "artifact")
    toml = TOML.replace('"server.py"', '"-m", "service.inference_service", "--no-access-log"')
    toml = "\n".join(line for line in toml.splitlines() if not line.startswith("build"))
    toml = toml.replace("weights.bin", "model.int8.onnx").replace(
        "[modules]", 'include = ["service"]\n[modules]'
    )
    for name in ("preprocessing", "model_definition", "inference_runner"):
        toml = toml.replace(f'"{name}.py"', f'"service/{name}.py"')
    (folder / "service.toml").write_text(toml)
    return folder


def write_model(folder: Path) -> Path:
    """Write a "research model" for the fakes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "weights.safetensors").write_bytes(bytes(range(256)) * (WEIGHT_BYTES // 256))
    (folder / "labels.txt").write_text("one\ntwo\n")
    return folder


def opened(source: Path, place: Path, say: Callable[[str], None] = lambda _: None) -> Submission:
    """Open a submission in a grade's folder at `place`."""
    place.mkdir(parents=True)
    return open_submission(str(source), place, write_model(place.parent / "model"), say, 60)


def grade_of(submission: Submission, quick: bool = True) -> Grade:
    """Return the state of a grade of a submission."""
    model = submission.folder.parent.parent / "model"
    return Grade(model=model, quick=quick, say=lambda _: None, seed=20_26)


def failed(result: CriterionResult) -> dict[str, str]:
    """Return the texts of the failed checks, by id."""
    return {check.id: check.text for check in result.checks if check.passed is False}


def find_fault(submission: Submission, seconds: float = 20, **options: int) -> ServiceFault:
    """Return what is wrong with a service; nothing of it may be left."""
    with RunningService(submission, **options) as service:  # type: ignore[arg-type]
        with pytest.raises(ServiceFault) as raised:
            service.wait_until_ready(seconds)
        assert_gone(service)
    return raised.value


def assert_gone(service: RunningService) -> None:
    """Check that nothing of a service is left."""
    assert service.pids() == []
    assert not psutil.pid_exists(service.group)
    assert not service.home.exists()


def is_gone(pid: int) -> bool:
    """Return whether a process has ended."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def find_refusal(folder: Path) -> str:
    """Return what a learner reads who wants that folder graded."""
    place = folder.parent / "grade"
    place.mkdir(exist_ok=True)
    with pytest.raises(LearnerError) as raised:
        open_submission(str(folder), place, write_model(folder.parent / "model"), print, 20)
    return str(raised.value)
