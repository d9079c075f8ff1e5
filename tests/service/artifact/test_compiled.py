"""Compiling a bundle's bf16 form for a device. tests/service/gpu runs what was compiled."""

import pytest

from service.artifact import compiled
from service.artifact.verify import Bundle
from service.errors import OperatorError


def test_only_a_bundle_with_bf16_is_compiled(bundle: Bundle) -> None:
    with pytest.raises(OperatorError, match="--forms eager,bf16"):
        compiled.compile_bundle(bundle.path, "cpu")
