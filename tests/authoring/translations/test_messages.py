"""What identifies a message, and when a translation may be shown."""

from authoring.translations.messages import Entry, Message, merge_equal


def test_a_block_belongs_to_its_cell_a_string_to_its_file() -> None:
    block = Message("# T", "notebooks/01_one.ipynb/tail/3")
    assert (block.group, block.ordered, block.markdown) == (
        "notebooks/01_one.ipynb/tail",
        True,
        True,
    )
    text = Message("load", None, ("a.py", "b.py"))
    assert (text.group, text.ordered, text.place) == ("a.py", True, 'a.py: "load"')
    option = Message("a", "quiz/q/option/x")
    assert (option.group, option.ordered) == ("quiz/q/option/x", False)


def test_equal_messages_become_one_with_all_files() -> None:
    found = merge_equal(
        [Message("a", None, ("x.py",)), Message("b"), Message("a", None, ("y.py", "x.py"))]
    )
    assert found == [Message("a", None, ("x.py", "y.py")), Message("b")]


def test_only_a_translation_of_the_current_text_is_usable() -> None:
    assert Entry(Message("a")).usable is None
    stale = Entry(Message("a"), "あ", fuzzy=True, previous="b")
    assert stale.usable is None
    assert stale.translated("い").usable == "い"
