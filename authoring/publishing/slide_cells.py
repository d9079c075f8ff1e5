"""Cut a lesson into slides: a notebook in which every cell fits on one slide.

The lessons have no slide breaks of their own. So heights are estimated from lines and characters,
and a picture takes the room that the text leaves. The tests measure in a browser that nothing
overflows.
"""

import base64
import copy
import itertools
import math
import re
import unicodedata
from io import BytesIO
from typing import Any

import nbformat.v4 as v4
from markdown_it import MarkdownIt
from PIL import Image

from authoring.publishing.rendering import make_readable
from learner.language import _
from learner.numbers import format_number
from notebooks.lab.lessons import Lesson, heading
from quizzes.questions import Number, Order, all_questions, translate

LEFT_OUT = {"setup", "next", "panel-import", "panel"}
"""Cells without a slide: technical ones, and the panel, which a teacher shows live."""
WIDTH, HEIGHT = 1100, 535
"""Room for code and text on a slide of 1280 × 720, in pixels."""
LINE, CHARACTERS = 46, 76
"""Height of a line of prose in pixels, and its Latin characters; a Japanese one counts twice."""
LARGEST_CODE, SMALLEST_CODE = 26, 16
"""Font sizes in pixels."""
SMALLEST_BESIDE_TEXT = 17
"""Font size in pixels. With a smaller one, code does not share its slide with text."""
SMALLEST_PICTURE = 240
"""Height in pixels."""
PRINTED_LINES, PRINTED_CHARACTERS = 21, 84
"""Most lines of printed output on a slide, and the characters after which a line breaks."""
MOST_LEAD = 330
"""Height in pixels of the longest text that stands above code."""
STILL_WELL_SEEN = 0.8
"""A picture may shrink to this share of its size to make room for text."""
_PICTURE = re.compile(r"data:image/\w+;base64,([A-Za-z0-9+/=]+)")
_ASKS = re.compile(r"ask\w*\(")
_NAMES = re.compile(r"ask\(\s*[\"']([\w-]+)")
_ITEM = re.compile(r"[-*+] |\d+[.)] ")
_PREDICTS = re.compile(r"predict\(")
_IMAGE = re.compile(r"!\[[^\]]*\]\([^)]*\)")
_FOLDED = re.compile(r"\s*<details>\s*<summary>(.*?)</summary>(.*?)</details>", re.DOTALL)


def cut(lesson: Lesson, minutes: str) -> Any:
    """Return a notebook with one cell per slide; the metadata `slide` is for the template.

    Args:
        lesson: with its outputs.
        minutes: its duration in words.
    """
    slides: list[Any] = []
    section = ""
    cells = lesson.notebook.cells
    for cell, following in itertools.zip_longest(cells, cells[1:]):
        if cell.id in LEFT_OUT:
            continue
        if cell.id == "title":
            slides.append(_text_slide(cell, f"# {lesson.title}\n\n{minutes}", "title", ""))
            continue
        if "minutes" in cell.metadata or cell.id == "recap":
            section = ""
        if cell.cell_type == "markdown":
            predicted = following is not None and bool(_PREDICTS.match(following.source))
            slides += _cut_prose(cell, section, predicted)
            section = section or heading(cell.source)
        elif cell.cell_type == "code":
            slides = _add_code(slides, _cut_code(cell, section))
    slides = _explain_pictures(slides)
    seen: dict[str, int] = {}
    for slide in slides:
        seen[slide.id] = seen.get(slide.id, 0) + 1
        if seen[slide.id] > 1:
            slide.id = f"{slide.id}-{seen[slide.id]}"
        for anchor in ("lead_id", "tail_id"):  # the first part of a text may lie on a code's slide
            if name := slide.metadata["slide"].get(anchor):
                seen[name] = seen.get(name, 0) + 1
    return v4.new_notebook(cells=slides)  # type: ignore[no-untyped-call]


def _text_slide(cell: Any, source: str, kind: str, kicker: str, notes: bool = True) -> Any:
    said = cell.metadata.get("speaker_notes", "") if notes else ""
    slide = {"kind": kind, "kicker": kicker, "notes": said}
    return v4.new_markdown_cell(source, id=cell.id, metadata={"slide": slide})  # type: ignore[no-untyped-call]


def _cut_prose(cell: Any, section: str, predicted: bool) -> list[Any]:
    """Put as many top-level blocks on a slide as fit; a heading begins a new slide.

    Before a prediction, the text after a picture is its question, and begins a new slide too. A
    folded box is for the speaker to tell: it becomes a part of the notes.
    """
    pages: list[list[str]] = []
    room = 0.0
    for block in _split_blocks(_FOLDED.sub("", cell.source)):
        height = _estimate_height(block)
        asks = predicted and bool(pages) and _IMAGE.fullmatch(pages[-1][-1])
        if not pages or block.startswith("#") or height > room or asks:
            pages.append([])
            room = HEIGHT
        pages[-1].append(block)
        room -= height
    slides = []
    kicker = section
    for number, page in enumerate(pages):
        slide = _text_slide(cell, _join_blocks(page), "prose", kicker, notes=number == 0)
        if not any(block.startswith(("#", "![", "|")) for block in page):
            slide.metadata["slide"]["height"] = sum(_estimate_height(block) for block in page)
        slides.append(slide)
        kicker = kicker or heading(page[0])
    told = [
        f"**{summary.strip()}** {text.strip()}" for summary, text in _FOLDED.findall(cell.source)
    ]
    shown = slides[0].metadata["slide"]
    shown["notes"] = "\n\n".join(filter(None, (shown["notes"], *told)))
    return slides


