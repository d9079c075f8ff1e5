"""Each way in which a translation can differ from the English in form is found."""

import pytest

from authoring.translations.checks import problems
from authoring.translations.glossary import Term
from authoring.translations.messages import Message
from authoring.translations.sources import Workshop, collect

BLOCK = "notebooks/01_one.ipynb/cell/0"


LABEL = "notebooks/figures/one.svg/text/0"


LATENCY = Term(
    "latency",
    "",
    {"ja": ("レイテンシ",), "id": ("latensi",)},
    {"ja": ("レイテンシー",), "id": ("keterlambatan",)},
)


TAIL = Term("tail latency", "", {"ja": ("テール",), "id": ("latensi ekor",)}, {})


QUANTISATION = Term(
    "quantisation",
    "",
    {"ja": ("量子化",), "id": ("kuantisasi",)},
    {},
    ("quantised",),
    ("mean quantised",),
)


def reasons(english: str, other: str, context: str | None = BLOCK, code: str = "ja") -> list[str]:
    return problems(Message(english, context), other, code, [LATENCY, TAIL, QUANTISATION], [])


GOOD_BLOCKS = [
    ("# A `b` c", "# `b` の C"),
    ("Use `a`, then `b`.", "`b` の前に `a` を使います。"),
    ("**Fast.** Then *slow*.", "**速い。** そして *遅い*。"),
    ("[one](a.ipynb) and [two](b.ipynb)", "[二](b.ipynb)と[一](a.ipynb)"),
    ("- a\n  - b\n- c", "- あ\n  - い\n- う"),
    ("| a | b |\n|---|--:|\n| c | d |", "| あ | い |\n|---|--:|\n| う | え |"),
    ("![a cat](c.svg)", "![猫](c.svg)"),
    ('<img alt="a cat" src="c.svg">', '<img alt="猫" src="c.svg">'),
    ("costs $a < b$ and 1,000.5 bytes", "費用は $a < b$ と 1.000,5 バイト"),
    ("1 of the two, 50 ms", "2つのうち 1、50 ms"),
    ("6 of 6", "6 個すべて"),
    ("> quote\n\n", "> 引用\n\n"),
    ("p99 and GPU", "p99 and GPU"),
    ("a  \nb", "あ  \nい"),
    ("See <https://a.b/c>.", "<https://a.b/c> を参照。"),
    ("a\n```py\nx = 1\n```", "あ\n```py\nx = 1\n```"),
]


BAD_BLOCKS = [
    ("Use `a`.", "`b` を使う。", "inline code: missing 'a', added 'b'"),
    ("Use `a`.", "a を使う。", "inline code: missing 'a'"),
    ("`a` and `a`", "`a`", "inline code: missing 'a'"),
    ("[one](a.ipynb)", "[一](b.ipynb)", "link targets: missing 'a.ipynb', added 'b.ipynb'"),
    ("[one](a.ipynb)", "一", "link targets: missing 'a.ipynb'"),
    ("[one][a]", "[一][b]", "link targets: missing 'a', added 'b'"),
    ("See <https://a.b/c>.", "<https://a.b/d> を参照。", "link targets"),
    ("![a cat](c.svg)", "![猫](d.svg)", "images: missing 'c.svg', added 'd.svg'"),
    ("so $a < b$", "つまり $a > b$", "maths: missing '$a < b$', added '$a > b$'"),
    ("so $$a_1 * b_2$$", "つまり", "maths"),
    ("a <b>c</b>", "あ <i>い</i>", "HTML tags"),
    ('<img alt="a" src="c.svg">', '<img alt="あ" src="d.svg">', "HTML tags"),
    ('<div class="x">\na\n</div>', '<div class="y">\nあ\n</div>', "HTML tags"),
    ("a {n} b", "あ {m} い", "placeholders: missing '{n}', added '{m}'"),
    ("# A", "## あ", "heading levels: missing 'h1', added 'h2'"),
    ("# A", "あ", "heading levels: missing 'h1'"),
    ("- a\n- b", "- あ", "list items: missing 'level 1'"),
    ("- a\n  - b", "- あ\n- い", "list items"),
    ("- a\n- b", "1. あ\n2. い", "structure"),
    ("3. a\n4. b", "1. あ\n2. い", "structure"),
    (
        "| a | b |\n|---|---|\n| c | d |",
        "| あ | い |\n|---|---|\n| う | え |\n| お | か |",
        "table shape",
    ),
    ("| a | b |\n|---|--:|\n| c | d |", "| あ | い |\n|---|---|\n| う | え |", "table shape"),
    ("| a |\n|---|\n| b |", "| あ |\n| い |", "table shape"),
    ("**Fast.** Then", "**「速い」**そして", "emphasis: missing 'strong'"),
    ("*Fast* then", "速い そして", "emphasis: missing 'em'"),
    ("a  \nb", "あ い", "line breaks: missing 'hardbreak'"),
    ("a\n```py\nx = 1\n```", "あ\n```py\nx = 2\n```", "code blocks"),
    ("one paragraph", "ひとつ\n\nふたつ", "structure"),
    ("text", "あ\n---", "heading levels: added 'h2'"),
    ("text", " あ", "the white space"),
    ("text", "あ\n", "the white space"),
    ("within 50 ms", "15 ms 以内", "numbers: missing '50'"),
    ("6 of 6", "7 個", "numbers: missing '6'"),
    ("within 50 ms", "50 ms 以内、遅くとも 15 ms", "numbers: added '15'"),
    ("all of this is still in English", "all of this is still in English", "it is still English"),
    ("all of this is still in English", "semua ini bukan bahasa Jepang", "it is still English"),
    ("one line\nand another", "日本語の\n行", "a line break within Japanese text"),
    ("text", "あ\u200bい", "control character"),
    ("text", "あ\ufffd", "control character"),
]


