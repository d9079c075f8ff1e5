"""How the reference meets each criterion: a few sentences, and the places in its code."""

import ast
from dataclasses import dataclass

from challenges.minimal_service.grading.verdict import CriterionId
from learner.language import _
from learner.paths import ROOT


@dataclass(frozen=True, slots=True)
class Solution:
    """The reference's way for one criterion."""

    text: str
    places: tuple[str, ...]
    """A file of the repository each, and after a colon the name in it, if it is Python."""


def solutions() -> dict[CriterionId, Solution]:
    """All of them, in the learner's language."""
    return {
        "structure": Solution(
            _(
                "Preprocessing needs Pillow and NumPy only. The model definition holds the network "
                "and takes weights by name. The inference runner is handed an engine and a "
                "preprocess function, and owns the queue and the threads. FastAPI is imported by "
                "the service around them, not by these three."
            ),
            (
                "service/preprocessing.py:preprocess",
                "service/model_definition.py:load_weights",
                "service/inference_runner.py:InferenceRunner",
                "service/inference_service.py:create_app",
            ),
        ),
        "load-once": Solution(
            _(
                "The application is created only after the model was verified, loaded, warmed up "
                "and tried on golden photos. The port is reserved before that and listened on "
                "after it, so nobody can connect too early. Handlers only use the loaded model."
            ),
            (
                "service/inference_service.py:create_app",
                "service/startup.py:load_model",
                "service/server.py:serve",
            ),
        ),
        "artifact": Solution(
            _(
                "The build writes a bundle: the model in the form that is served, labels, "
                "preprocessing settings, the source of preprocessing and model definition, golden "
                "photos with their answers, and a manifest with the SHA-256 of every file. A "
                "start hashes every file before it opens one, and ends with one line that names "
                "what does not match."
            ),
            (
                "service/artifact/build.py:build",
                "service/artifact/manifest.py:Manifest",
                "service/artifact/verify.py:verify",
                "service/artifact/verify.py:check_code",
            ),
        ),
        "answers": Solution(
            _(
                "One preprocess function serves validation, calibration and requests. It treats "
                "orientation, colour modes and transparency, and computes only the pixels of the "
                "crop. Normalisation is part of the exported graph. What int8 costs was measured "
                "on many crops when the artifact was built. A request keeps its pixels in an "
                "object of its own."
            ),
            (
                "service/preprocessing.py:preprocess",
                "service/model_definition.py:ServingModel",
                "service/artifact/sparse.py:write_sparse",
                "service/artifact/parity.py",
            ),
        ),
        "load": Solution(
            _(
                "Fewer bytes are read. The model is int8, and after a ReLU most features of an "
                "image are nearly zero. All classes are screened by the largest features and half "
                "the bits of their weights, and the best few are computed again, well: less than "
                "an eighth of all bytes is read. What that costs was measured like any rounding. "
                "So an image needs one core from its bytes to its answer, and waits for no other. "
                "JPEGs are shrunk while they are decoded. The event loop only waits, and computing "
                "threads give way to it."
            ),
            (
                "service/artifact/sparse.py:write_sparse",
                "service/engines/sparse_onnx.py:SparseLinear",
                "service/engines/sparse_linear.c",
                "service/runner/plan.py:choose_layout",
                "service/inference_runner.py:InferenceRunner",
                "service/preprocessing.py:preprocess",
                "service/runner/admission.py:Admission",
            ),
        ),
        "availability": Solution(
            _(
                "The service keeps no state, and a start needs only the files of its artifact. On "
                "SIGTERM readiness turns false while requests are still served. Then the port is "
                "closed, the runner finishes what is inside, and the process ends with status 0."
            ),
            (
                "service/server.py:serve",
                "service/web/health.py",
                "service/inference_runner.py:InferenceRunner.close",
            ),
        ),
        "memory": Solution(
            _(
                "There is one process, and its threads share one copy of the weights, which is "
                "read from its file straight to where it stays. torch is not even imported, and no "
                "other form is loaded."
            ),
            (
                "service/engines/sparse_onnx.py:SparseOnnxEngine",
                "service/machine.py:return_freed_memory",
                "service/engines/__init__.py:load_engine",
            ),
        ),
        "packaging": Solution(
            _(
                "The container file begins with a base of a fixed digest. It installs packages by "
                "their hashes, copies code and artifact, and starts the service without a shell, "
                "as a user who is not root. A health check belongs to it."
            ),
            ("service/deploy/Containerfile", "service/deploy/requirements.txt"),
        ),
    }


def located(place: str) -> str:
    """A place with the line that its name is defined in: "service/startup.py:31 load_model".

    Raises:
        LookupError: there is no such file, or no such name in it.
    """
    file, _colon, name = place.partition(":")
    path = ROOT / file
    if not path.is_file():
        raise LookupError(f"{place}: there is no such file")
    if not name:
        return file
    scope: ast.AST = ast.parse(path.read_text(encoding="utf-8"))
    for part in name.split("."):
        scope = _definition(scope, part, place)
    assert isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    return f"{file}:{scope.lineno} {name}"


def _definition(scope: ast.AST, name: str, place: str) -> ast.AST:
    for node in ast.iter_child_nodes(scope):
        if (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            and node.name == name
        ):
            return node
    raise LookupError(f"{place}: {name} is not defined there")
