"""The manifest: the SHA-256 of every file of an artifact, and a file with its own."""

import hashlib
import json
from pathlib import Path

MANIFEST, OWN = "manifest.json", "manifest.json.sha256"


def sha256(path: Path) -> str:
    """The digest of a file; it is read in pieces, so a large file needs no memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# task: manifest
def write_manifest(artifact: Path) -> None:
    """Write the manifest of all other files, and then the manifest's own digest."""
    files = sorted(path for path in artifact.iterdir() if path.name not in (MANIFEST, OWN))
    digests = {path.name: sha256(path) for path in files}
    (artifact / MANIFEST).write_text(json.dumps(digests, indent=1), "utf-8")
    (artifact / OWN).write_text(sha256(artifact / MANIFEST), "utf-8")


def verify(artifact: Path) -> None:
    """Hash every file, the manifest first. ValueError: one was changed, or is missing."""
    if (artifact / OWN).read_bytes() != sha256(artifact / MANIFEST).encode():
        raise ValueError(f"{MANIFEST} or {OWN} was changed: they do not belong together")
    for name, expected in json.loads((artifact / MANIFEST).read_bytes()).items():
        if not (artifact / name).is_file():
            raise ValueError(f"{name} is missing")
        if (found := sha256(artifact / name)) != expected:
            raise ValueError(f"{name} was changed: SHA-256 {found}, expected {expected}")
