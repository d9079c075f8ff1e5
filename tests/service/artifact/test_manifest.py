"""A manifest that contradicts itself, or is of another version, is refused."""

import json
import re
from pathlib import Path

import pytest

from service.artifact.manifest import MANIFEST
from service.artifact.verify import verify
from service.errors import OperatorError
from tests.service.artifact.test_verify import rewrite_manifest


def test_manifest_of_another_version(bundle_copy: Path) -> None:
    rewrite_manifest(bundle_copy, schema_version=2)
    with pytest.raises(OperatorError, match="does not fit this version of the service: schema_ver"):
        verify(bundle_copy)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("forms", "eager", "file"), "../eager", "forms.eager.file is not among the files"),
        (("forms", "eager", "golden"), {}, "forms.eager.golden is empty"),
        (("forms", "eager", "golden"), {"../secret": {1: 0.5}}, "photo ../secret is not among"),
        (("forms", "eager", "golden_tolerance"), 5, "golden_tolerance"),
        (("forms", "tensorrt"), None, "tensorrt"),
        (("labels",), ["cat", "dog"], "has no label"),
        (("output", "shape"), ["batch", 7], "there is not one label a class"),
        (("default_form",), "none", "default form none is not there"),
        (("files", "code/preprocessing.py"), None, "code/ is incomplete"),
    ],
)
def test_manifest_that_contradicts_itself(
    bundle_copy: Path, path: tuple[str, ...], value: object, words: str
) -> None:
    manifest = json.loads((bundle_copy / MANIFEST).read_text())
    place = manifest
    for name in path[:-1]:
        place = place[name]
    if path == ("forms", "tensorrt"):
        value = place["eager"]
    place[path[-1]] = value
    if value is None:
        del place[path[-1]]
    rewrite_manifest(bundle_copy, **manifest)
    with pytest.raises(OperatorError, match=re.escape(words)):
        verify(bundle_copy)
