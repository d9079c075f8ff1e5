"""The rules for every lesson. Each rule is a function that yields its violations in words."""

import ast
import re
import statistics
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat

from authoring.execute_lessons import digest
from authoring.publishing.rendering import has_maths
from notebooks.lab.lessons import Lesson

MOST_LINES, MEDIAN_LINES = 25, 8
MOST_WORDS, MOST_WORDS_AT_THE_ENDS = 120, 150
MOST_FOLDED = 60
"""Words in a folded box `<details>`, which stand apart from the prose around it."""
FEWEST_REASONS = 4
"""Words of cause and example for each 1,000 words of a lesson."""
MOST_MEASURED = 0.3
EXEMPT = "nbval-ignore-output"
AWAITED = "nbval-skip"
"""A cell `do-…` of a writing task that has not been run yet, because its module comes later."""
_IMAGE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)")
_FOLDED = re.compile(r"<details>\n<summary>Common mistake: [^\n]+</summary>\n.*?\n</details>", re.S)
_REASON = re.compile(r"\b(because|therefore|for example|so that|such as)\b", re.I)
_LOOSE_REASON = re.compile(rf"{_REASON.pattern}|\b(so|since)\b", re.I)


def code_cells(lesson: Lesson) -> list[Any]:
    """Return the code cells."""
    return [cell for cell in lesson.notebook.cells if cell.cell_type == "code"]


def was_run_in_order(lesson: Lesson) -> Iterator[str]:
    """Every code cell was run once, from the top, without an error."""
    run = [cell for cell in code_cells(lesson) if not _is_awaited(cell)]
    for count, cell in enumerate(run, 1):
        if cell.execution_count != count:
            yield f"{cell.id} is run {cell.execution_count}, not {count}"
        for output in cell.outputs:
            if output.output_type == "error":
                yield f"{cell.id} failed: {output.evalue}"


def outputs_are_of_this_source(lesson: Lesson) -> Iterator[str]:
    """No code cell was changed after its run."""
    for cell in code_cells(lesson):
        if not _is_awaited(cell) and cell.metadata.get("executed") != digest(cell.source):
            yield f"{cell.id} has outputs of another source: run authoring/execute_lessons.py"


def code_is_short(lesson: Lesson) -> Iterator[str]:
    """Code cells are short."""
    lengths = {cell.id: len(cell.source.splitlines()) for cell in code_cells(lesson)}
    if (median := statistics.median(lengths.values())) > MEDIAN_LINES:
        yield f"the median code cell has {median} lines"
    yield from (f"{name} has {n} lines" for name, n in lengths.items() if n > MOST_LINES)


def prose_is_short(lesson: Lesson) -> Iterator[str]:
    """Between two code cells there are few words."""
    runs: list[list[Any]] = [[]]
    for cell in lesson.notebook.cells:
        if cell.cell_type == "code":
            runs.append([])
        else:
            runs[-1].append(cell)
    for number, run in enumerate(runs):
        at_an_end = number in (0, len(runs) - 1)
        count = sum(len(words(_FOLDED.sub("", cell.source))) for cell in run)
        if count > (MOST_WORDS_AT_THE_ENDS if at_an_end else MOST_WORDS):
            yield f"{run[0].id} and what follows it have {count} words"


def words(markdown: str) -> list[str]:
    """Return the words of the prose: without headings, pictures and link targets."""
    text = re.sub(r"^#+ .*$", "", markdown, flags=re.MULTILINE)
    text = _LINK.sub(r"\1", _IMAGE.sub("", text))
    return [part for part in text.split() if re.search(r"\w", part)]


def reasons_are_given(lesson: Lesson) -> Iterator[str]:
    """Every explanation has a reason or an example, and the lesson has several."""
    prose = {cell.id: cell.source for cell in lesson.notebook.cells if cell.cell_type != "code"}
    for name, source in prose.items():
        if name.startswith("explain-") and not _LOOSE_REASON.search(source):
            yield f"{name} has no reason and no example: no because, so, therefore, for example"
    found = sum(len(_REASON.findall(source)) for source in prose.values())
    total = sum(len(words(source)) for source in prose.values())
    if found * 1000 < FEWEST_REASONS * total:
        yield f"{found} reasons or examples in {total} words: expected {FEWEST_REASONS} in 1,000"


def mistakes_are_folded_boxes(lesson: Lesson) -> Iterator[str]:
    """A self-learner sees the common mistake of each section, after the measurement.

    It is a box `<details>` with `<summary>` in one block of HTML, which is one message.
    """
    for section in _cut_sections(lesson):
        explained = [cell.id for cell in section if cell.id.startswith("explain-")]
        if explained and not any(_FOLDED.search(cell.source) for cell in section):
            yield f"the section of {explained[0]} has no box with a common mistake"
        measured = False
        for cell in section:
            measured = measured or cell.cell_type == "code"
            yield from _find_faults_of_boxes(cell, measured)


