"""The starter's notebook part: what nbconvert makes of the research notebook.

python -m challenges.minimal_service.starter_code    for authors: writes it again

On the page, the notebook's cells stand in an order that does not run (lesson 2 shows it). So one
thing is changed before the export: code cells are put in the order in which their author ran them,
which is the number beside each. Text cells stay out. Nothing else is touched.
"""

from pathlib import Path

from learner.paths import ROOT

NOTEBOOK = ROOT / "notebooks" / "exhibit" / "research.ipynb"
STARTER = Path(__file__).with_name("starter")
NOTEBOOK_CODE = STARTER / "notebook_code.py"


def exported_notebook() -> str:
    """The research notebook as a Python script, its cells in the order of their numbers."""
    import nbformat
    from nbconvert import PythonExporter

    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    notebook.cells = sorted(cells, key=lambda cell: int(cell.execution_count))
    script, _resources = PythonExporter().from_notebook_node(notebook)  # type: ignore[no-untyped-call]
    return str(script)


if __name__ == "__main__":
    NOTEBOOK_CODE.write_text(exported_notebook(), encoding="utf-8")
    print(NOTEBOOK_CODE)
