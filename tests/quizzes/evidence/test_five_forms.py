"""Fresh processes are measured, and another outcome than the lesson's is refused."""

from typing import Any

import pytest

from quizzes.evidence import first_answer
from quizzes.evidence.five_forms import Taken, check


def test_peak_memory_is_that_of_a_python_process() -> None:
    assert 10 < first_answer.peak_mib() < 100_000


def taken(name: str, **changes: Any) -> Taken:
    """Return what a process with that form typically takes."""
    torch = name != "onnx"
    imported = {"eager": ("torch", "service.model_definition"), "onnx": ("onnxruntime",)}
    usual: dict[str, Any] = {
        "file_mb": 18.0,
        "load_ms": 1.0,
        "first_ms": 1.0,
        "steady_ms": 1.0,
        "answered_s": 3.0 if torch else 1.0,
        "peak_mib": 500.0 if torch else 150.0,
        "imported": imported.get(name, ("torch",)),
        "class_id": 967,
        "probability": 0.9,
    }
    return Taken(**{**usual, **changes})


def measured(**onnx: Any) -> dict[str, Taken]:
    return {
        "eager": taken("eager"),
        "torchscript": taken("torchscript"),
        "exported-program": taken("exported-program"),
        "onnx-fp32": taken("onnx", **onnx),
    }


def test_onnx_needs_no_torch_and_less_memory_and_time() -> None:
    check(measured())


@pytest.mark.parametrize(
    "onnx",
    [{"imported": ("torch",)}, {"peak_mib": 400.0}, {"answered_s": 2.5}, {"class_id": 1}],
    ids=lambda change: next(iter(change)),
)
def test_another_outcome_is_refused(onnx: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        check(measured(**onnx))
