"""Compare the answers of two running services to the same photos."""

import http.client
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from service.artifact.verify import read_bundle
from service.errors import OperatorError

Address = tuple[str, int]
"""Host and port."""
Photos = Mapping[str, bytes]
"""Image files by a name for the operator."""
_TIMEOUT_S = 60.0
_DEADLINE = {"X-Deadline-Ms": "60000"}
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Comparison:
    """How much two services agree."""

    photos: int
    """Photos that at least one of the two answered."""
    agreed: int
    """Photos to which both give the same first class, by its label."""
    difference: float
    """Largest difference of a probability, of the labels that both name for a photo."""
    differing: Sequence[str]
    """A phrase for each photo on which they differ."""

    @property
    def agreement(self) -> float:
        """Share of the photos to which both give the same first class, 0–1; 0 without photos."""
        return self.agreed / self.photos if self.photos else 0.0

    def __str__(self) -> str:
        """Return the findings in one line."""
        line = (
            f"same first class on {self.agreed} of {self.photos} photos ({self.agreement:.2%}), "
            f"largest difference of a probability {self.difference:.3f}"
        )
        if not self.differing:
            return line
        more = "; …" if len(self.differing) > _MOST_NAMED else ""
        return f"{line}; {'; '.join(self.differing[:_MOST_NAMED])}{more}"


def collect_photos(artifact: Path, digest: str, folder: str | None) -> dict[str, bytes]:
    """Return the golden photos of a bundle, and the files of a folder.

    Raises:
        OperatorError: the bundle was changed; the folder cannot be read, or is empty.
    """
    bundle = read_bundle(artifact, digest)
    golden = sorted({name for form in bundle.manifest.forms.values() for name in form.golden})
    photos = {name: bundle.read(name) for name in golden}
    if folder is None:
        return photos
    try:
        paths = [path for path in sorted(Path(folder).iterdir()) if path.is_file()]
        own = {str(path): path.read_bytes() for path in paths}
    except OSError as error:
        raise OperatorError(f"--photos {folder}: {error.strerror}. Name another one") from None
    if not own:
        raise OperatorError(f"--photos {folder}: the folder is empty. Name another one")
    return photos | own


def compare(old: Address, new: Address, photos: Photos, api_key: str | None = None) -> Comparison:
    """Send each photo to both services, with the key, if there is one, in `X-Api-Key`.

    Raises:
        OperatorError: one of them does not answer at all.
    """
    headers = _DEADLINE if api_key is None else {**_DEADLINE, "X-Api-Key": api_key}
    count, agreed, difference = 0, 0, 0.0
    differing = []
    for name, data in photos.items():
        before, after = _ask(old, data, headers), _ask(new, data, headers)
        if before is None and after is None:
            continue  # it is no photo
        count += 1
        first, second = (next(iter(one)) if one else "refused" for one in (before, after))
        agreed += first == second
        if first != second:
            differing.append(f"{name}: {first} → {second}")
        for label, probability in (before or {}).items():
            difference = max(difference, abs(probability - (after or {}).get(label, probability)))
    return Comparison(count, agreed, difference, differing)


def _ask(address: Address, photo: bytes, headers: Mapping[str, str]) -> dict[str, float] | None:
    """Return the probability by label, the largest first; None if the photo is refused."""
    connection = http.client.HTTPConnection(*address, timeout=_TIMEOUT_S)
    try:
        connection.request("POST", "/predict", photo, headers)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise OperatorError(f"no answer from port {address[1]} to compare: {error!r}") from None
    finally:
        connection.close()
    if answer.status in (413, 415, 422):
        return None
    if answer.status != 200:
        advice = ". Name a file with a key (--api-key-file)" if answer.status == 401 else ""
        raise OperatorError(f"port {address[1]} answered {answer.status}: {body[:200]!r}{advice}")
    answers: dict[str, float] = {}
    for one in json.loads(body)["predictions"]:
        answers.setdefault(one["label"], one["probability"])
    return answers
