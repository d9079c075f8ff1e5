"""Single faults of the reference, which show only with the model of 1 GB."""

from tests.selftest.edits import Edit, all_of, replaces
from tests.selftest.faults import Fault, criteria

_RUNNER, _STARTUP = "service/inference_runner.py", "service/startup.py"


def _form(name: str) -> Edit:
    """Return an edit that serves a form of the model that reads all weights."""
    return replaces(
        "service.toml",
        'build = ["{python}", "-m", "challenges.catalogue"]\n'
        'artifact = "{root}/artifacts/catalogue"\n'
        'weights = ["screened/*"]\n',
        f'build = ["{{python}}", "-m", "service.artifact", "build", "--forms", "{name}",\n'
        '    "--architecture", "efficientnet_lite0", "--name", "catalogue",\n'
        '    "--weights", "{model}/weights.safetensors",\n'
        '    "--labels", "{model}/labels.txt", "--output", "{artifact}"]\n'
        'artifact = "artifacts/own"\n'  # where the container file's ignore file lets it in
        'weights = ["*.onnx"]\n',
    )


REFERENCE_MUTANTS = [
    Fault(
        "no-batching",
        "reads all weights for each image, and runs each alone",
        all_of(
            _form("onnx-int8"),
            replaces(
                _RUNNER,
                "        self.layout = layout\n",
                "        layout = Layout(layout.workers, layout.lanes, max_batch=1)\n"
                "        self.layout = layout\n",
            ),
        ),
        criteria("load"),
        criteria("memory"),  # the runtime holds packed weights in addition to the file's
        base="reference",
    ),
    Fault(
        "fp32-only",
        "serves the weights in 32 bits",
        _form("onnx-fp32"),
        criteria("load"),
        base="reference",
    ),
    Fault(
        "two-copies",
        "keeps a second copy of the weights in memory",
        replaces(
            _STARTUP,
            "        engine = load(settings.threads or 1)\n",
            "        engine = load(settings.threads or 1)\n"
            "        engine.spare = load(settings.threads or 1)\n",
        ),
        criteria("memory"),
        base="reference",
    ),
]
