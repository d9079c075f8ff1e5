"""What is collected from lessons, figures and code."""

import ast
import json
from pathlib import Path

import pytest

from authoring.translations.documents import cell_source
from authoring.translations.glossary import INTRODUCTION
from authoring.translations.messages import SourceError
from authoring.translations.sources import Workshop, code_messages, collect, lesson_messages
from tests.authoring.translations.a_workshop import (
    build,
    cell,
    notebook,
)


def test_every_text_in_code_can_be_collected() -> None:
    """Every text is a literal: one that is built at run time would be in no catalogue."""
    workshop = Workshop.of_repository()
    sources = {path.name: path.read_text() for path in workshop.code if path.suffix == ".py"}
    for path in workshop.lessons():
        for item in json.loads(path.read_text())["cells"]:
            if item["cell_type"] == "code":
                sources[f"{path.name}/{item['id']}"] = cell_source(item)
    for name, source in sources.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"_", "tr"}:
                assert isinstance(node.args[0], ast.Constant), f"{name}: {ast.unparse(node)}"


def test_what_is_collected(tmp_path: Path) -> None:
    found = {message.place: message.text for message in collect(build(tmp_path))}
    assert found == {
        "notebooks/01_one.ipynb/title/0": "# 1 · Speed",
        "notebooks/01_one.ipynb/title/1": "About 5 minutes",
        "notebooks/01_one.ipynb/tail/0": (
            "The latency of `f(x)` is **low**: $t < 50$ ms. See [two](02_two.ipynb)."
        ),
        "notebooks/01_one.ipynb/tail/3": "- one\n- two",
        "notebooks/01_one.ipynb/tail/notes": "They expect the mean.",
        'notebooks/01_one.ipynb/setup: "{n} of {m} photos"': "{n} of {m} photos",
        "notebooks/02_two.ipynb/table/0": "| a cell | b |\n|---|---|\n| left | right |",
        "notebooks/figures/queue.svg/title/0": "Fast & slow",
        "notebooks/figures/queue.svg/text/1": "the queue",
        'module.py: "Cannot read {file!r}."': "Cannot read {file!r}.",
        "glossary/title": "Glossary",
        "glossary/introduction": INTRODUCTION,
        "glossary/meaning": "Meaning",
        "glossary/latency": "Time until the answer.",
    }


def test_strings_of_code() -> None:
    source = (
        '%timeit x\n!ls\n_("a" "b")\ntr(name)\nx.tr("é {n}").format(n=1)\n'
        'pgettext("verb", "load")\n_("42")\n# _("no")\n'
    )
    text = notebook([cell("code", "c", source)])
    found = [(m.context, m.text, m.files) for m in lesson_messages(text, "n")]
    assert found == [
        (None, "ab", ("n/c",)),
        (None, "é {n}", ("n/c",)),
        ("verb", "load", ("n/c",)),
    ]
    script = 'el.textContent = _("Simulate {n}"); other("no"); // _("nor this")\n'
    assert [message.text for message in code_messages(script, "a.js", "javascript")] == [
        "Simulate {n}"
    ]
    with pytest.raises(SourceError, match=r"a\.py cannot be read as python"):
        list(code_messages('_("a', "a.py", "python"))