def _cut_sections(lesson: Lesson) -> list[list[Any]]:
    sections: list[list[Any]] = [[]]
    for cell in lesson.notebook.cells:
        if "minutes" in cell.metadata:
            sections.append([])
        sections[-1].append(cell)
    return sections


def _find_faults_of_boxes(cell: Any, measured: bool) -> Iterator[str]:
    if "misconception" in cell.metadata.get("speaker_notes", ""):
        yield f"the notes of {cell.id} have a misconception that only the speaker sees"
    if cell.cell_type == "code":
        return
    boxes = _FOLDED.findall(cell.source)
    if len(boxes) != cell.source.count("<details"):
        yield f"{cell.id} has a box of a different build: expected the lines of the other boxes"
    if boxes and not measured:
        yield f"{cell.id} tells the mistake before the measurement"
    for box in boxes:
        if (count := len(words(re.sub(r"<[^>]+>", "", box)))) > MOST_FOLDED:
            yield f"the box of {cell.id} has {count} words"


def exemptions_are_few_and_reasoned(lesson: Lesson) -> Iterator[str]:
    """Only outputs of measurements are exempt from comparison, and each says why."""
    cells = code_cells(lesson)
    exempt = [cell for cell in cells if EXEMPT in cell.metadata.get("tags", [])]
    for cell in exempt:
        if not str(cell.metadata.get("measured", "")).strip():
            yield f"{cell.id} is not compared, and does not say why"
    for cell in cells:
        if "measured" in cell.metadata and cell not in exempt:
            yield f"{cell.id} says that it is measured, and is compared"
        if other := [tag for tag in cell.metadata.get("tags", []) if tag != EXEMPT]:
            if _is_awaited(cell):
                continue
            yield f"{cell.id} has other tags: {other}"
        if re.search(r"#\s*(NBVAL|PYTEST_VALIDATE)", cell.source):
            yield f"{cell.id} steers nbval by a comment"
    if len(exempt) > MOST_MEASURED * len(cells):
        yield f"{len(exempt)} of {len(cells)} code cells are not compared"


def guesses_come_first_and_are_shown(lesson: Lesson) -> Iterator[str]:
    """Each guess is made with guess=None, then asked for, then shown."""
    calls = [(cell.id, call) for cell in code_cells(lesson) for call in _calls(cell.source)]
    predicted: set[str] = set()
    shown: set[str] = set()
    for place, (cell, call) in enumerate(calls):
        name = _first_argument(call)
        match _name(call):
            case "predict":
                predicted.add(name)
                given = [word for word in call.keywords if word.arg == "guess"]
                if not given or ast.unparse(given[0].value) != "None":
                    yield f"{cell} must have guess=None"
            case "guess_of":
                if name not in predicted:
                    yield f"{cell} asks for the guess {name!r} before it is made"
                later = [other for _cell, other in calls[place + 1 :]]
                if any("guess" in ast.unparse(other) for other in later):
                    shown.add(name)
    yield from (f"the guess {name!r} is never shown" for name in sorted(predicted - shown))
    for cell in code_cells(lesson):
        if sum(_name(call) == "predict" for call in _calls(cell.source)) > 1:
            yield f"{cell.id} has more than one prediction"


def pictures_have_words(lesson: Lesson) -> Iterator[str]:
    """Every picture has an alternative text."""
    for cell in lesson.notebook.cells:
        if cell.cell_type == "markdown":
            for alt, target in _IMAGE.findall(cell.source):
                if len(alt.split()) < 3:
                    yield f"{cell.id}: {target} has no alternative text worth the name"
            if "<img" in cell.source:
                yield f"{cell.id} has an <img>, which is not translated"
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            pictures = _Pictures(str(data.get("text/html", "")))
            if any(not alt.strip() for alt in pictures.alts):
                yield f"{cell.id} puts out a picture without an alternative text"
            if not pictures.alts and any(kind.startswith("image/") for kind in data):
                yield f"{cell.id} puts out a bare picture"