@pytest.mark.parametrize(("english", "other"), GOOD_BLOCKS)
def test_a_good_block_passes(english: str, other: str) -> None:
    assert reasons(english, other) == []


@pytest.mark.parametrize(("english", "other", "reason"), BAD_BLOCKS)
def test_a_bad_block_is_caught(english: str, other: str, reason: str) -> None:
    assert reason in "; ".join(reasons(english, other))


PLAIN = [
    ("{n} of {m:.1f} photos", "{m:.1f} 枚中 {n} 枚", ""),
    ("{n} of {m:.1f} photos", "{m} 枚中 {n} 枚", "placeholders: missing '{m:.1f}', added '{m}'"),
    ("{n} photos", "写真 {n", "placeholders"),
    ("{n} photos", "写真 {n} と {n}", "placeholders: added '{n}'"),
    ("{guess!r} is no number", "{guess} は数ではありません", "placeholders"),
    ('say {{"a"}} twice', '二度 {{"a"}} と言う', ""),
    ("`{name}` is missing", "`{name}` がありません", ""),
    ("`{name}` is missing", "`{nama}` がありません", "inline code"),
    ("costs $a$", "費用は $b$", "maths"),
    ("see https://a.b/c", "https://a.b/d を参照", "link targets"),
    ("[here](a.ipynb)", "[ここ](b.ipynb)", "link targets"),
    ("a <br> b", "あ い", "HTML tags"),
    ("two\nlines", "一行", "lines: missing 'line'"),
    ("wait 50 ms", "待つ", "numbers: missing '50'"),
    ("{0} ms", "{0} ms", ""),
    ("a < b and c > d", "あ < い、う > え", ""),
]


@pytest.mark.parametrize(("english", "other", "reason"), PLAIN)
def test_plain_text(english: str, other: str, reason: str) -> None:
    found = reasons(english, other, None)
    assert (reason in "; ".join(found)) if reason else found == []


def test_a_label_must_fit_its_figure() -> None:
    assert reasons("weights", "重み", LABEL) == []
    assert reasons("mean", "rata-rata", LABEL, "id") == []
    assert "too wide for its figure: about 12 em, 7 fit" in reasons(
        "weights", "とても長くて入らない名前", LABEL
    )
    assert reasons("weights", "とても長くて入らない名前", "notebooks/figures/one.svg/desc/0") == []


@pytest.mark.parametrize(
    ("english", "other", "reason"),
    [
        ("the latency", "レイテンシ", ""),
        ("Latencies", "各レイテンシ", ""),
        ("the latency", "遅さ", "glossary: 'latency' is レイテンシ"),
        ("the latency", "レイテンシー", "glossary: 'latency' is never レイテンシー"),
        ("the latency", "`レイテンシ` だ", "glossary: 'latency' is レイテンシ"),
        ("`latency` in code", "コード中の `latency`", ""),
        ("[a](latency.ipynb)", "[あ](latency.ipynb)", ""),
        ("![latency](a.svg)", "![遅さ](a.svg)", "glossary: 'latency'"),
        ("$latency$ is maths", "$latency$ は数式", ""),
        ("in latency.py", "latency.py で", ""),
        ("tail latency", "テール", ""),
        ("tail-latencies", "遅さ", "glossary: 'tail latency' is テール"),
        ("tail latency, and latency", "テール", "glossary: 'latency'"),
        ("is quantised", "丸める", "glossary: 'quantisation' is 量子化"),
        ("mean quantised", "平均", ""),
        ("the\nlatency", "ﾚｲﾃﾝｼ", ""),
    ],
)
def test_the_glossary_is_enforced(english: str, other: str, reason: str) -> None:
    found = reasons(english, other)
    assert (reason in "; ".join(found)) if reason else found == []


def test_english_has_the_form_of_english() -> None:
    """No check complains about a text that is compared with itself, for all texts."""
    for message in collect(Workshop.of_repository()):
        found = problems(message, message.text, "id", [], [])
        assert set(found) <= {"it is still English"}, message.place