def _add_code(slides: list[Any], new: list[Any]) -> list[Any]:
    """Append slides; a short text moves onto the slide of the code that it introduces."""
    height = slides[-1].metadata["slide"].get("height") if slides else None
    kind = new[0].metadata["slide"]["kind"] if new else ""
    if height is None or height > MOST_LEAD or kind in ("", "question"):
        return slides + new
    shown = new[0].metadata["slide"]
    size = _fit_font(shown["text"], HEIGHT - height - shown["pictures"] * SMALLEST_PICTURE)
    if size < min(SMALLEST_BESIDE_TEXT, shown["size"]):
        return slides + new
    text = slides[-1]
    notes = "\n\n".join(filter(None, (text.metadata["slide"]["notes"], shown["notes"])))
    anchor = _free_id(text, slides[:-1])
    shown |= {"lead": text.source, "lead_id": anchor, "size": size, "notes": notes}
    return slides[:-1] + new


def _explain_pictures(slides: list[Any]) -> list[Any]:
    """Move a short text onto the slide of the output that it explains."""
    kept: list[Any] = []
    for slide in slides:
        height = slide.metadata["slide"].get("height", math.inf)
        before = kept[-1].metadata["slide"] if kept else {}
        if before.get("kind") == "output" and "tail" not in before and _has_room(kept[-1], height):
            before |= {"tail": slide.source, "tail_id": _free_id(slide, kept)}
            before["notes"] = before["notes"] or slide.metadata["slide"]["notes"]
        else:
            kept.append(slide)
    return kept


def _has_room(slide: Any, height: float) -> bool:
    """Return whether an output is still seen well with `height` pixels less."""
    shown = slide.metadata["slide"]
    room = HEIGHT - height - LINE
    if not shown["pictures"]:
        return (len(shown["text"].splitlines()) + 2) * LARGEST_CODE * 1.4 < room
    picture = _PICTURE.search(str(slide.outputs[0].get("data", {}).get("text/html", "")))
    if picture is None:
        return False
    width, tall = Image.open(BytesIO(base64.b64decode(picture.group(1)))).size
    alone, beside = (min(1, space * width / tall / WIDTH) for space in (HEIGHT, room))
    return room > SMALLEST_PICTURE / 2 and beside > STILL_WELL_SEEN * alone


def _free_id(slide: Any, others: list[Any]) -> str:
    """Return the id of a slide that becomes part of another; empty if one of `others` has it."""
    return "" if any(other.id == slide.id for other in others) else slide.id


def _split_blocks(source: str) -> list[str]:
    """Split Markdown into headings, paragraphs, pictures and the items of lists."""
    lines = source.splitlines()
    parsed = MarkdownIt().enable("table").parse(source)
    pieces = [
        token
        for token in parsed
        if (token.level == 1 and token.type == "list_item_open")
        or (token.level == 0 and not token.type.endswith("list_open"))
    ]
    blocks: list[str] = []
    for begin, end in (token.map for token in pieces if token.map):
        block = "\n".join(lines[begin:end]).strip()
        # A picture within a paragraph of text gets a paragraph of its own.
        blocks += [part for part in re.split(r"\n*(!\[[^\]]*\]\([^)]*\))\n*", block) if part]
    return blocks


def _join_blocks(blocks: list[str]) -> str:
    """Join blocks to Markdown; consecutive items form one list."""
    text = blocks[0]
    for before, block in itertools.pairwise(blocks):
        text += "\n" if _ITEM.match(before) and _ITEM.match(block) else "\n\n"
        text += block
    return text


def _estimate_height(block: str) -> float:
    if _IMAGE.fullmatch(block.strip()):
        return SMALLEST_PICTURE
    if block.startswith("#"):
        return 80
    space = 10 if _ITEM.match(block) else 18
    lines = sum(math.ceil(_width(line) / CHARACTERS) or 1 for line in block.splitlines())
    return space + LINE * lines


def _width(line: str) -> int:
    """Return the width of a line in Latin characters."""
    plain = re.sub(r"(?<=\])\([^)]*\)|[*`]", "", line)
    return sum(1 + (unicodedata.east_asian_width(char) in "WF") for char in plain)


