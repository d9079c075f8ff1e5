"""The manifest of an artifact bundle: what the model is, and what it was validated with."""

from datetime import datetime
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from service.engines import FORMS
from service.preprocessing import PreprocessingSettings

MANIFEST = "manifest.json"
MANIFEST_DIGEST = "manifest.json.sha256"
"""SHA-256 of the manifest, in the format of `sha256sum` (the manifest cannot hold its own)."""
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
    """What the weights belong to, and where they come from."""

    name: str
    source: str
    licence: str
    mean: tuple[float, float, float]
    """Normalisation, per channel, in units of a pixel (0–255). It is inside the graph."""
    std: tuple[float, float, float]


class TensorSpecification(_Part):
    """A tensor at the model's boundary."""

    name: str
    dtype: str
    shape: tuple[str | int, ...]
    meaning: str


class Environment(_Part):
    """Where the model was validated."""

    python: str
    """Major and minor version: "3.11"."""
    system: str
    machine: str
    """Processor architecture: "x86_64"."""
    packages: dict[str, str]


class Parity(_Part):
    """How close a form comes to eager fp32, measured over real crops when it was built."""

    crops: int
    sure_crops: int
    """Crops for which eager fp32 gives its first class a probability above 0.3."""
    top1_agreement: float
    """Share of all crops with the same first class, 0–1."""
    top1_agreement_sure: float
    """The same over the sure crops."""
    largest_probability_difference: float
    bound: str
    """What the build demanded of this form."""
    device: str = "cpu"
    """Where it was measured."""
    largest_logit_difference: float | None = None
    """Of any class of any crop, where the form computes in bf16."""
    logit_spread: float | None = None
    """Standard deviation of the logits within a crop: what to hold that against."""


class FormRecord(_Part):
    """One form of the model in the bundle."""

    file: str
    precision: str
    parity: Parity
    milliseconds_per_image: float
    """Median of a batch of one on the building machine; compare within one manifest only."""
    golden: dict[str, dict[int, float]]
    """Per golden photo: the five most probable classes and their probabilities."""
    golden_tolerance: float = Field(gt=0, le=0.05)
    """Largest difference of a probability at which a replay still counts as the same model."""


class Manifest(_Part):
    """Everything that must match for a service to be the model that was validated."""

    schema_version: Literal[1] = 1
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
    default_form: str
    default_form_reason: str
    forms: dict[str, FormRecord]
    files: dict[str, File]
    """Every file of the bundle but the manifest and its digest, by its path in the bundle."""

    @model_validator(mode="after")
    def _is_coherent(self) -> Self:
        """What the rest of the service takes for granted about a manifest."""
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
    """The exact content of `MANIFEST_DIGEST`, so that `sha256sum --check` reads it too."""
    return f"{digest}  {MANIFEST}\n".encode()


def code_files() -> dict[str, Path]:
    """Return where the running code lies, by the path of its copy in a bundle."""
    import service

    folder = Path(service.__file__).parent
    return {name: folder / Path(name).name for name in (PREPROCESSING, MODEL_DEFINITION)}
