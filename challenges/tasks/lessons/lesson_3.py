"""Tasks of lesson 3: what is shipped, and how it is built."""

from challenges.tasks.catalogue import Task
from learner.language import _


def tasks() -> list[Task]:
    """The lesson's tasks, in order."""
    return [_export_onnx(), _quantise(), _manifest()]


def _export_onnx() -> Task:
    return Task(
        id="export-onnx",
        lesson=3,
        file="build_artifact.py",
        title=_("Export to ONNX"),
        ask=_(
            "Write `PixelsToFeatures.forward` and `export_features`: pixels as a photo has them go "
            "in, for any number of photos, and normalisation is inside the graph."
        ),
        minutes=15,
        seconds=180,
        hints=(
            _(
                "A graph holds the operations and the weights, and no Python. What is inside it, "
                "nobody can forget or do otherwise. So normalisation belongs into it."
            ),
            _(
                "`export_brightness`, above it, has all options. Yours has another module, other "
                "example inputs (2 × 224 × 224 × 3) and another name of the output."
            ),
            _("Nearly the code:")
            + """
    def forward(self, pixels):
        images = pixels.permute(0, 3, ..., ...).float()
        return self.network.features((images - MEAN) / ...)

    torch.onnx.export(
        PixelsToFeatures(network).eval(),
        (torch.zeros(2, 224, 224, 3, dtype=...),),
        path,
        dynamo=True,
        input_names=[...],
        output_names=[...],
        dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
        external_data=False,
        verbose=False,
    )""",
        ),
    )


def _quantise() -> Task:
    return Task(
        id="quantise",
        lesson=3,
        file="quantise.py",
        title=_("Eight bits for the features"),
        ask=_(
            "Write `quantise` with ONNX Runtime's `quantize_static`. It looks at real photos to "
            "choose the range of each value; the first layers stay float."
        ),
        minutes=15,
        seconds=240,
        hints=(
            _(
                "With 8 bits there are 256 numbers. The range that they share out must fit: photos "
                "show it for the values in between, and each channel of weights has its own."
            ),
            _(
                "One call. Before it, make a list of the names of all nodes with the `op_type` "
                '"Conv", and cut it off after FLOAT_LAYERS.'
            ),
            _("Nearly the code:")
            + """
    layers = [node.name for node in onnx.load(fp32).graph.node if node.op_type == ...]
    quantize_static(
        fp32,
        int8,
        Batches(...),
        op_types_to_quantize=["Conv", "Clip", "Add"],
        nodes_to_exclude=layers[:...],
        activation_type=QuantType.QUInt8,
        weight_type=QuantType....,
        per_channel=...,
    )""",
        ),
    )


def _manifest() -> Task:
    return Task(
        id="manifest",
        lesson=3,
        file="manifest.py",
        title=_("A manifest that notices one flipped bit"),
        ask=_(
            "Write `write_manifest` and `verify`: the SHA-256 of each file, and a digest of the "
            "manifest itself. Whatever was changed is refused, and the message names the file."
        ),
        minutes=15,
        hints=(
            _(
                "A digest is a fingerprint: one bit of the file changes all of it. The manifest "
                "is a file, too, so it needs a fingerprint that lies elsewhere."
            ),
            _(
                "Write the manifest first, then its digest. Verify in the same order: the "
                "manifest against its digest, then each file that it names."
            ),
            _("Nearly the code:")
            + """
    digests = {path.name: sha256(path) for path in artifact.iterdir() if path.name not in (...)}
    (artifact / MANIFEST).write_text(json.dumps(...), "utf-8")
    (artifact / OWN).write_text(sha256(...), "utf-8")

    if (artifact / OWN).read_bytes() != sha256(artifact / MANIFEST).encode():
        raise ValueError(f"{MANIFEST} or {OWN} was changed")
    for name, expected in json.loads((artifact / MANIFEST).read_bytes()).items():
        if not (artifact / name).is_file():
            raise ValueError(...)
        if sha256(artifact / name) != ...:
            raise ValueError(...)""",
        ),
    )
