"""SECURITY.md names a test for each promise."""

import re

from service.settings import ROOT


def test_each_promise_names_tests_that_exist() -> None:
    rows = re.findall(r"^\| ([A-Z`\d].*?) \| (.*) \|$", (ROOT / "SECURITY.md").read_text(), re.M)
    assert len(rows) > 15
    for promise, tests in rows:
        links = re.findall(r"\[(test_\w+)\]\((tests/[\w/]+\.py)\)", tests)
        assert links, promise
        for name, path in links:
            assert f"def {name}(" in (ROOT / path).read_text(), promise
