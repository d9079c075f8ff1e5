"""Change a copy of the bundle: loading it often raises no error, verifying it does."""

import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from learner.artifact import bundle
from learner.language import _
from learner.processes import Program
from quizzes.evidence import Evidence
from service.artifact.manifest import MANIFEST, MANIFEST_DIGEST, digest_line
from service.artifact.verify import sha256, verify
from service.engines import FORMS, load_engine
from service.errors import OperatorError
from service.preprocessing import preprocess

MODEL = FORMS["onnx-fp32"].file
CLASS = "banana"
Tamper = Callable[[Path], None]
"""A function that changes a copy of the bundle."""


@contextmanager
def copy_of_bundle(tamper: Tamper | None = None) -> Iterator[Path]:
    """Yield a copy of the bundle in a temporary folder, changed by `tamper`."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "bundle"
        shutil.copytree(bundle().path, copy)
        if tamper is not None:
            tamper(copy)
        yield copy


def flip_bit(path: Path, byte: int, bit: int) -> None:
    """Invert one bit of a file: bit 0–7 of the byte at that offset."""
    with path.open("r+b") as file:
        file.seek(byte)
        value = file.read(1)[0]
        file.seek(byte)
        file.write(bytes([value ^ 1 << bit]))


def replace_text(path: Path, old: str, new: str) -> None:
    """Replace the first `old` in a text file, as an editor would."""
    text = path.read_text("utf-8")
    assert old in text, f"{path.name} contains {old}"
    path.write_text(text.replace(old, new, 1), "utf-8")


def sign_again(copy: Path) -> None:
    """Record the digest of a changed manifest, like an attacker who replaces the whole bundle."""
    (copy / MANIFEST_DIGEST).write_bytes(digest_line(sha256(copy / MANIFEST)))


def refusal(tamper: Tamper) -> str | None:
    """Verify a copy changed by `tamper`; return the error in one line, None if it is accepted."""
    with copy_of_bundle(tamper) as copy:
        return said_of(copy)


def said_of(copy: Path, expected_digest: str | None = None) -> str | None:
    """Verify a folder; return the error in one line, None if it is accepted.

    Args:
        copy: the folder.
        expected_digest: SHA-256 of the manifest, from a trusted source.
    """
    try:
        verify(copy, expected_digest)
    except OperatorError as error:
        return shorten(str(error), copy)
    return None


def start_with(tamper: Tamper) -> tuple[int | None, list[str]]:
    """Start the real service with a changed copy; return its exit status and its output."""
    with copy_of_bundle(tamper) as copy:
        command = [sys.executable, "-m", "service.inference_service", "--port", "0"]
        with Program([*command, "--artifact", str(copy)]) as service:
            status = service.wait(60)
        # The process has ended, so all of its lines have been read.
        return status, [shorten(line.text, copy) for line in service.lines]


def shorten(text: str, copy: Path) -> str:
    """Remove what differs between machines: the folder, and the digits of digests."""
    return re.sub(r"[0-9a-f]{64}", "…", text.replace(f"{copy}/", "").replace(str(copy), "bundle"))


def loads_without_error(seed: int) -> bool:
    """Flip a random bit of the model; return whether ONNX Runtime still loads it."""
    random = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(shutil.copy(bundle().path / MODEL, folder))
        flip_bit(path, int(random.integers(path.stat().st_size)), int(random.integers(8)))
        try:
            load_engine(FORMS["onnx-fp32"], path, "cpu", 1)
        except Exception:  # ONNX Runtime raises many types
            return False
    return True


def top_bit_of_a_bias(path: Path) -> tuple[int, int]:
    """Find the highest exponent bit of the bias of `CLASS` in an ONNX file; return byte and bit.

    Setting it makes the number about 10³⁸ times as large.
    """
    import onnx  # here, because it is slow to import and only one cell of a lesson needs it

    graph = onnx.load(path).graph
    tensors = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    bias = tensors["model.classifier.bias"]
    number = bundle().manifest.labels.index(CLASS)
    assert 0 < bias[number] < 2, "positive, and its highest exponent bit is off"
    start = path.read_bytes().find(bias.tobytes())
    assert start >= 0, "the bias is stored as it is"
    return start + number * bias.itemsize + 3, 6  # little-endian: the last byte has the sign first


def first_classes(model: Path) -> dict[str, tuple[str, float]]:
    """Return golden photo → label and probability of the most probable class."""
    whole = bundle()
    engine = load_engine(FORMS["onnx-fp32"], model, "cpu", 1)
    answers = {}
    for photo in whole.manifest.forms["onnx-fp32"].golden:
        pixels = preprocess((whole.path / photo).read_bytes(), whole.manifest.preprocessing)
        (probabilities,) = engine(pixels[None])
        best = int(probabilities.argmax())
        answers[Path(photo).stem] = (whole.manifest.labels[best], float(probabilities[best]))
    return answers


def run() -> Evidence:
    """Flip one bit of a copy: it loads, answers wrongly, and is refused by its hash."""
    byte, bit = top_bit_of_a_bias(bundle().path / MODEL)
    with copy_of_bundle() as copy:
        before = first_classes(copy / MODEL)
        flip_bit(copy / MODEL, byte, bit)
        after = first_classes(copy / MODEL)
        refused = said_of(copy)
    wrong = sum(after[photo][0] != before[photo][0] for photo in before)
    assert wrong == len(before), "one bit changes every answer"
    assert refused is not None, "the hash refuses the copy"
    return Evidence(
        shows=_(
            "With one bit flipped the model loaded without an error, and {wrong} of {all} photos "
            "became a {label}. The hash of the file shows the change before the file is opened."
        ).format(wrong=wrong, all=len(before), label=CLASS),
        values={_("photos"): len(before), _("with a wrong answer"): wrong},
        varies=_("one bit of the model's file; runtime and photos are the same."),
    )
