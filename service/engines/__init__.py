"""The forms in which a model can be served, and the engine that runs each.

Each form has a small adapter behind one interface (`base.Engine`). An adapter is imported only when
its form is served: with an ONNX form, torch is never imported. How a form is made is defined in
`service.artifact.exporters`.
"""

import importlib

from service.engines.base import Engine, File, Form

_ONNX_RUNTIME = "service.engines.onnx_runtime"
_SHARED = ("numpy", "pillow")
SCREENED = "onnx-int8-screened"
BF16 = "bf16"

FORMS = {
    form.name: form
    for form in (
        Form("eager", "weights.safetensors", "fp32", "service.engines.eager",
             (*_SHARED, "torch", "torchvision", "safetensors"), runs_model_definition=True),
        Form("torchscript", "model.torchscript.pt", "fp32", "service.engines.torchscript",
             (*_SHARED, "torch")),
        Form("exported-program", "model.pt2", "fp32", "service.engines.exported_program",
             (*_SHARED, "torch")),
        Form("onnx-fp32", "model.onnx", "fp32", _ONNX_RUNTIME, (*_SHARED, "onnxruntime")),
        Form("onnx-int8", "model.int8.onnx", "int8", _ONNX_RUNTIME, (*_SHARED, "onnxruntime")),
        Form(SCREENED, "screened/model.onnx", "int8", _ONNX_RUNTIME, (*_SHARED, "onnxruntime")),
        Form(BF16, "model.bf16.pt2", "bf16", "service.gpu.engine",
             (*_SHARED, "torch"), planner="service.gpu.plan"),
    )
}  # fmt: skip
"""Every form by its name, the reference (eager fp32) first."""
STANDARD_FORMS = tuple(name for name in FORMS if name not in (SCREENED, BF16))
"""The default forms of a bundle. A screened classifier pays where there are so many classes that
reading its weights is most of the work; bf16 pays on a GPU."""


def load_engine(form: Form, file: File, device: str, threads: int) -> Engine:
    """Load a form. Deserialising a file may run code: take it from a verified `Bundle`.

    Args:
        form: what to load.
        file: its file in the bundle.
        device: "cpu" or "cuda".
        threads: computing threads on a CPU.
    """
    if form.needs_torch:
        from service.engines.torch_versions import check_torch_pair

        check_torch_pair()
    engine: Engine = importlib.import_module(form.adapter).load(file, device, threads)
    return engine
