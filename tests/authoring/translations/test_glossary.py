"""The workshop's glossary, and the terms found in a text."""

from collections import Counter
from pathlib import Path

import pytest

from authoring.translations import documents
from authoring.translations.checks import problems
from authoring.translations.glossary import (
    Linker,
    Term,
    find_terms,
    load,
    messages,
    page,
    unlink,
)
from authoring.translations.messages import Message, SourceError
from authoring.translations.sources import Workshop, lesson_name


def test_the_glossary_of_the_workshop() -> None:
    terms = load()
    assert len(terms) >= 100
    for term in terms:
        # Said in either language as the glossary says it, a term passes.
        for code, words in term.renderings.items():
            for word in words:
                assert problems(Message(f"{term.term}!"), f"{word}!", code, terms, []) == []
            for word in term.forbidden.get(code, ()):
                assert word.casefold() not in {allowed.casefold() for allowed in words}
        for form in (term.term, *term.forms):
            assert term in find_terms(f"The {form}, then.", terms)
    table = page(terms, lambda message: f"<{message.context}>").splitlines()
    assert table[0] == "# <glossary/title>"
    rows = table[6:]
    assert {row.split('"')[1] for row in rows} == {term.anchor for term in terms}
    assert len(rows) == len(terms)
    assert {row.count(" | ") for row in rows} == {3}
    assert len(list(messages(terms))) == len(terms) + 4


def test_the_longest_term_in_a_text_counts() -> None:
    zone, free = (Term(name, "", {}, {}) for name in ("availability zone", "availability"))
    assert find_terms("in an availability\nzone", [free, zone]) == [zone]
    assert find_terms("Availabilities of a zone", [free, zone]) == [free]
    assert find_terms("see availability.py", [free, zone]) == []


def test_a_term_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "glossary.toml"
    path.write_text('[[term]]\nterm = "a"\ndefinition = "b"\nja = []\nid = []\nforms = ["A"]\n')
    with pytest.raises(SourceError, match=r"^glossary\.toml: more than once: a$"):
        load(path)


def test_no_rendering_belongs_to_two_terms() -> None:
    for code in ("ja", "id"):
        words = Counter(word.lower() for term in load() for word in term.renderings[code])
        assert [word for word, count in words.items() if count > 1] == []


TERMS = [
    Term("core", "", {"ja": ("コア",), "id": ("core",)}, {}),
    Term("environment", "", {"ja": ("環境",), "id": ("lingkungan",)}, {}),
    Term("environment variable", "", {"ja": ("環境変数",), "id": ("variabel lingkungan",)}, {}),
    Term("export", "", {"ja": ("エクスポート",), "id": ("ekspor",)}, {}),
    Term("tail latency", "", {"ja": ("テールレイテンシ",), "id": ("latensi ekor",)}, {}),
]
CORE, ENVIRONMENT, EXPORT = (f"glossary.md#{name}" for name in ("core", "environment", "export"))


@pytest.mark.parametrize(
    ("code", "english", "translated", "linked"),
    [
        ("en", "Two cores, one core.", None, f"Two [cores]({CORE}), one core."),
        ("en", "A `core` and a *core*", None, f"A `core` and a [*core*]({CORE})"),
        ("en", "## A core", None, "## A core"),
        ("en", "[a core](x.md), ![a core](x.svg)", None, "[a core](x.md), ![a core](x.svg)"),
        ("en", '<p title="core">core</p>', None, '<p title="core">core</p>'),
        ("en", "- tail\n  latency", None, "- [tail\n  latency](glossary.md#tail-latency)"),
        ("ja", "A core", "スコアはコア数", f"スコアは[コア]({CORE})数"),
        ("ja", "A core", "これは**コア**です", f"これは[**コア**]({CORE})です"),
        ("ja", "environment", "環境変数の環境", f"環境変数の[環境]({ENVIRONMENT})"),
        ("ja", "A notebook", "環境とコア", "環境とコア"),
        ("id", "An export", "score diekspor.", f"score [diekspor]({EXPORT})."),
        ("id", "The core", "score/core.py, core-nya", f"score/core.py, [core-nya]({CORE})"),
        ("id", "The core", None, f"The [core]({CORE})"),
    ],
)
def test_a_term_is_linked(code: str, english: str, translated: str | None, linked: str) -> None:
    assert Linker(TERMS, code).link(english, translated) == linked
    assert unlink(linked) == (english if translated is None else translated)


def test_a_term_is_linked_once_in_a_lesson() -> None:
    linker = Linker(TERMS, "en")
    assert linker.link("# core", None) == "# core"
    assert linker.link("a core", None) == f"a [core]({CORE})"
    assert linker.link("a core, an export", None) == f"a core, an [export]({EXPORT})"


def test_terms_of_the_workshops_lessons_are_linked() -> None:
    """A few are not: their only use is within another link."""
    workshop = Workshop.of_repository()
    terms = workshop.glossary()
    used = linked = 0
    for path in workshop.lessons():
        text, name = path.read_text(), lesson_name(path)
        linker = Linker(terms, "en")
        made = documents.translate_notebook(text, name, lambda _message: None, text, linker)
        assert (
            documents.translate_notebook(
                made, name, lambda _message: None, made, Linker(terms, "en")
            )
            == made
        )
        for term in terms:
            times = made.count(f"](glossary.md#{term.anchor})")
            assert times <= 1, f"{path.name}: {term.term}"
            linked += times
        prose = [
            message.text
            for message in documents.notebook_messages(documents.read_notebook(text, name), name)
            if message.markdown and not message.text.startswith("#")
        ]
        used += len({term.term for text in prose for term in find_terms(text, terms)})
    assert linked >= 0.9 * used > 200
