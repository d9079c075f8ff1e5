"""The manifest of an artifact bundle: what the model is, and what it was validated with."""

from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from service.engines import FORMS
from service.preprocessing import PreprocessingSettings

MANIFEST = "manifest.json"
MANIFEST_DIGEST = "manifest.json.sha256"
"""SHA-256 of the manifest, in the format of `sha256sum` (the manifest cannot hold its own)."""
SIGNATURE = "manifest.json.sig"
"""A signature of the manifest, if somebody signed it; see `service.artifact.signing`."""
CODE_FOLDER = "code"
PREPROCESSING, MODEL_DEFINITION = (
    f"{CODE_FOLDER}/{name}" for name in ("preprocessing.py", "model_definition.py")
)
"""The source files that belong to a model, by their path in the bundle."""
GOLDEN_FOLDER = "golden"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class File(_Part):
    """One file of the bundle."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)


class Architecture(_Part):
    """The network that the weights are for, and their source."""

    name: str
    source: str
    licence: str
    mean: tuple[float, float, float]
    """Normalisation per channel, in units of a pixel (0–255). It is part of the graph."""
    std: tuple[float, float, float]
    arguments: dict[str, Any] = {}
    """Those of torchvision's builder, beside the number of classes."""
    activation: Literal["softmax", "sigmoid", "none"] = "softmax"
    colour_order: Literal["RGB", "BGR"] = "RGB"


class TensorSpecification(_Part):
    """The model's input or output."""

    name: str
    dtype: str
    shape: tuple[str | int, ...]
    meaning: str


class Environment(_Part):
    """The environment in which the model was validated."""

    python: str
    """Major and minor version: "3.11"."""
    system: str
    machine: str
    """Processor architecture: "x86_64"."""
    packages: dict[str, str]


class Parity(_Part):
    """How close a form comes to eager fp32, measured over crops of real photos at the build."""

    crops: int
    sure_crops: int
    """Crops for which eager fp32 gives its first class a probability above 0.3."""
    top1_agreement: float
    """Share of all crops with the same first class, 0–1."""
    top1_agreement_sure: float
    """The same over the sure crops."""
    largest_probability_difference: float
    bound: str
    """What the build demanded of this form, in words."""
    device: str = "cpu"
    """Where the form computed: "cpu" or "cuda"."""
    largest_logit_difference: float | None = None
    """Largest difference of a logit, over all classes and crops; for bf16 only."""
    logit_spread: float | None = None
    """Standard deviation of the logits within a crop, the measure for that difference."""
    reference: str = "eager fp32"
    """What the form was compared with."""


class FormRecord(_Part):
    """One form of the model in the bundle."""

    file: str
    precision: str
    parity: Parity
    milliseconds_per_image: float
    """Median time of a batch of one on the building machine; compare within one manifest only."""
    golden: dict[str, dict[int, float]]
    """For each golden photo, the five most probable classes and their probabilities."""
    golden_tolerance: float = Field(gt=0, le=0.05)
    """Largest difference of a probability at which a replay counts as the same model."""


class Origin(_Part):
    """A bundle that was validated again, in another environment (`service.artifact.validate`)."""

    digest: str
    environment: Environment


class Manifest(_Part):
    """All that must match, so that a service runs the model that was validated."""

    schema_version: Literal[1]
    name: str
    version: str
    built_at: datetime
    architecture: Architecture
    input: TensorSpecification
    output: TensorSpecification
    preprocessing: PreprocessingSettings
    labels: tuple[str, ...]
    """Label of each class, by class id."""
    environment: Environment
    validated_from: tuple[Origin, ...] = ()
    """The bundle that was built, and those between it and this one."""
    default_form: str
    default_form_reason: str
    forms: dict[str, FormRecord]
    left_out: dict[str, str] = {}
    """Why a form that was asked for is not there, with its figures."""
    held_against: str = ""
    """The engineer's own answers that the model was compared with, or what was assumed instead."""
    files: dict[str, File]
    """Every file except the manifest and its digest, by its path in the bundle."""

    @model_validator(mode="after")
    def _is_coherent(self) -> Self:
        """Check what the rest of the service assumes about a manifest."""
        for name, record in self.forms.items():
            _demand(name in FORMS, f"form {name} is none of {', '.join(FORMS)}")
            _demand(record.file in self.files, f"forms.{name}.file is not among the files")
            _demand(len(record.golden) > 0, f"forms.{name}.golden is empty")
            for photo, expected in record.golden.items():
                _demand(photo in self.files, f"golden photo {photo} is not among the files")
                _demand(len(expected) > 0, f"golden photo {photo} expects nothing")
                _demand(max(expected) < len(self.labels), f"a class of {photo} has no label")
        side, settings = self.input.shape[1], self.preprocessing
        _demand(0 < settings.crop <= settings.resize, "preprocessing.crop is not within resize")
        _demand(settings.crop == side, "preprocessing.crop is not the side of the input")
        _demand(self.default_form in self.forms, f"default form {self.default_form} is not there")
        _demand(self.output.shape[-1] == len(self.labels), "there is not one label a class")
        _demand(code_files().keys() <= self.files.keys(), "code/ is incomplete")
        return self


def _demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)


def digest_line(digest: str) -> bytes:
    """Return the exact content of `MANIFEST_DIGEST`, which `sha256sum --check` reads too."""
    return f"{digest}  {MANIFEST}\n".encode()


def code_files() -> dict[str, Path]:
    """Return the paths of the running source files, by the path of their copy in a bundle."""
    import service

    folder = Path(service.__file__).parent
    return {name: folder / Path(name).name for name in (PREPROCESSING, MODEL_DEFINITION)}
