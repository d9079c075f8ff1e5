"""Notebooks and figures: their texts are found and replaced, all else stays the same bytes."""

import json
from pathlib import Path

import pytest

from authoring.translations import documents
from authoring.translations.glossary import unlink
from authoring.translations.messages import SourceError
from learner.paths import ROOT

LESSONS = sorted((ROOT / "notebooks").glob("[a-z][a-z]/*.ipynb"))


FIGURES = sorted((ROOT / "notebooks").glob("*/figures/*.svg"))


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_lesson_goes_round(path: Path) -> None:
    text = path.read_bytes().decode()
    same = documents.translate_notebook(text, "notebooks/x.ipynb", lambda _message: None, text)
    assert same == unlink(text)


def test_outputs_stay_those_of_the_language_and_source() -> None:
    """A code cell keeps what it printed in the other language, unless its source has changed."""

    def notebook(said: str, *digests: str) -> str:
        cells = [
            {
                "cell_type": "code",
                "execution_count": n,
                "id": f"cell-{n}",
                "metadata": {"executed": digest, "tags": []},
                "outputs": [{"name": "stdout", "output_type": "stream", "text": said}],
                "source": "print()",
            }
            for n, digest in enumerate(digests, 1)
        ]
        return json.dumps({"cells": cells}, indent=1, ensure_ascii=False)

    english, before = notebook("yes", "a", "b"), notebook("ya", "a", "older")
    new = documents.translate_notebook(english, "n", lambda _message: None, before)
    first, second = json.loads(new)["cells"]
    assert first == json.loads(before)["cells"][0]
    assert (second["outputs"], second["execution_count"]) == ([], None)
    assert second["metadata"] == {"tags": []}
    assert "yes" not in documents.translate_notebook(english, "n", lambda _message: None)


@pytest.mark.parametrize("path", FIGURES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_figure_goes_round(path: Path) -> None:
    svg = path.read_bytes().decode()
    assert documents.figure_messages(svg, path.name)
    assert documents.translate_figure(svg, path.name, lambda message: message.text) == svg


def test_texts_of_a_figure_are_replaced_and_escaped() -> None:
    svg = (
        "<svg><!-- <text>no</text> --><style>text{}</style><title>a &amp; b</title>"
        "<text x='1'/><textPath>no</textPath><text\n x='2'> c &#62; d\n</text><text>42</text></svg>"
    )
    found = [(message.context, message.text) for message in documents.figure_messages(svg, "f")]
    assert found == [("f/title/0", "a & b"), ("f/text/1", "c > d")]
    new = documents.translate_figure(svg, "f", lambda m: {"f/text/1": "<&>"}.get(m.context or ""))
    assert new == svg.replace("c &#62; d", "&lt;&amp;&gt;")
    with pytest.raises(SourceError, match="f: <text> must hold text alone: 'a <tspan>"):
        documents.figure_messages("<text>a <tspan>b</tspan></text>", "f")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is not a notebook"),
        ("[]", "is not a notebook"),
        ('{"cells": [{}]}', "is not a notebook whose cells have ids: 'id'"),
        ('{"cells": [{"id": "a"}, {"id": "a"}]}', "two cells have the same id"),
    ],
)
def test_a_broken_notebook_is_refused(text: str, reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        documents.read_notebook(text, "x.ipynb")


def test_a_source_that_is_one_string_stays_one() -> None:
    text = json.dumps(
        {"cells": [{"cell_type": "markdown", "id": "a", "metadata": {}, "source": "b\nc"}]},
        indent=1,
    )
    assert documents.translate_notebook(text, "n", lambda _message: None) == text
    assert '"source": "d"' in documents.translate_notebook(text, "n", lambda _message: "d")