def _cut_code(cell: Any, section: str) -> list[Any]:
    """Show a prediction or a question alone; other code together with its output, if both fit."""
    shown = make_readable(copy.deepcopy(cell))
    if _ASKS.match(cell.source):
        asked = [one for one in shown.outputs if "workshop-question" in str(one.get("data"))]
        slides = [_code_slide(cell, "question", section, [one], code=False) for one in asked]
        for slide, output in zip(slides, asked, strict=True):
            notes = (slide.metadata["slide"]["notes"], _tell_answer(cell, output))
            slide.metadata["slide"]["notes"] = "\n\n".join(filter(None, notes))
        return slides
    if _PREDICTS.match(cell.source):
        return [_code_slide(cell, "predict", section, [], heading=_("What do you expect?"))]
    outputs = [part for output in shown.outputs for part in _split_output(output)]
    lines = cell.source.count("\n") + 1
    if len(outputs) == 1 and lines + _count_lines(outputs[0]) <= 16:
        return [_code_slide(cell, "code", section, outputs)]
    alone = [_code_slide(cell, "output", section, [output], code=False) for output in outputs]
    return [_code_slide(cell, "code", section, []), *alone]


def _tell_answer(cell: Any, output: Any) -> str:
    """Return what the speaker says after the class has chosen; empty for an unknown question."""
    known = {name: translate(one).question for name, one in all_questions().items()}
    named = _NAMES.search(cell.source)
    question = known.get(named[1]) if named else None
    if question is None:  # the cell asks what was asked before
        plain = "".join(output["data"].get("text/plain", ""))
        question = next((one for one in known.values() if one.text in plain), None)
    if isinstance(question, Number):
        number = f"{format_number(question.answer)} {question.unit}".strip()
        return f"**{number}.** {question.feedback_right}"
    if isinstance(question, Order):
        steps = (f"{place}. {one.text}" for place, one in enumerate(question.options, 1))
        return "\n".join([*steps, "", question.feedback_right])
    options = () if question is None else sorted(question.options, key=lambda one: not one.correct)
    return "\n".join(
        f"- {'✓' if one.correct else '✗'} **{one.text}** {one.feedback}" for one in options
    )


def _code_slide(
    cell: Any, kind: str, kicker: str, outputs: list[Any], code: bool = True, heading: str = ""
) -> Any:
    texts = [cell.source] if code else []
    texts += [_wrap(text) for output in outputs if (text := _printed(output))]
    text = "\n".join(texts)
    pictures = sum(_printed(output) is None for output in outputs)
    slide = {
        "kind": kind,
        "kicker": kicker,
        "heading": heading,
        "notes": cell.metadata.get("speaker_notes", "") if code or kind == "question" else "",
        "code": code,
        "text": text,
        "pictures": pictures,
        "size": _fit_font(text, HEIGHT - pictures * SMALLEST_PICTURE),
    }
    return v4.new_code_cell(  # type: ignore[no-untyped-call]
        cell.source, id=cell.id, outputs=outputs, metadata={"slide": slide}
    )


def _wrap(text: str) -> str:
    """Break printed lines at the width of a slide."""
    broken = []
    for line in text.splitlines():
        most = PRINTED_CHARACTERS * len(line) // max(_width(line), 1)
        broken += [line[at : at + most] for at in range(0, len(line), max(most, 1))] or [""]
    return "\n".join(broken)


def _fit_font(text: str, height: float) -> float:
    """Return the font size in pixels with which code or printed text fits."""
    lines = text.splitlines() or [""]
    longest = max(_width(line) for line in lines)
    by_height = (height - 40) / ((len(lines) + 1) * 1.4)
    by_width = WIDTH / (max(longest, 1) * 0.61)
    return round(min(LARGEST_CODE, by_height, max(by_width, SMALLEST_CODE)), 1)


def _printed(output: Any) -> str | None:
    """Return the text of a printed output or a listing; None for a picture or other HTML."""
    if output.output_type == "stream":
        return str(output.text)
    data = output.get("data", {})
    pictured = "image/png" in data or not data.get("text/html", "<pre").startswith("<pre")
    return None if pictured else str(data.get("text/plain", ""))


def _count_lines(output: Any) -> int:
    """Return the height of an output in lines of code; a picture counts as nine."""
    text = _printed(output)
    return 9 if text is None else _wrap(text).count("\n") + 1


def _split_output(output: Any) -> list[Any]:
    """Split long printed output or a long listing into parts that fit on a slide."""
    text = _printed(output)
    if text is None:
        return [output]
    total = text.rstrip("\n").count("\n") + 1
    most = math.ceil(total / math.ceil(total / PRINTED_LINES))
    parts = []
    for begin in range(0, total, most):
        part = copy.deepcopy(output)
        if output.output_type == "stream":
            part.text = _slice_lines(text, begin, most)
        else:
            part.data = {
                kind: _slice_lines(str(whole), begin, most) for kind, whole in output.data.items()
            }
        parts.append(part)
    return parts


def _slice_lines(text: str, first: int, count: int) -> str:
    """Return some lines of a text, or of an HTML listing, in which no tag spans two lines."""
    begin, inside, end = re.fullmatch(r"(<pre[^>]*>)?(.*?)(</pre>)?\s*", text, re.DOTALL).groups()  # type: ignore[union-attr]
    lines = inside.split("\n")[first : first + count]
    return (begin or "") + "\n".join(lines) + (end or "")
