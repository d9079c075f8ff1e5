"""The workshop's glossary, and the terms found in a text."""

from collections import Counter
from pathlib import Path

import pytest

from authoring.translations.checks import problems
from authoring.translations.glossary import Term, find_terms, load, messages, page
from authoring.translations.messages import Message, SourceError


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
