"""Two small lessons that follow every rule, for tests of the site, slides and timetables."""

import base64
from io import BytesIO
from pathlib import Path
from typing import Any

import nbformat
import nbformat.v4 as v4
from PIL import Image

from authoring.execute_lessons import digest

NAMES = ("01_first", "02_second")
TITLES = {
    "en": ("1 · The first", "2 · The second"),
    "ja": ("1 · 最初のレッスン", "2 · 次のレッスン"),
    "id": ("1 · Yang pertama", "2 · Yang kedua"),
}
FIGURE = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 200" role="img">'
    '<rect width="720" height="200" rx="8" fill="white"/>'
    '<text x="360" y="100" text-anchor="middle" font-size="20">a → b</text></svg>'
)
MISTAKE = (
    "<details>\n<summary>Common mistake: the mean says it.</summary>\nIt hides the few.\n</details>"
)
QUESTION = "<div class='workshop-question'><p><strong>Which?</strong></p></div>"


def write(folder: Path, languages: tuple[str, ...] = ("en", "ja", "id")) -> Path:
    """Write the lessons with stored outputs, a figure and a glossary; return `folder`."""
    for code in languages:
        (folder / code / "figures").mkdir(parents=True, exist_ok=True)
        (folder / code / "figures" / "arrow.svg").write_text(FIGURE)
        (folder / code / "glossary.md").write_text(
            "# Glossary\n\n| a | b |\n|---|---|\n| c | d |\n"
        )
        for number in range(len(NAMES)):
            path = folder / code / f"{NAMES[number]}.ipynb"
            nbformat.write(lesson(number, code), path)  # type: ignore[no-untyped-call]
    return folder


def lesson(number: int, code: str = "en") -> Any:
    """Return one of the two as an executed notebook."""
    other = 1 - number
    link = f"[→ {TITLES[code][other]}]({NAMES[other]}.ipynb)"
    cells = [
        md("title", f"# {TITLES[code][number]}\n\nAbout 7 minutes · {link}"),
        md("objectives", "After this lesson you can\n\n- **guess** `a`\n- measure\n- explain"),
        code_cell("setup", "from notebooks.workshop import compare, guess_of, predict"),
        md(
            "tail",
            "## 1. How long is the tail?\n\nMost are quick. "
            "[See the end](#cell-id=recap).\n\n![An arrow from a to b](figures/arrow.svg)",
            minutes=4.0,
            speaker_notes="Ask who would look at the mean.",
        ),
        code_cell(
            "predict-tail",
            'predict("tail", guess=None, default=12, unit="ms")',
            text(
                "stream",
                "No guess of yours yet, so 12 ms stands in. "
                "Write your number instead of None and run this cell again.\n",
            ),
        ),
        code_cell(
            "measure-tail",
            'guess = guess_of("tail")\nvalue = 20\nassert value > 10\ncompare(guess, value)',
            text("html", picture("stand-in guess: 12 ms; measured: 20 ms")),
            measured="times differ",
        ),
        md("explain-tail", f"The slowest count, because people remember them.\n\n{MISTAKE}"),
        code_cell(
            "ask-tail",
            f'display({{"text/html": "{QUESTION}", "text/plain": "alt"}}, raw=True)',
            text("html", QUESTION),
        ),
        md("sum", "## 2. What is one plus one?\n\nCount.", minutes=3.0, speaker_notes="Wait."),
        code_cell("count", "1 + 1", text("result", "2")),
        md("recap", "## Recap\n\n- two things"),
        md("next", link),
    ]
    runs = [cell for cell in cells if cell.cell_type == "code"]
    for count, cell in enumerate(runs, 1):
        cell.execution_count = count
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count
    return v4.new_notebook(  # type: ignore[no-untyped-call]
        cells=cells,
        metadata={
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
    )


def md(name: str, source: str, **metadata: Any) -> Any:
    """Return a Markdown cell."""
    return v4.new_markdown_cell(source, id=name, metadata=metadata)  # type: ignore[no-untyped-call]


def code_cell(name: str, source: str, *outputs: Any, **metadata: Any) -> Any:
    """Return a code cell with outputs, as the project's tools store it."""
    if "measured" in metadata:
        metadata["tags"] = ["nbval-ignore-output"]
    metadata["executed"] = digest(source)
    return v4.new_code_cell(  # type: ignore[no-untyped-call]
        source, id=name, metadata=metadata, outputs=list(outputs)
    )


def text(kind: str, content: str) -> Any:
    """Return an output: a stream, displayed HTML or a result."""
    if kind == "stream":
        return v4.new_output("stream", name="stdout", text=content)  # type: ignore[no-untyped-call]
    if kind == "html":
        data = {"text/html": content, "text/plain": "alt"}
        return v4.new_output("display_data", data=data)  # type: ignore[no-untyped-call]
    return v4.new_output("execute_result", data={"text/plain": content})  # type: ignore[no-untyped-call]


def picture(alt: str) -> str:
    """Return a plot as `show` writes it."""
    file = BytesIO()
    Image.new("RGB", (700, 180), "white").save(file, "PNG")
    data = base64.b64encode(file.getvalue()).decode()
    return f'<img alt="{alt}" src="data:image/png;base64,{data}">'