def minutes_add_up(lesson: Lesson) -> Iterator[str]:
    """The minutes in the title are the sums of the sections and of the writing tasks."""
    title = lesson.notebook.cells[0].source
    said = re.search(r"About (\d+) minutes", title)
    if said is None:
        yield "the title does not say how many minutes it takes"
    elif int(said.group(1)) != round(lesson.minutes):
        yield f"the title says {said.group(1)} minutes, the sections {lesson.minutes:g}"
    writing = re.search(r"about (\d+) for the writing tasks", title)
    told = int(writing.group(1)) if writing else 0
    asked = any(cell.id.startswith("do-") for cell in lesson.notebook.cells)
    if told != (lesson.task_minutes if asked else 0):
        yield f"the title says {told} minutes for the tasks, the catalogue {lesson.task_minutes}"


def parts_are_there(lesson: Lesson) -> Iterator[str]:
    """Every lesson has the same parts: title, objectives, set-up, sections, recap, next."""
    names = [cell.id for cell in lesson.notebook.cells]
    if names[:3] != ["title", "objectives", "setup"] or names[-2:] != ["recap", "next"]:
        yield f"it begins {names[:3]} and ends {names[-2:]}"
    if len(set(names)) < len(names):
        yield "two cells have the same id"
    yield from (
        f"{name} is no kebab-case" for name in names if not re.fullmatch("[a-z0-9-]+", name)
    )
    for cell in lesson.notebook.cells:
        if "minutes" in cell.metadata and not cell.metadata.get("speaker_notes"):
            yield f"{cell.id} begins a section without notes for the speaker"
    if not 3 <= len(lesson.objectives) <= 4:
        yield f"it has {len(lesson.objectives)} objectives"


def links_resolve(lesson: Lesson) -> Iterator[str]:
    """Links lead to lessons, cells, terms or the web: lessons are copied as one folder."""
    for cell in lesson.notebook.cells:
        if cell.cell_type == "markdown":
            targets = [target for _text, target in (_LINK.findall(cell.source))]
            targets += [target for _alt, target in _IMAGE.findall(cell.source)]
            for target in targets:
                if problem := _unresolved(lesson, target):
                    yield f"{cell.id}: {problem}"


def nothing_else_is_stored(lesson: Lesson) -> Iterator[str]:
    """Metadata holds nothing that differs between runs: no widget state, no times."""
    if extra := set(lesson.notebook.metadata) - {"kernelspec", "language_info"}:
        yield f"the notebook's metadata has {sorted(extra)}"
    known = {"tags", "measured", "executed", "minutes", "speaker_notes"}
    for cell in lesson.notebook.cells:
        if extra := set(cell.metadata) - known:
            yield f"the metadata of {cell.id} has {sorted(extra)}"


def there_is_no_maths(lesson: Lesson) -> Iterator[str]:
    """Formulas are written as code: the pages have no MathJax."""
    for cell in lesson.notebook.cells:
        if cell.cell_type == "markdown" and has_maths(cell.source):
            yield f"{cell.id} has a formula"


Rule = Callable[[Lesson], Iterator[str]]
RULES: tuple[Rule, ...] = (
    was_run_in_order,
    outputs_are_of_this_source,
    code_is_short,
    prose_is_short,
    reasons_are_given,
    mistakes_are_folded_boxes,
    exemptions_are_few_and_reasoned,
    guesses_come_first_and_are_shown,
    pictures_have_words,
    minutes_add_up,
    parts_are_there,
    links_resolve,
    nothing_else_is_stored,
    there_is_no_maths,
)


def _is_awaited(cell: Any) -> bool:
    """Return whether a task's cell waits for its module: it has no output, and must not be run."""
    waits = cell.metadata.get("tags", []) == [AWAITED] and cell.id.startswith("do-")
    return waits and cell.execution_count is None and not cell.outputs


def _unresolved(lesson: Lesson, target: str) -> str | None:
    if re.match(r"https?://", target):
        return None
    name, _hash, place = target.partition("#")
    path: Path = lesson.path.parent / name if name else lesson.path
    if not path.is_file() or ".." in name:
        return f"{target} leads nowhere"
    if not place:
        return None
    if path.suffix == ".md":
        return None if f'id="{place}"' in path.read_text() else f"{target}: there is no such term"
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    if place.removeprefix("cell-id=") not in {cell.id for cell in notebook.cells}:
        return f"{target}: there is no such cell"
    return None if place.startswith("cell-id=") else f"{target} must be #cell-id=…"


def _calls(source: str) -> list[ast.Call]:
    """Return the calls in the order of the text."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return sorted(calls, key=lambda call: (call.lineno, call.col_offset))


def _name(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _first_argument(call: ast.Call) -> str:
    first = call.args[0] if call.args else None
    return str(first.value) if isinstance(first, ast.Constant) else ""


class _Pictures(HTMLParser):
    """Collects the alternative texts of the pictures in a page; "" where one is missing."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.alts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.alts.append(dict(attrs).get("alt") or "")
