"""The manifest: the SHA-256 of every file of an artifact, and a file with its own.

A service that loads a damaged file answers with nonsense, and looks healthy. So nothing of an
artifact is opened before the hash of every file was compared.

`sha256` is given, as an example.
"""

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
    """Write the manifest of all other files, and then the manifest's own digest.

    1. MANIFEST: JSON, {"labels.txt": "9f86d0…", …}, the digest of each file in the folder but
       MANIFEST and OWN. `artifact.iterdir()` gives the files, `path.name` is a file's name.
    2. OWN: the digest of MANIFEST, as text, nothing else. Who guards the list? This does.

    So far the list is empty.
    """
    (artifact / MANIFEST).write_text("{}", "utf-8")


def verify(artifact: Path) -> None:
    """Hash every file, the manifest first. ValueError: one was changed, or is missing.

    The message names the file: the engineer on call must know which one to bring again.
    Python's own FileNotFoundError names it, too, and is as good.

    So far everything is taken for right.
    """
